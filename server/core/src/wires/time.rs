//! Instants as the wires write them: RFC 3339 text, always UTC in answers.

/// `2026-11-20T10:15:30.123Z`
pub(crate) fn iso(ms: u64) -> String {
    let (date, seconds) = split(ms);
    format!("{date}T{}.{:03}Z", clock(seconds), ms % 1_000)
}

/// `2026-11-20T10:15:30.000000Z`: whole seconds, as a Laravel model prints them.
pub(crate) fn laravel(ms: u64) -> String {
    let (date, seconds) = split(ms);
    format!("{date}T{}.000000Z", clock(seconds))
}

/// `2026-11-20T10:15:30.5Z`: no more digits than there are, as Go's `RFC3339Nano` prints them.
pub(crate) fn go(ms: u64) -> String {
    let text = iso(ms);
    let short = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{short}Z")
}

fn split(ms: u64) -> (String, u64) {
    let (days, seconds) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = civil(days);
    (format!("{year:04}-{month:02}-{day:02}"), seconds)
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a number of days since 1970-01-01 (proleptic Gregorian calendar): years
/// are counted from March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Days since 1970-01-01; `None` for a day that no calendar has, and before that day.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil(days) == (year, month, day)).then_some(days)
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

fn date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let sizes = (year.len(), month.len(), day.len()) == (4, 2, 2) && parts.next().is_none();
    if !sizes {
        return None;
    }
    days(number(year)?, number(month)?, number(day)?)
}

/// Whether a text is a date, `2026-11-20`.
pub(crate) fn is_date(text: &str) -> bool {
    date(text).is_some()
}

/// The instant of an RFC 3339 text in ms since the epoch, what is below a millisecond cut off;
/// `None` for anything else and for the time before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (day, rest) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = match rest.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (clock, zone) = rest.split_at(at);
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = i64::try_from(number(hours)? * 60 + number(minutes)?).ok()?;
            (clock, if zone.starts_with('-') { -minutes } else { minutes })
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) =
        (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let sound = parts.next().is_none()
        && (hours < 24 && minutes < 60 && seconds < 61)
        && (1..=9).contains(&fraction.len());
    if !sound {
        return None;
    }
    let millis = number(format!("{fraction:0<3}").get(..3)?)?;
    number(fraction)?;
    let ms = date(day)? * 86_400_000 + (hours * 3_600 + minutes * 60 + seconds) * 1_000 + millis;
    ms.checked_add_signed(-offset * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_each_wire_does() {
        let ms = 1_795_169_730_120;
        assert_eq!(iso(ms), "2026-11-20T10:15:30.120Z");
        assert_eq!(laravel(ms), "2026-11-20T10:15:30.000000Z");
        assert_eq!(go(ms), "2026-11-20T10:15:30.12Z");
        assert_eq!(go(ms - 120), "2026-11-20T10:15:30Z");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        for ms in (0..4_000_000_000_000).step_by(97_654_321_987) {
            assert_eq!(parse(&iso(ms)), Some(ms));
        }
    }

    #[test]
    fn rfc_3339_is_read_and_nothing_else() {
        for (text, ms) in [
            ("2026-11-20T10:15:30Z", Some(1_795_169_730_000)),
            ("2026-11-20T10:15:30.5Z", Some(1_795_169_730_500)),
            ("2026-11-20T10:15:30.123456789Z", Some(1_795_169_730_123)),
            ("2026-11-20T12:15:30+02:00", Some(1_795_169_730_000)),
            ("2026-11-20 10:15:30Z", Some(1_795_169_730_000)),
            ("2026-11-20T10:15:30", None),
            ("2026-02-30T10:15:30Z", None),
            ("2026-11-20T24:15:30Z", None),
            ("2026-11-20", None),
            ("1795169730", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), ms, "{text}");
        }
        assert!(is_date("2028-02-29") && !is_date("2027-02-29") && !is_date("2027-2-1"));
    }
}
