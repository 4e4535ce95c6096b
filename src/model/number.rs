//! JSON numbers, digit by digit: `0.1 + 0.2` is `0.3`, and no integer is rounded. Floating point would bring the reading and
//! printing of floats into the module that a page downloads (the tables of the standard library's reader alone are 10 kB that do
//! not compress), and money that is off by a hair.

/// Exponents beyond this are refused: doubles end before it, and nobody can make us write a million zeros.
const REACH: i32 = 400;

/// A decimal number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// From the greatest to the least.
    digits: Vec<u8>,
    /// The power of ten of the last digit.
    power: i32,
}

impl Number {
    /// A JSON number; nothing for any other value, and for one that is out of reach.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|byte| byte.is_ascii_digit().then(|| byte - b'0'))
            .collect::<Option<_>>()?;
        let power: i32 = power.strip_prefix('+').unwrap_or(power).parse().ok()?;
        let size = i32::try_from(digits.len()).ok()?;
        let power = power.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let near = !digits.is_empty() && power >= -REACH && power.checked_add(size)? <= REACH;
        near.then_some(Self { negative, digits, power })
    }

    /// Terms added up, or taken away where the flag says so.
    pub(crate) fn sum(terms: &[(bool, &Self)]) -> Option<Self> {
        let power = terms.iter().map(|(_, term)| term.power).min()?;
        let above = |term: &Self| usize::try_from(term.power - power).ok();
        let mut columns: Vec<i32> = Vec::new();
        for (minus, term) in terms {
            let shift = above(term)?;
            if columns.len() < shift + term.digits.len() {
                columns.resize(shift + term.digits.len(), 0);
            }
            for (column, digit) in columns.iter_mut().skip(shift).zip(term.digits.iter().rev()) {
                let digit = i32::from(*digit);
                *column += if *minus == term.negative { digit } else { -digit };
            }
        }
        let mut carried = carry(&columns);
        let negative = carried.1 < 0;
        if negative {
            for column in &mut columns {
                *column = -*column;
            }
            carried = carry(&columns);
        }
        let (mut digits, over) = carried;
        digits.push(u8::try_from(over).ok()?);
        digits.reverse();
        Some(Self { negative, digits, power })
    }

    /// `mantissa` times ten to the power.
    pub(crate) fn of(mantissa: i64, power: i32) -> Self {
        let digits = mantissa.unsigned_abs().to_string().bytes().map(|byte| byte - b'0').collect();
        Self { negative: mantissa < 0, digits, power }
    }

    /// The same number as a mantissa and a power of ten, without zeros at its end, where the mantissa fits: integers as they are.
    pub(crate) fn word(&self) -> Option<(i64, i32)> {
        let last = self.digits.iter().rposition(|digit| *digit > 0).map_or(0, |at| at + 1);
        let (digits, zeros) = self.digits.split_at(last);
        let mut power = self.power.checked_add(i32::try_from(zeros.len()).ok()?)?;
        let mut mantissa: i64 = 0;
        for digit in digits {
            mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(*digit))?;
        }
        if mantissa == 0 {
            power = 0;
        }
        while power > 0 {
            (mantissa, power) = (mantissa.checked_mul(10)?, power - 1);
        }
        Some((if self.negative { -mantissa } else { mantissa }, power))
    }

    /// This divided by a number of things, to twelve places behind the point, towards zero; nothing by none.
    pub(crate) fn divided(&self, by: u64) -> Option<Self> {
        if by == 0 {
            return None;
        }
        let places = usize::try_from(self.power.checked_add(12)?).unwrap_or(0);
        let mut rest: u64 = 0;
        let mut digits = Vec::with_capacity(self.digits.len() + places);
        for digit in self.digits.iter().copied().chain(std::iter::repeat_n(0, places)) {
            let sum = rest.checked_mul(10)?.checked_add(u64::from(digit))?;
            digits.push(u8::try_from(sum / by).ok()?);
            rest = sum % by;
        }
        Some(Self { negative: self.negative, digits, power: self.power.min(-12) })
    }

    /// So many seconds in whole milliseconds, rounded up; nothing for less than zero.
    pub(crate) fn millis(&self) -> Option<u64> {
        let zero = self.digits.iter().all(|digit| *digit == 0);
        if zero || self.negative {
            return zero.then_some(0);
        }
        let power = self.power + 3;
        let cut = usize::try_from(-power).unwrap_or(0).min(self.digits.len());
        let (whole, rest) = self.digits.split_at(self.digits.len() - cut);
        let nothing = usize::try_from(power).unwrap_or(0);
        let zeros = std::iter::repeat_n(&0, nothing);
        let whole = whole
            .iter()
            .chain(zeros)
            .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(*digit)));
        Some(whole.saturating_add(u64::from(rest.iter().any(|digit| *digit > 0))))
    }

    /// Whether it is more than zero.
    pub(crate) fn is_positive(&self) -> bool {
        !self.negative && self.digits.iter().any(|digit| *digit > 0)
    }

    /// As JSON writes it, without an exponent.
    pub(crate) fn text(&self) -> String {
        let places = usize::try_from(-self.power).unwrap_or(0);
        let mut digits: String = self.digits.iter().map(|it| char::from(b'0' + it)).collect();
        for _ in 0..self.power {
            digits.push('0');
        }
        while digits.len() <= places {
            digits.insert(0, '0');
        }
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let mut text = String::new();
        if self.negative && !(whole.is_empty() && fraction.is_empty()) {
            text.push('-');
        }
        text.push_str(if whole.is_empty() { "0" } else { whole });
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        text
    }
}

