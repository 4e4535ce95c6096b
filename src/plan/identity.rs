//! The names of records (R16, R17): a device keeps every record under the first id it had here; a server may know it by another.
//! What leaves is told in the server's names, what comes is kept in our own.

use crate::model::Map;
use crate::model::json::unquote;
use crate::model::map::Listed;
use crate::model::references::{self, References, named, named_by, rename};
use crate::model::{
    Batch, Code, CollectionRules, Document, EntityKey, Intent, Json, OutboxFile, Outcome, Presence,
    PullPage, PushReply, Root, Rules, Snapshot, SyncError, Theirs,
};

/// The names that a server is told, in place of those that an operation says; nothing where they are the same.
pub(super) fn outward(
    s: &Snapshot,
    key: &EntityKey,
    intent: &Intent,
    rules: &Rules,
) -> Option<Intent> {
    if s.meta.aliases == 0 {
        return None;
    }
    let references = &rules.collections.get(&key.collection)?.references;
    references::rename_intent(intent, references, &|key| {
        let name = server_id(s, key);
        (name != key.id).then_some(name)
    })
}

/// The id by which the server knows a record.
pub(super) fn server_id(s: &Snapshot, key: &EntityKey) -> String {
    let key = s.own_key(key);
    let name = s.records.get(&key).and_then(|record| record.server_id.clone());
    name.unwrap_or(key.id)
}

/// What a user wrote, checked and with own ids in its declared references, whatever id the user knows a record by.
///
/// # Errors
/// `invalid-value` with its path: a reference that is neither absent, `null` nor a string that can be an id.
pub(super) fn written(
    s: &Snapshot,
    document: &Document,
    references: &References,
) -> Result<Document, SyncError> {
    for path in references.keys() {
        if let Some(found) = document.get(&path.0)
            && !may_name(&found)
        {
            let message = "a reference holds the id of a record, or null";
            return Err(SyncError::new(Code::InvalidValue, message).at(path.to_string()));
        }
    }
    let renamed = rename(document, references, &|key| {
        let own = s.own_key(key);
        (own != *key && !s.records.contains_key(key)).then_some(own.id)
    });
    Ok(renamed.unwrap_or_else(|| document.clone()))
}

/// The longest id, in characters.
const ID_CHARS: usize = 128;

fn may_name(value: &Json) -> bool {
    value.text() == "null"
        || unquote(value.text()).is_some_and(|id| (1..=ID_CHARS).contains(&id.chars().count()))
}

/// The declared references, for a claim that turns them into the server's names; none where there are none.
/// Nothing is read for them while nothing has another name.
#[must_use]
pub fn at_departure(rules: &Rules) -> Option<Root> {
    let declared: Map<String, References> = rules
        .collections
        .iter()
        .filter(|(_, rules)| !rules.references.is_empty())
        .map(|(name, rules)| (name.clone(), rules.references.clone()))
        .collect();
    (!declared.is_empty()).then_some(Root::Named(declared))
}

/// The records that a person's content may name, whatever collection it is of.
#[must_use]
pub fn in_content(document: &Document, rules: &Rules) -> Vec<Root> {
    let declared = rules.collections.values().map(|rules| &rules.references);
    declared.flat_map(|declared| named(document, declared)).map(Root::Record).listed()
}

/// What has to be known of names to bring a file.
#[must_use]
pub fn in_file(file: &OutboxFile, rules: &Rules) -> Vec<Root> {
    references::named_in_file(file, rules).into_iter().map(Root::Name).collect()
}

/// What has to be known of names to store a page. Nothing is read for it while there are no names and no operations.
#[must_use]
pub fn in_page(page: &PullPage, rules: &Rules) -> Vec<Root> {
    let mut roots = Vec::new();
    for change in &page.changes {
        roots.extend(change.op.map(|op| {
            let within = namers(&change.key.collection, rules);
            Root::Echo { op, named: change.key.clone(), within }
        }));
        // The record that the row says we made, by our own name for it.
        let own = change.own.as_ref().map(|own| EntityKey::new(&*change.key.collection, &**own));
        roots.extend(own.map(Root::Record));
        if let Some(document) = change.presence.document() {
            names(&change.key.collection, document, rules, &mut roots);
        }
    }
    roots
}

/// What has to be known of names to put an answer into effect.
#[must_use]
pub fn in_reply(batch: &Batch, reply: &PushReply, rules: &Rules) -> Vec<Root> {
    let mut roots = Vec::new();
    if let Some(page) = &reply.page {
        roots.extend(page.changes.iter().map(|change| Root::Pulled(change.key.clone())));
        roots.extend(in_page(page, rules));
    }
    for departure in &batch.operations {
        if let Some(rules) = rules.collections.get(&departure.collection) {
            let named = named_by(&departure.intent, &rules.references);
            roots.extend(named.into_iter().map(Root::Name));
        }
    }
    for (op, outcome) in &reply.outcomes {
        let Some(departure) = batch.operations.iter().find(|it| it.op == *op) else { continue };
        let (document, assigned) = match outcome {
            Outcome::Applied { presence, assigned_id, .. } => {
                (presence.as_ref().and_then(Presence::document), assigned_id)
            }
            Outcome::Conflict { theirs: Theirs::Live { document, .. }, other, .. } => {
                (Some(document), other)
            }
            Outcome::Conflict { other, .. } => (None, other),
            Outcome::Rejected { .. } | Outcome::Retry { .. } => (None, &None),
        };
        if let Some(document) = document {
            names(&departure.collection, document, rules, &mut roots);
        }
        if let Some(assigned) = assigned {
            let named = EntityKey::new(&*departure.collection, &**assigned);
            let within = namers(&named.collection, rules);
            // An answer to what left once is the first that is heard of the id: the server did not have it before.
            roots.push(Root::Assigned { named, within, seen: departure.sends > 1 });
        }
    }
    roots
}

/// The collections whose records may name one of this collection's.
fn namers(collection: &str, rules: &Rules) -> Vec<String> {
    let names_it =
        |it: &CollectionRules| it.references.iter().any(|(_, target)| *target == collection);
    let within = rules.collections.iter().filter(|(_, it)| names_it(it));
    within.map(|(name, _)| name.clone()).listed()
}

fn names(collection: &str, document: &Document, rules: &Rules, roots: &mut Vec<Root>) {
    if let Some(rules) = rules.collections.get(collection) {
        roots.extend(named(document, &rules.references).into_iter().map(Root::Name));
    }
}

/// Whether a change is told under a name that the record no longer has: it was made anew under another since.
pub(super) fn is_retired(current: Option<&String>, key: &EntityKey, named: &EntityKey) -> bool {
    named != key && current.is_some_and(|current| *current != named.id)
}
