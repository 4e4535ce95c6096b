//! What an answer means before its words are read (PROMISES 3.1): status, media type, markers, `Retry-After`. Once, for all
//! protocols.

use super::http::is_json;
use super::instant;
use crate::model::scan::Reader;
use crate::model::{Halt, Millis, Wall};
use crate::port::{FetchError, HttpResponse};

/// The longest wait that a server can ask for; then we ask again.
pub const LONGEST_WAIT: Millis = Millis(60 * 60 * 1_000);

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Operations left.
    Push,
    /// Changes were asked for.
    Pull,
}

/// How a protocol tells its own server's words from those of a captive portal or a proxy.
pub type IsOurs<'a> = &'a dyn Fn(&str) -> bool;

/// Whether a body carries both markers of the standard protocol: the first says whose words these are, the second that
/// they are whole.
#[must_use]
pub fn is_marked(body: &str) -> bool {
    let (mut ours, mut end) = (false, false);
    let read = Reader::whole(body, |from| {
        from.object(&[], &mut |from, name| {
            match name {
                "holdfast" => ours = from.small()? == 1,
                "end" => end = from.flag()?,
                _ => from.skip()?,
            }
            Some(())
        })
    });
    read.is_some() && ours && end
}

/// Why there was no answer, as what it means for the request.
#[must_use]
pub fn of_error(error: FetchError) -> Halt {
    match error {
        FetchError::Unreachable => Halt::Unreachable,
        FetchError::Unreadable => Halt::Foreign,
        FetchError::NoToken => Halt::Auth,
    }
}

/// Passes an answer whose words may be read, and says of any other what it means.
///
/// # Errors
/// The [`Halt`] that the answer is instead. 400, 410, 415 and 422 would be a verdict on what was asked, so they count only
/// in our server's own words; the other errors end nothing, whoever says them. A 5xx without our server's words or a wish to
/// wait is a gateway's, and no contact.
pub fn check(answer: &HttpResponse, ask: Ask, is_ours: IsOurs<'_>, now: Wall) -> Result<(), Halt> {
    let ours = || is_json(&answer.content_type) && is_ours(&answer.body);
    let halt = match answer.status {
        200 if ours() => return Ok(()),
        400 | 415 | 422 if ours() => match ask {
            Ask::Push => Halt::BatchRefused,
            Ask::Pull => Halt::Protocol,
        },
        410 if ask == Ask::Pull && ours() => Halt::Expired,
        401 => Halt::Auth,
        402 | 403 => Halt::Forbidden,
        404 | 405 | 501 => Halt::Misconfigured,
        413 => match ask {
            Ask::Push => Halt::TooLarge,
            Ask::Pull => Halt::Protocol,
        },
        408 | 409 | 425 | 429 | 500 | 502 | 503 | 504 | 507 | 520..=529 => {
            match answer.retry_after.as_deref().and_then(|text| retry_after(text, now)) {
                // A load balancer's wish is respected like the server's own.
                Some(wait) => Halt::Later(Some(wait)),
                None if ours() => Halt::Later(None),
                // A gateway without its server: to be connected means that our server answered (P37, R24).
                None => Halt::Foreign,
            }
        }
        _ => Halt::Foreign,
    };
    Err(halt)
}