/// Columns, the least first, as digits, and what is left above the last one: less than zero where the sum is.
fn carry(columns: &[i32]) -> (Vec<u8>, i32) {
    let mut over = 0;
    let digits = columns.iter().map(|column| {
        let sum = column + over;
        over = sum.div_euclid(10);
        u8::try_from(sum.rem_euclid(10)).unwrap_or(0)
    });
    (digits.collect(), over)
}

/// The double that stands for a JSON number: a sign, 53 bits and a power of two. Two numbers are one value where RFC 8785 prints
/// the same, and it prints doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Double {
    negative: bool,
    mantissa: u64,
    power: i32,
}

/// Bits of a double's mantissa.
const BITS: i32 = 53;
/// The power of two of the least double that is not zero.
const LEAST: i32 = -1_074;
/// The power of two of the last bit of the greatest double.
const GREATEST: i32 = 971;
/// Half a double has fewer digits than this: what stands behind them only says which half is nearer.
const DIGITS: usize = 800;

impl Double {
    /// The nearest double, ties to even; nothing for what is no number, and for one that no double reaches.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes());
        let digits = digits.map(|byte| byte.is_ascii_digit().then(|| byte - b'0'));
        let mut digits: Vec<u8> = digits.collect::<Option<_>>()?;
        if digits.is_empty() {
            return None;
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        if digits.is_empty() {
            return Some(Self { negative: false, mantissa: 0, power: 0 });
        }
        if digits.iter().skip(DIGITS).any(|digit| *digit > 0) {
            digits.truncate(DIGITS);
            digits.push(1);
        }
        // An exponent of more digits than these is beyond every double, on one side or the other.
        let (below, power) = (power.starts_with('-'), power.trim_start_matches(['+', '-', '0']));
        let power = power.get(..18).unwrap_or(power);
        let power: i64 = if power.is_empty() { 0 } else { power.parse().ok()? };
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?
            + if below { -power } else { power };
        let point = i32::try_from(point.clamp(-i64::from(REACH), i64::from(REACH))).ok()?;
        Binary { digits, point }.nearest().map(|(mantissa, power)| Self {
            negative: negative && mantissa > 0,
            mantissa,
            power: if mantissa > 0 { power } else { 0 },
        })
    }
}

