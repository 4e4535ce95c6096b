//! One value of a row, read as far as a question needs it.

use std::cmp::Ordering;
use std::rc::Rc;

use super::Decimal;
use crate::model::Json;
use crate::model::json::{quote, unquote};

/// A value of a row. The order of the variants is the order between kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// There is none.
    Absent,
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(Decimal),
    /// A text.
    Text(Rc<str>),
    /// A list or an object: it equals what has the same RFC 8785 text.
    Other(Json),
}

impl Value {
    /// A JSON value. A number out of a double's reach is taken as what is neither number nor text.
    #[must_use]
    pub fn of(json: &Json) -> Self {
        match json.text() {
            "null" => Self::Null,
            "true" => Self::Flag(true),
            "false" => Self::Flag(false),
            text if text.starts_with('"') => match unquote(text) {
                Some(text) => Self::Text(text.into()),
                None => Self::Other(json.clone()),
            },
            text => match Decimal::parse(text) {
                Some(number) => Self::Number(number),
                None => Self::Other(json.clone()),
            },
        }
    }

    /// As JSON writes it; what is absent is `null`.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Absent | Self::Null => "null".to_owned(),
            Self::Flag(flag) => if *flag { "true" } else { "false" }.to_owned(),
            Self::Number(number) => number.text(),
            Self::Text(text) => quote(text),
            Self::Other(json) => json.text().to_owned(),
        }
    }

    /// The order of two values of one kind; nothing between kinds, and for what has no order.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Flag(a), Self::Flag(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (
                Self::Absent
                | Self::Null
                | Self::Flag(_)
                | Self::Number(_)
                | Self::Text(_)
                | Self::Other(_),
                _,
            ) => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Null => 1,
            Self::Flag(_) => 2,
            Self::Number(_) => 3,
            Self::Text(_) => 4,
            Self::Other(_) => 5,
        }
    }
}

/// The one order of all values.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Other(a), Self::Other(b)) = (self, other) {
            return if a == b { Ordering::Equal } else { a.text().cmp(b.text()) };
        }
        self.compare(other).unwrap_or_else(|| self.rank().cmp(&other.rank()))
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn of(text: &str) -> Value {
        if text == "-" { Value::Absent } else { Value::of(&Json::parse(text).unwrap()) }
    }

    #[test]
    fn kinds_have_an_order_and_compare_only_with_themselves() {
        let ascending = [
            "-", "null", "false", "true", "-1", "0.5", "7", r#""""#, r#""10""#, r#""9""#, r#""é""#,
            "[1]",
        ];
        for (at, lesser) in ascending.iter().enumerate() {
            for greater in ascending.iter().skip(at + 1) {
                assert!(of(lesser) < of(greater), "{lesser} {greater}");
            }
            assert_eq!(of(lesser).cmp(&of(lesser)), Ordering::Equal);
        }
        assert_eq!(of("7").compare(&of(r#""9""#)), None);
        assert_eq!(of("[1]").compare(&of("[1]")), None);
        assert_eq!(of(r#"{"a":1,"b":2}"#), of(r#"{"b":2.0,"a":1}"#));
    }
}
