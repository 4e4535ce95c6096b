//! Faults on demand, for tests of clients.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A fault, written `KIND:N[@push|@pull]`: it strikes every Nth matching request.
///
/// ```
/// # use holdfast_server::Fault;
/// assert!("apply-then-drop:5@push".parse::<Fault>().is_ok());
/// assert!("drop:0".parse::<Fault>().is_err());
/// ```
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    every: u64,
    only: Option<Route>,
    seen: AtomicU64,
}

/// The two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST /api/push`
    Push,
    /// `GET /api/pull`
    Pull,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is closed; nothing was done.
    Drop,
    /// The request is handled, then the connection is closed without an answer.
    ApplyThenDrop,
    /// The request waits so many milliseconds first.
    Delay(u64),
    /// This status instead of handling; of a proxy, without markers, for 502 and 504.
    Status(u16),
    /// 500, 502, 503 and 504 in turn.
    AnyServerError,
    /// 200 with a page of HTML, as a captive portal does; nothing was done.
    Html,
    /// The request is handled; half of the answer, which looks whole to HTTP.
    Half,
    /// The request is handled; half of the answer, then the connection breaks.
    Cut,
    /// The request is handled; 200 with nothing in it.
    Empty,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "--fault {text}: expected KIND:N or KIND:N@push or KIND:N@pull, where KIND is drop, \
                apply-then-drop, delay, 5xx, html, half, cut, empty or a status from 400 to 599, and \
                N is at least 1 (of delay: milliseconds)"
            )
        };
        let (rest, only) = match text.split_once('@') {
            None => (text, None),
            Some((rest, "push")) => (rest, Some(Route::Push)),
            Some((rest, "pull")) => (rest, Some(Route::Pull)),
            Some(_) => return Err(wrong()),
        };
        let (kind, number) = rest.split_once(':').ok_or_else(wrong)?;
        let number: u64 = number.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        let (kind, every) = match kind {
            "drop" => (FaultKind::Drop, number),
            "apply-then-drop" => (FaultKind::ApplyThenDrop, number),
            "delay" => (FaultKind::Delay(number), 1),
            "5xx" => (FaultKind::AnyServerError, number),
            "html" => (FaultKind::Html, number),
            "half" => (FaultKind::Half, number),
            "cut" => (FaultKind::Cut, number),
            "empty" => (FaultKind::Empty, number),
            other => match other.parse() {
                Ok(status @ 400..=599) => (FaultKind::Status(status), number),
                _ => return Err(wrong()),
            },
        };
        Ok(Self { kind, every, only, seen: AtomicU64::new(0) })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::ApplyThenDrop => f.write_str("apply-then-drop"),
            Self::Delay(ms) => write!(f, "delay {ms}"),
            Self::Status(status) => write!(f, "{status}"),
            Self::AnyServerError => f.write_str("5xx"),
            Self::Html => f.write_str("html"),
            Self::Half => f.write_str("half"),
            Self::Cut => f.write_str("cut"),
            Self::Empty => f.write_str("empty"),
        }
    }
}

impl Fault {
    /// Counts a request, and says what is to go wrong with it.
    pub(crate) fn strike(&self, route: Route) -> Option<FaultKind> {
        if self.only.is_some_and(|only| only != route) {
            return None;
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if !seen.is_multiple_of(self.every) {
            return None;
        }
        match self.kind {
            FaultKind::AnyServerError => Some(FaultKind::Status(match seen / self.every % 4 {
                1 => 500,
                2 => 502,
                3 => 503,
                _ => 504,
            })),
            kind @ (FaultKind::Drop
            | FaultKind::ApplyThenDrop
            | FaultKind::Delay(_)
            | FaultKind::Status(_)
            | FaultKind::Html
            | FaultKind::Half
            | FaultKind::Cut
            | FaultKind::Empty) => Some(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_request_of_its_route() {
        let fault: Fault = "drop:3@push".parse().unwrap();
        let struck: Vec<bool> = (0..7).map(|_| fault.strike(Route::Push).is_some()).collect();
        assert_eq!(struck, [false, false, true, false, false, true, false]);
        assert!((0..9).all(|_| fault.strike(Route::Pull).is_none()));
        let any: Fault = "5xx:1".parse().unwrap();
        let kinds: Vec<_> = (0..5).filter_map(|_| any.strike(Route::Pull)).collect();
        assert_eq!(kinds, [500, 502, 503, 504, 500].map(FaultKind::Status));
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in ["", "drop", "drop:", "drop:x", "drop:0", "drop:1@", "drop:1@x", "200:1", "x:1"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