/// A number on its way from powers of ten to powers of two: its digits, and how many of them stand before the point.
struct Binary {
    digits: Vec<u8>,
    point: i32,
}

impl Binary {
    /// Halves and doubles it until its whole part has the bits of a mantissa, as the "simple decimal conversion" of N. Tao does.
    fn nearest(mut self) -> Option<(u64, i32)> {
        // Not more bits at once than a carry of 64 has room for.
        const STEP: i32 = 56;
        let mut power = 0;
        // First below one, then between a half and one.
        while self.point > 0 {
            let bits = (3 * self.point).clamp(1, STEP);
            self.halve(bits);
            power += bits;
        }
        while self.point < 0 || self.digits.first().is_some_and(|first| *first < 5) {
            let bits = (-3 * self.point).clamp(1, STEP);
            self.double(bits);
            power -= bits;
        }
        let bits = BITS.min(power - LEAST);
        if bits < 0 {
            return Some((0, 0));
        }
        self.double(bits);
        power -= bits;
        let mut mantissa = self.rounded()?;
        if mantissa == 1 << BITS {
            (mantissa, power) = (mantissa >> 1, power + 1);
        }
        (power <= GREATEST).then_some((mantissa, power))
    }

    fn halve(&mut self, bits: i32) {
        let (mut over, mut digits) = (0_u64, Vec::with_capacity(self.digits.len() + 64));
        let mut rest = self.digits.iter().map(|digit| u64::from(*digit));
        loop {
            let digit = match rest.next() {
                Some(digit) => digit,
                None if over == 0 => break,
                None => 0,
            };
            over = 10 * over + digit;
            let out = over >> bits;
            over &= (1 << bits) - 1;
            if digits.is_empty() && out == 0 {
                self.point -= 1;
            } else {
                digits.push(u8::try_from(out).unwrap_or(0));
            }
        }
        self.digits = digits;
    }

    fn double(&mut self, bits: i32) {
        let mut over = 0_u64;
        for digit in self.digits.iter_mut().rev() {
            over += u64::from(*digit) << bits;
            *digit = u8::try_from(over % 10).unwrap_or(0);
            over /= 10;
        }
        while over > 0 {
            self.digits.insert(0, u8::try_from(over % 10).unwrap_or(0));
            self.point += 1;
            over /= 10;
        }
    }

