//! Questions about a collection: which records, in which order, how many, and what they add up to. Pure: a question is read from
//! the JSON text that an application writes, and answered over rows of values that somebody else brings, from an index in memory
//! or from the documents themselves.
//!
//! Values of different kinds have one order: what is absent, `null`, booleans, numbers, texts (by code points), and everything else.
//! A comparison is true of values of one kind only, so that `{ "gt": 5 }` never finds a text. Numbers are decimals: nothing is rounded.

mod decimal;
mod filter;
mod group;
mod read;
mod row;
mod select;
mod value;

pub use decimal::Decimal;
pub use filter::{Filter, Test};
pub use group::{Fold, Group, Part, Totals};
pub use read::{place_text, read_aggregate, read_query};
pub use row::{elements, values};
pub use select::{Direction, Order, Selected, select};
pub use value::Value;

use crate::model::{Path, Scope};

/// Names where a record stands in place of a member: `synced`, `pending`, `syncing`, `conflict` or `rejected`. Whoever brings the rows
/// puts it there.
pub const STATE: &str = "$state";

/// Which records of a collection.
///
/// ```
/// use holdfast::query::read_query;
/// let query = read_query(r#"{"where":{"status":"open","total":{"gte":1000}},"orderBy":"createdAt","limit":50}"#).unwrap();
/// assert_eq!(query.columns.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The members that the question is about; everything below names them by their place here.
    pub columns: Vec<Path>,
    /// Which rows.
    pub filter: Filter,
    /// In which order; the id decides between equals.
    pub order: Vec<Order>,
    /// How many rows are passed over first.
    pub offset: usize,
    /// How many rows at the most.
    pub limit: Option<usize>,
    /// Go on behind this row: its values in the order asked for, and its id.
    pub after: Option<(Vec<Value>, String)>,
    /// Only rows that this scope brought; the table's keeper sees to it.
    pub scope: Option<Scope>,
}

/// What records of a collection add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The members that the question is about, or, below `each`, those of its elements.
    pub columns: Vec<Path>,
    /// Every element of this list is a row of its own.
    pub each: Option<Path>,
    /// Which rows.
    pub filter: Filter,
    /// What makes a group: members, or parts of their values.
    pub groups: Vec<Group>,
    /// What is calculated in every group.
    pub folds: Vec<Fold>,
    /// Only rows that this scope brought; the table's keeper sees to it.
    pub scope: Option<Scope>,
}
