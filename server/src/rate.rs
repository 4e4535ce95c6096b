//! How many requests a user may make: a leaky bucket per user, in the memory of one server.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A limit on the requests of one user.
///
/// ```
/// # use holdfast_server::Rate;
/// assert_eq!("50".parse::<Rate>().unwrap(), Rate { per_second: 50, burst: 50 });
/// assert_eq!("2/10".parse::<Rate>().unwrap(), Rate { per_second: 2, burst: 10 });
/// assert!("0".parse::<Rate>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run; 1 to 1,000,000.
    pub per_second: u64,
    /// Requests that may come at once; at least 1.
    pub burst: u64,
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rate, burst) = text.split_once('/').unwrap_or((text, text));
        let number = |text: &str| text.parse().ok().filter(|n| (1..=1_000_000).contains(n));
        match (number(rate), number(burst)) {
            (Some(per_second), Some(burst)) => Ok(Self { per_second, burst }),
            _ => Err(format!("--rate {text}: expected N or N/BURST, both from 1")),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Limiter {
    rate: Rate,
    /// Per user, the time in ms at which the bucket is empty, in thousandths.
    empty_at: Mutex<BTreeMap<u64, u64>>,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, empty_at: Mutex::default() }
    }

    /// Counts a request; gives the seconds to wait if it is one too many.
    pub(crate) fn admit(&self, user: u64, now_ms: u64) -> Result<(), u64> {
        let now = now_ms * 1_000;
        let one = 1_000_000 / self.rate.per_second;
        let full = one * self.rate.burst;
        let mut empty_at = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not shut a user out for as long.
        let before = empty_at.get(&user).copied().filter(|at| *at <= now + full).unwrap_or(now);
        let after = before.max(now) + one;
        if after > now + full {
            return Err((after - now - full).div_ceil(1_000_000));
        }
        empty_at.insert(user, after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_admitted_and_then_the_rate() {
        let limiter = Limiter::new(Rate { per_second: 2, burst: 3 });
        let at = |ms| limiter.admit(1, ms);
        assert_eq!([at(1_000), at(1_000), at(1_000)], [Ok(()); 3]);
        assert_eq!(at(1_000), Err(1));
        assert_eq!(limiter.admit(2, 1_000), Ok(()), "another user has his own bucket");
        assert_eq!(at(1_499), Err(1));
        assert_eq!(at(1_500), Ok(()), "half a second later there is room for one");
        assert_eq!(at(1_500), Err(1));
        assert_eq!(at(10_000), Ok(()));
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out() {
        let limiter = Limiter::new(Rate { per_second: 1, burst: 1 });
        assert_eq!(limiter.admit(1, 9_000_000), Ok(()));
        assert_eq!(limiter.admit(1, 1_000), Ok(()));
    }
}
