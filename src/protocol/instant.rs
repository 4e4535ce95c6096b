//! Instants as texts: RFC 3339 in UTC, with any number of digits for the fraction, cut to milliseconds.

use crate::model::Wall;

/// How a wire writes an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `"2026-11-20T10:15:30.123Z"`
    Millis,
    /// `"2026-11-20T10:15:30Z"`
    Seconds,
    /// `1795169730`, whole seconds since 1970.
    Epoch,
}

impl Form {
    /// An instant as JSON, rounded down to what the form can say.
    pub(super) fn json(self, at: Wall) -> String {
        match self {
            Self::Millis => ["\"", &iso(at), "\""].concat(),
            Self::Seconds => ["\"", day_and_time(at).as_str(), "Z\""].concat(),
            Self::Epoch => (at.0 / 1_000).to_string(),
        }
    }
}

/// Days since 1970; months from 0.
pub(super) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // In the calendar whose year begins in March the leap day is the last one.
    let (year, month) =
        if month < 2 { (year.checked_sub(1)?, month + 10) } else { (year, month - 2) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    days.checked_sub(719_469)
}

/// Year, month from 1, day.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let day = day - (153 * march + 2) / 5 + 1;
    (400 * era + year + u64::from(month < 3), month, day)
}

fn padded(out: &mut String, number: u64, digits: usize) {
    let text = number.to_string();
    for _ in text.len()..digits {
        out.push('0');
    }
    out.push_str(&text);
}

/// `2026-11-20T10:15:30`
fn day_and_time(at: Wall) -> String {
    let seconds = at.0 / 1_000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    let mut out = String::new();
    padded(&mut out, year, 4);
    for (before, number) in
        [('-', month), ('-', day), ('T', hour), (':', minute), (':', seconds % 60)]
    {
        out.push(before);
        padded(&mut out, number, 2);
    }
    out
}

/// `2026-11-20T10:15:30.123Z`
pub(super) fn iso(at: Wall) -> String {
    let mut out = day_and_time(at);
    out.push('.');
    padded(&mut out, at.0 % 1_000, 3);
    out.push('Z');
    out
}

/// An instant of the years 1970 to 9999; nothing else is one.
pub(super) fn read(text: &str) -> Option<Wall> {
    let part = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let marked = marks.iter().all(|(at, mark)| text.as_bytes().get(*at) == Some(mark));
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let sound = marked
        && (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let fraction = text.get(19..)?.strip_suffix('Z')?;
    let fraction = match fraction.strip_prefix('.') {
        None => fraction.is_empty().then_some("0")?,
        Some(digits) => (1..=9).contains(&digits.len()).then_some(digits)?,
    };
    let millis = (0..3).try_fold(0, |millis, at| {
        let digit = fraction.as_bytes().get(at).copied().unwrap_or(b'0');
        digit.is_ascii_digit().then(|| 10 * millis + u64::from(digit - b'0'))
    })?;
    let rest = fraction.bytes().all(|it| it.is_ascii_digit());
    let days = days(year, month.checked_sub(1)?, day).filter(|_| sound && rest)?;
    Some(Wall((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_are_those_of_the_calendar() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T10:15:30.123Z", 1_795_169_730_123),
            ("2026-11-20T10:15:30.123456789Z", 1_795_169_730_123),
            ("2026-11-20T10:03:11.5Z", 1_795_168_991_500),
            ("2026-11-20T10:15:30.000000Z", 1_795_169_730_000),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(read(text), Some(Wall(millis)), "{text}");
        }
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T10:15:30",
            "2026-11-20T10:15:30.Z",
            "2026-11-20T10:15:30.1234567890Z",
            "2026-11-20T10:15:30.12x4Z",
            "2026-11-20T10:15:30+01:00",
            "2026-13-20T10:15:30Z",
            "2026-00-20T10:15:30Z",
            "2026-11-20 10:15:30Z",
            "2026-11-20T25:15:30Z",
            "1969-12-31T23:59:59Z",
            "20é6-11-20T10:15:30Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let at = Wall(1_795_169_730_123);
        assert_eq!(Form::Millis.json(at), "\"2026-11-20T10:15:30.123Z\"");
        assert_eq!(Form::Seconds.json(at), "\"2026-11-20T10:15:30Z\"");
        assert_eq!(Form::Epoch.json(at), "1795169730");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_again(millis in 0_u64..253_402_300_800_000) {
            prop_assert_eq!(read(&iso(Wall(millis))), Some(Wall(millis)));
        }

        /// P36: nothing that a server says stops the module.
        #[test]
        fn any_text_is_an_instant_or_none(text in ".{0,40}") {
            let _ = read(&text);
        }
    }
}
