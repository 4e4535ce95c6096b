//! Decimal numbers, small ones in a word. A column of prices must be added up millions at a time, and be right to the cent.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::model::number::Number;

/// The most digits that are kept in a word.
const DIGITS: usize = 18;

/// A decimal number.
///
/// ```
/// use holdfast::query::Decimal;
/// let mut total = Decimal::parse("0.1").unwrap();
/// total = total.plus(&Decimal::parse("0.2").unwrap()).unwrap();
/// assert_eq!(total.text(), "0.3");
/// ```
#[derive(Debug, Clone)]
pub struct Decimal(Form);

#[derive(Debug, Clone)]
enum Form {
    /// `mantissa` times ten to the power, without zeros at its end.
    Word {
        mantissa: i64,
        power: i32,
    },
    Wide(Rc<Number>),
}

impl Decimal {
    /// A JSON number; nothing for any other value, and for one beyond the reach of a double.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() <= DIGITS && !text.contains(['.', 'e', 'E']);
        match plain.then(|| text.parse().ok()).flatten() {
            Some(mantissa) => Some(Self::word(mantissa, 0)),
            None => Some(Self::of(Number::parse(text)?)),
        }
    }

    /// An integer.
    #[must_use]
    pub fn of_int(number: i64) -> Self {
        Self::word(number, 0)
    }

    /// The greatest integer that is not above it; nothing beyond 64 bits.
    #[must_use]
    pub fn floor(&self) -> Option<i64> {
        match &self.0 {
            Form::Word { mantissa, power } => {
                let places = u32::try_from(power.checked_neg()?).ok()?;
                // Where the divisor is out of reach, nothing but the sign is left.
                Some(match 10i64.checked_pow(places) {
                    Some(unit) => mantissa.div_euclid(unit),
                    None => mantissa.signum().min(0),
                })
            }
            Form::Wide(_) => None,
        }
    }

    /// The sum of both; nothing where it is out of reach.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        if let (Form::Word { mantissa, power }, Form::Word { mantissa: more, power: same }) =
            (&self.0, &other.0)
            && power == same
            && let Some(sum) = mantissa.checked_add(*more)
        {
            return Some(Self::word(sum, *power));
        }
        Number::sum(&[(false, &self.number()), (false, &other.number())]).map(Self::of)
    }

    /// This divided by a number of things, to twelve places behind the point, towards zero.
    #[must_use]
    pub fn divided(&self, count: usize) -> Option<Self> {
        Some(Self::of(self.number().divided(u64::try_from(count).ok()?)?))
    }

    /// As JSON writes it, without an exponent.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.0 {
            Form::Word { mantissa, power: 0 } => mantissa.to_string(),
            Form::Word { .. } | Form::Wide(_) => self.number().text(),
        }
    }

    fn word(mut mantissa: i64, mut power: i32) -> Self {
        // An integer is compared and added as it is: only fractions are brought to one form.
        while power < 0 && mantissa % 10 == 0 {
            (mantissa, power) = (mantissa / 10, power + 1);
        }
        Self(Form::Word { mantissa, power })
    }

    fn of(number: Number) -> Self {
        match number.word() {
            Some((mantissa, power)) => Self::word(mantissa, power),
            None => Self(Form::Wide(Rc::new(number))),
        }
    }

    fn number(&self) -> Number {
        match &self.0 {
            Form::Word { mantissa, power } => Number::of(*mantissa, *power),
            Form::Wide(number) => Number::clone(number),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Form::Word { mantissa, power }, Form::Word { mantissa: more, power: same }) =
            (&self.0, &other.0)
            && power == same
        {
            return mantissa.cmp(more);
        }
        let (mine, theirs) = (self.number(), other.number());
        let less = |a: &Number, b: &Number| {
            Number::sum(&[(false, b), (true, a)]).is_some_and(|more| more.is_positive())
        };
        match (less(&mine, &theirs), less(&theirs, &mine)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            (false, false) => Ordering::Equal,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_have_one_order_however_they_are_written() {
        let ascending = [
            "-1e30",
            "-1234567890123456789012",
            "-2.5",
            "-2",
            "0",
            "1e-7",
            "0.3",
            "1",
            "1.05",
            "10",
            "99999999999999999999",
        ];
        for (at, lesser) in ascending.iter().enumerate() {
            assert_eq!(of(lesser), of(lesser));
            for greater in ascending.iter().skip(at + 1) {
                assert!(of(lesser) < of(greater), "{lesser} {greater}");
            }
        }
        for (one, same) in [("1", "1.0"), ("100", "1e2"), ("-0", "0"), ("0.50", "5e-1")] {
            assert_eq!(of(one), of(same));
        }
    }

    #[test]
    fn a_mean_has_twelve_places() {
        for (sum, count, mean) in [
            ("10", 4, "2.5"),
            ("1", 3, "0.333333333333"),
            ("-2", 3, "-0.666666666666"),
            ("0", 7, "0"),
            ("123456789012345678901234567890", 10, "12345678901234567890123456789"),
        ] {
            assert_eq!(of(sum).divided(count).unwrap().text(), mean);
        }
        assert_eq!(of("1").divided(0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn sums_are_exact(cents in proptest::collection::vec(-1_000_000_000i64..1_000_000_000, 0..50)) {
            let euros = |cents: i64| of(&format!("{cents}e-2"));
            let total = cents.iter().try_fold(of("0"), |sum, it| sum.plus(&euros(*it))).unwrap();
            prop_assert_eq!(total, euros(cents.iter().sum()));
        }

        #[test]
        fn integers_compare_as_integers(a: i64, b: i64) {
            prop_assert_eq!(of(&a.to_string()).cmp(&of(&b.to_string())), a.cmp(&b));
        }
    }
}
