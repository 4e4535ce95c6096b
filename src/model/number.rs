//! Sums of JSON numbers, digit by digit: `0.1 + 0.2` is `0.3`, and no integer is rounded. Floating point would bring the printing
//! of floats into the module that a page downloads, and money that is off by a hair.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        fn cents_are_added_exactly(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000) {
            let euros = |cents: i64| Number::parse(&format!("{}e-2", cents)).unwrap();
            let sum = Number::sum(&[(false, &euros(a)), (false, &euros(b))]).unwrap();
            prop_assert_eq!(sum.text(), Number::sum(&[(false, &euros(a + b))]).unwrap().text());
        }
    }
}
