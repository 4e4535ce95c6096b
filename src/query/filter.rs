//! Which rows.

use super::Value;
use crate::model::Json;
use crate::model::json::elements;

/// A condition on a row. Columns are places in [`Query::columns`](super::Query::columns).
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every one of these; without any, every row.
    All(Vec<Self>),
    /// At least one of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A test of a column.
    Column(usize, Test),
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It equals this, by RFC 8785; what is absent equals only [`Value::Absent`].
    Equal(Value),
    /// It is one of these.
    In(Vec<Value>),
    /// It is of the same kind and less, or the same where the flag says so.
    Below(Value, bool),
    /// It is of the same kind and greater, or the same where the flag says so.
    Above(Value, bool),
    /// It is a text that begins so.
    Prefix(String),
    /// It is a list that has this element.
    Has(Json),
    /// It is there, `null` or not.
    Exists,
}

impl Filter {
    /// Whether a row meets the condition.
    #[must_use]
    pub fn takes(&self, row: &[Value]) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.takes(row)),
            Self::Any(any) => any.iter().any(|one| one.takes(row)),
            Self::Not(not) => !not.takes(row),
            Self::Column(column, test) => test.takes(row.get(*column).unwrap_or(&Value::Absent)),
        }
    }
}

impl Filter {
    /// The same condition over columns that stand elsewhere: at `places` by their present place.
    pub(super) fn renumber(&mut self, places: &[usize]) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter_mut().for_each(|part| part.renumber(places));
            }
            Self::Not(not) => not.renumber(places),
            Self::Column(column, _) => move_to(column, places),
        }
    }
}

/// A column that stands nowhere is beyond every row, and so absent.
pub(super) fn move_to(column: &mut usize, places: &[usize]) {
    *column = places.get(*column).copied().unwrap_or(usize::MAX);
}

impl Test {
    fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::In(wanted) => wanted.contains(value),
            Self::Below(limit, same) => {
                value.compare(limit).is_some_and(|order| order.is_lt() || *same && order.is_eq())
            }
            Self::Above(limit, same) => {
                value.compare(limit).is_some_and(|order| order.is_gt() || *same && order.is_eq())
            }
            Self::Prefix(prefix) => {
                matches!(value, Value::Text(text) if text.starts_with(&**prefix))
            }
            Self::Has(element) => {
                matches!(value, Value::Other(list) if elements(list).contains(element))
            }
            Self::Exists => *value != Value::Absent,
        }
    }
}
