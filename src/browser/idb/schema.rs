//! The layout's table of stores as rexie declares it.

use rexie::{Index, ObjectStore, RexieBuilder};

use crate::layout::STORES;

/// Rexie takes the whole table at every version: an upgrade deletes a store or an index that is not declared, with all that is
/// in it. So this is made of the one constant table, whole.
pub(super) fn builder(name: &str, version: u32) -> RexieBuilder {
    let mut builder = RexieBuilder::new(name).version(version);
    for spec in STORES {
        let mut store = ObjectStore::new(spec.name);
        for index in spec.indexes {
            // Both flags are said: an index that leaves one open is made anew at every upgrade.
            let declared = Index::new(index.name, index.name).unique(false);
            store = store.add_index(declared.multi_entry(index.many));
        }
        builder = builder.add_object_store(store);
    }
    builder
}
