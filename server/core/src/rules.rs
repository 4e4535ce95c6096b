//! What an application may refuse, and change, on top of the protocol.

use serde::Deserialize;

use crate::document::Document;
use crate::store::Record;
use crate::wire::{Operation, Rejection};

/// The application's own rules. Asked after the versions agreed, inside the transaction; pure.
pub trait Rules {
    /// Refuses an operation, or lets it pass (`None`). `current` is the record as it is, `result`
    /// what the operation would make of it (`None`: deleted).
    fn check(
        &self,
        operation: &Operation,
        current: Option<&Record>,
        result: Option<&Document>,
    ) -> Option<Rejection> {
        let _ = (operation, current, result);
        None
    }

    /// The document to store instead of `result`, where the server completes or corrects it. The
    /// answer then carries it.
    fn amend(&self, operation: &Operation, result: &Document) -> Option<Document> {
        let _ = (operation, result);
        None
    }
}

/// Accepts everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAll;

impl Rules for AcceptAll {}

/// The till's rules: a document of `orders` has an array `lines` whose members each have an
/// integer `cents` (the line's total), and an integer `total` that is their sum, not below zero.
/// Anything else is refused for good with the code `validation`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PosRules;

#[derive(Deserialize)]
struct Order {
    lines: Vec<Line>,
    total: i64,
}

#[derive(Deserialize)]
struct Line {
    cents: i64,
}

impl Rules for PosRules {
    fn check(
        &self,
        operation: &Operation,
        _current: Option<&Record>,
        result: Option<&Document>,
    ) -> Option<Rejection> {
        let document = result.filter(|_| operation.key.collection == "orders")?;
        let refuse = |message| Some(Rejection::last("validation", message));
        let Ok(order) = serde_json::from_str::<Order>(document.as_str()) else {
            return refuse("an order needs lines with whole cents, and a whole total");
        };
        let sum = order.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.cents));
        if sum != Some(order.total) {
            return refuse("the total is not the sum of the lines");
        }
        if order.total < 0 {
            return refuse("the total is below zero");
        }
        None
    }
}
