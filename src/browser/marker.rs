//! A mark beside the database, where a browser keeps it apart: a database that is gone while its mark is there was lost (P29).
//! Without `localStorage`, as in a worker, there are no marks.

use super::locks::local_storage;

fn key(database: &str) -> String {
    let mut key = database.to_owned();
    key.push_str(":database");
    key
}

/// The mark of the database of this name.
#[must_use]
pub fn marker(database: &str) -> Option<String> {
    local_storage()?.get_item(&key(database)).ok()?
}

/// Sets the mark of the database of this name, which must be stored by then. Where there is no room for it, there is none.
pub fn mark(database: &str, marker: &str) {
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(&key(database), marker);
    }
}