/// A `Retry-After`: seconds, or a date in the one form that servers may still send (RFC 9110, IMF-fixdate). Never longer
/// than [`LONGEST_WAIT`]; nothing if it cannot be read.
#[must_use]
pub fn retry_after(text: &str, now: Wall) -> Option<Millis> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // So many digits that they overflow are a long time.
        Millis(text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1_000))
    } else {
        now.until(date(text)?)
    };
    Some(wait.min(LONGEST_WAIT))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn date(text: &str) -> Option<Wall> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(',')?;
    let rest = rest.strip_prefix(' ')?;
    let mut parts = rest.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let month_name = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month_name)? as u64;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let known = parts.next() == Some("GMT") && parts.next().is_none() && clock.next().is_none();
    let sound = (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !known || !sound || !(1970..=9999).contains(&year) {
        return None;
    }
    let days = instant::days(year, month, day)?;
    Some(Wall((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(784_111_777_000);

    fn answer(status: u16, content_type: &str, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            content_type: content_type.to_owned(),
            retry_after: None,
            body: body.to_owned(),
            up: 0,
            etag: None,
        }
    }

    fn meaning(answer: &HttpResponse, ask: Ask) -> Result<(), Halt> {
        check(answer, ask, &is_marked, NOW)
    }

    /// A2, A8 to A13, A15, A16, P36: status, media type and marker, for pushes and pulls.
    #[test]
    fn the_table_of_answers() {
        use Ask::{Pull, Push};
        const MARKED: &str = r#"{"holdfast":1,"x":[{}],"end":true}"#;
        const HTML: &str = "<html>Please sign in</html>";
        let json = "application/json";
        let problem = "application/problem+json";
        let later = || Err(Halt::Later(None));
        for (ask, status, media, body, expected) in [
            (Push, 200, json, MARKED, Ok(())),
            (Pull, 200, "application/json; charset=utf-8", MARKED, Ok(())),
            // Not ours, so not an answer.
            (Push, 200, "text/html", HTML, Err(Halt::Foreign)),
            (Push, 200, "text/html", MARKED, Err(Halt::Foreign)),
            (Push, 200, json, HTML, Err(Halt::Foreign)),
            (Push, 200, json, "", Err(Halt::Foreign)),
            (Push, 200, json, "{}", Err(Halt::Foreign)),
            (Push, 200, json, "[]", Err(Halt::Foreign)),
            (Push, 200, json, "null", Err(Halt::Foreign)),
            (Push, 200, json, r#"{"holdfast":1,"outcomes":[]}"#, Err(Halt::Foreign)),
            (Push, 200, json, r#"{"outcomes":[],"end":true}"#, Err(Halt::Foreign)),
            (Push, 200, json, r#"{"holdfast":2,"end":true}"#, Err(Halt::Foreign)),
            (Push, 200, json, r#"{"holdfast":1,"end":false}"#, Err(Halt::Foreign)),
            (Push, 200, json, r#"{"holdfast":1,"x":[{}"#, Err(Halt::Foreign)),
            (Push, 200, json, r#"{"holdfast":1,"holdfast":1,"end":true}"#, Err(Halt::Foreign)),
            (Push, 204, "", "", Err(Halt::Foreign)),
            (Push, 201, json, MARKED, Err(Halt::Foreign)),
            (Pull, 206, json, MARKED, Err(Halt::Foreign)),
            (Push, 302, "text/html", HTML, Err(Halt::Foreign)),
            (Pull, 304, "", "", Err(Halt::Foreign)),
            (Push, 0, "", "", Err(Halt::Foreign)),
            (Push, 418, json, MARKED, Err(Halt::Foreign)),
            (Push, 511, "text/html", HTML, Err(Halt::Foreign)),
            // Refusals count in our server's words alone.
            (Push, 400, problem, MARKED, Err(Halt::BatchRefused)),
            (Push, 415, problem, MARKED, Err(Halt::BatchRefused)),
            (Push, 422, problem, MARKED, Err(Halt::BatchRefused)),
            (Push, 400, "text/html", HTML, Err(Halt::Foreign)),
            (Push, 422, json, "{}", Err(Halt::Foreign)),
            (Pull, 400, problem, MARKED, Err(Halt::Protocol)),
            (Pull, 410, problem, MARKED, Err(Halt::Expired)),
            (Pull, 410, "text/html", HTML, Err(Halt::Foreign)),
            (Push, 410, problem, MARKED, Err(Halt::Foreign)),
            // Whoever says these.
            (Push, 401, problem, MARKED, Err(Halt::Auth)),
            (Push, 401, "", "", Err(Halt::Auth)),
            (Pull, 402, "", "", Err(Halt::Forbidden)),
            (Push, 403, "text/html", HTML, Err(Halt::Forbidden)),
            (Push, 404, "text/html", HTML, Err(Halt::Misconfigured)),
            (Pull, 405, "", "", Err(Halt::Misconfigured)),
            (Push, 501, "", "", Err(Halt::Misconfigured)),
            (Push, 413, "text/html", HTML, Err(Halt::TooLarge)),
            (Pull, 413, "", "", Err(Halt::Protocol)),
            (Push, 408, problem, MARKED, later()),
            (Push, 409, problem, MARKED, later()),
            (Push, 425, problem, MARKED, later()),
            (Pull, 429, problem, MARKED, later()),
            (Push, 500, problem, MARKED, later()),
            (Push, 503, problem, MARKED, later()),
            (Push, 507, problem, MARKED, later()),
            // A gateway's, unless it says how long to wait (below).
            (Push, 500, "text/html", HTML, Err(Halt::Foreign)),
            (Push, 502, "text/html", HTML, Err(Halt::Foreign)),
            (Push, 503, "", "", Err(Halt::Foreign)),
            (Pull, 504, "text/html", HTML, Err(Halt::Foreign)),
            (Push, 522, "text/html", HTML, Err(Halt::Foreign)),
        ] {
            let got = meaning(&answer(status, media, body), ask);
            assert_eq!(got, expected, "{ask:?} {status} {media} {body}");
        }
    }

    /// A1, A2: an answer that breaks off is none.
    #[test]
    fn a_body_cut_anywhere_is_not_ours() {
        let body = r#"{"holdfast":1,"outcomes":[{"opId":"a","kind":"applied","version":1}],"time":1,"end":true}"#;
        assert!(is_marked(body));
        for at in 0..body.len() {
            assert!(!is_marked(&body[..at]), "cut at {at}");
        }
    }

    /// A12, P9: a wait in seconds or as a date, no longer than an hour.
    #[test]
    fn waiting_times() {
        let hour = Some(LONGEST_WAIT);
        for (text, expected) in [
            ("0", Some(Millis(0))),
            (" 120 ", Some(Millis(120_000))),
            ("3601", hour),
            ("99999999999999999999999", hour),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Millis(0))),
            ("Sun, 06 Nov 1994 08:49:39 GMT", Some(Millis(2_000))),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(Millis(0))),
            ("Tue, 29 Feb 2000 00:00:00 GMT", hour),
            ("", None),
            ("-1", None),
            ("2.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 25:00:00 GMT", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999 08:49:37 GMT", None),
        ] {
            assert_eq!(retry_after(text, NOW), expected, "{text}");
        }
        let mut late = answer(503, "", "");
        late.retry_after = Some("5".to_owned());
        assert_eq!(meaning(&late, Ask::Push), Err(Halt::Later(Some(Millis(5_000)))));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 31 Dec 1970 23:59:59 GMT", 31_535_999),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Fri, 20 Nov 2026 15:00:00 GMT", 1_795_186_800),
        ] {
            assert_eq!(date(text), Some(Wall(seconds * 1_000)), "{text}");
        }
    }
}