    /// The nearest whole number, ties to even.
    fn rounded(&self) -> Option<u64> {
        let point = usize::try_from(self.point).unwrap_or(0);
        let whole = self.digits.iter().chain(std::iter::repeat(&0)).take(point);
        let whole = whole.fold(0, |sum, digit| 10 * sum + u64::from(*digit));
        let mut rest = self.digits.iter().skip(point);
        let up = match rest.next() {
            Some(5) => rest.any(|digit| *digit > 0) || whole % 2 == 1,
            Some(first) => *first > 5,
            None => false,
        };
        Some(whole + u64::from(up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The standard library is the judge.
    fn agrees(text: &str) {
        let judge = |number: f64| {
            let (bits, exponent) =
                (number.to_bits() & ((1 << 52) - 1), (number.to_bits() >> 52) & 0x7ff);
            let implicit = u64::from(exponent > 0) << 52;
            let power = i32::try_from(exponent.max(1)).unwrap() - 1_075;
            let zero = number == 0.0;
            Double {
                negative: number.is_sign_negative() && !zero,
                mantissa: bits | implicit,
                power: if zero { 0 } else { power },
            }
        };
        let expected = text.parse().ok().filter(|number: &f64| number.is_finite()).map(judge);
        assert_eq!(Double::parse(text), expected, "{text}");
    }

    /// R5.
    #[test]
    fn the_hard_ones_become_the_doubles_of_the_standard_library() {
        for text in [
            "0",
            "-0",
            "0.000",
            "0e99",
            "1",
            "-1",
            "10",
            "0.1",
            "0.5",
            "1e23",
            "1E+2",
            "00012.50",
            "8.5e-1",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "9007199254740995",
            "9007199254740992.999999999999999999999999999",
            "9007199254740993.000000000000000000000000001",
            "18446744073709551615",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "1e308",
            "1e309",
            "1e999",
            "1e99999999999999999999",
            "5e-324",
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "2.2250738585072011e-308",
            "2.2250738585072014e-308",
            "1e-400",
            "1e-99999999999999999999",
            "0.3e-323",
            "null",
            "",
            "-",
            "1x",
        ] {
            agrees(text);
        }
        agrees(&["1", &"0".repeat(300), ".", &"0".repeat(900), "1"].concat());
        agrees(&["0.", &"0".repeat(300), "1"].concat());
        // Half of the way between two doubles, written out, and a hair above it.
        let half = "2.00000000000000022204460492503130808472633361816406250";
        agrees(half);
        agrees(&[half, &"0".repeat(900), "1"].concat());
    }

    #[test]
    fn seconds_become_milliseconds_that_are_never_too_short() {
        for (seconds, millis) in [
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("-1", None),
            ("1", Some(1_000)),
            ("0.07", Some(70)),
            ("1.5e1", Some(15_000)),
            ("2.0001", Some(2_001)),
            ("1e-300", Some(1)),
            ("1e300", Some(u64::MAX)),
        ] {
            assert_eq!(Number::parse(seconds).unwrap().millis(), millis, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_added_as_people_do() {
        for (a, b, sum, difference) in [
            ("0.1", "0.2", "0.3", "-0.1"),
            ("0", "-0", "0", "0"),
            ("1e3", "1E-3", "1000.001", "999.999"),
            ("99", "1", "100", "98"),
            ("-1", "1.0", "0", "-2"),
            ("1.50", "1.5", "3", "0"),
            (
                "123456789012345678901234567890",
                "1",
                "123456789012345678901234567891",
                "123456789012345678901234567889",
            ),
        ] {
            let (x, y) = (Number::parse(a).unwrap(), Number::parse(b).unwrap());
            assert_eq!(Number::sum(&[(false, &x), (false, &y)]).unwrap().text(), sum, "{a} + {b}");
            let less = Number::sum(&[(false, &x), (true, &y)]).unwrap();
            assert_eq!(less.text(), difference, "{a} - {b}");
            assert_eq!(less.is_positive(), !difference.starts_with('-') && difference != "0");
        }
    }

    #[test]
    fn what_is_no_number_or_out_of_reach_is_nothing() {
        for text in ["null", "\"1\"", "true", "[]", "", "-", "1e999", "1e-999", "1e99999999999"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn integers_are_added_exactly(a in any::<i64>(), b in any::<i64>(), c in any::<i64>()) {
            let [x, y, z] = [a, b, c].map(|it| Number::parse(&it.to_string()).unwrap());
            let sum = i128::from(a) + i128::from(b) - i128::from(c);
            prop_assert_eq!(Number::sum(&[(false, &x), (false, &y), (true, &z)]).unwrap().text(), sum.to_string());
        }

        #[test]
        fn every_double_is_found_again(bits: u64) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                agrees(&number.to_string());
                agrees(&format!("{number:e}"));
            }
        }

        #[test]
        fn numbers_of_any_length_become_the_nearest_double(text in "-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?") {
            agrees(&text);
        }

        #[test]
        fn cents_are_added_exactly(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000) {
            let euros = |cents: i64| Number::parse(&format!("{}e-2", cents)).unwrap();
            let sum = Number::sum(&[(false, &euros(a)), (false, &euros(b))]).unwrap();
            prop_assert_eq!(sum.text(), Number::sum(&[(false, &euros(a + b))]).unwrap().text());
        }
    }
}
