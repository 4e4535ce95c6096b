//! The first layout: one row per record and per operation. Which rows a changeset becomes and which rows a need asks for are
//! decided here, once, for every backend; a backend only gets, scans, puts and deletes rows by key.
//!
//! A row is `{ text, <index>: key... }` under a key. Keys are lists of texts and numbers, as IndexedDB orders them.
//! The table of stores is [`STORES`]; `docs/formats.md` shows a row of each.

mod file;
mod gather;
mod read;
mod reserve;
mod rows;
mod write;

pub use file::{MAX_FILE_BYTES, file_text, read_file};
pub use gather::{Gather, Query, RowText, list, listing};
pub use rows::{Row, RowChange, changes};

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Sorts before every text, as in IndexedDB.
    Number(u64),
    /// Sorts by UTF-16 in IndexedDB and by UTF-8 in memory; nothing depends on the difference.
    Text(String),
}

/// A key, or the first parts of one.
pub type Key = Vec<Part>;

/// Declares a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSpec {
    /// Its name.
    pub name: &'static str,
    /// Its indexes.
    pub indexes: &'static [IndexSpec],
}

/// Declares an index over the member of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSpec {
    /// Its name.
    pub name: &'static str,
    /// The member is a list of keys, and each is an entry.
    pub many: bool,
}

const fn one(name: &'static str) -> IndexSpec {
    IndexSpec { name, many: false }
}

const fn many(name: &'static str) -> IndexSpec {
    IndexSpec { name, many: true }
}

/// The version of the table below: raised whenever a store or an index is added.
pub const VERSION: u32 = 2;

/// Every store. An upgrade deletes a store that is not declared, with all that is in it, so nothing may ever leave this table.
pub const STORES: &[StoreSpec] = &[
    StoreSpec { name: "records", indexes: &[] },
    StoreSpec {
        name: "outbox",
        indexes: &[
            one("entity"),
            one("ready"),
            many("refs"),
            many("ids"),
            one("flight"),
            one("group"),
        ],
    },
    StoreSpec { name: "conflicts", indexes: &[] },
    StoreSpec { name: "cursors", indexes: &[] },
    StoreSpec { name: "meta", indexes: &[] },
    StoreSpec { name: "journal", indexes: &[] },
    StoreSpec { name: "quarantine", indexes: &[] },
    StoreSpec { name: "aliases", indexes: &[] },
    StoreSpec { name: "settled", indexes: &[one("at")] },
    StoreSpec { name: "flights", indexes: &[] },
];

pub(crate) fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

pub(crate) fn entity(key: &crate::model::EntityKey) -> Key {
    vec![text(&*key.collection), text(&*key.id)]
}
