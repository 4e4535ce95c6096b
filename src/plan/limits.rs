//! How much may wait, and how large a record may be (P4, P35). Nothing is ever evicted to make room.

use super::draft::Draft;
use super::write::Action;
use crate::model::{Code, Document, Intent, Limits, Presence, SyncError, json};

/// Why a write's content cannot be taken: it, or what it would make of the record, is larger than a record may be. What was
/// large before may be changed as long as it does not grow.
pub(super) fn content(
    action: &Action,
    intent: &Intent,
    view: Option<&Presence>,
    limits: &Limits,
) -> Result<(), SyncError> {
    let too_large =
        |path: &str, message: &'static str| Err(SyncError::new(Code::TooLarge, message).at(path));
    let (path, given) = match action {
        Action::Create(document) | Action::Replace(document) => ("document", document),
        Action::Patch(patch) => ("patch", patch),
        // What is restored was a document once.
        Action::Remove | Action::Restore { .. } => return Ok(()),
    };
    if json::longest_name(given.text()) > limits.name_bytes {
        return too_large(path, "the name of a member has at most 256 bytes");
    }
    let size = |document: Option<&Document>| document.map_or(0, |it| it.text().len());
    let before = size(view.and_then(Presence::document));
    let after = match intent {
        Intent::Create(_) | Intent::Replace(_) => size(Some(given)),
        Intent::Change(_) | Intent::Delete | Intent::Resolve(_) => {
            let after = intent.replay(view);
            size(after.as_ref().and_then(Presence::document))
        }
    };
    let grows = after > before || matches!(intent, Intent::Create(_) | Intent::Replace(_));
    if after > limits.document_bytes && grows {
        return too_large("document", "a document has at most 256 KiB");
    }
    Ok(())
}

/// Why the outbox cannot take what a draft puts into it. A write that goes into one that waits, or that makes the outbox smaller, is
/// taken however full it is.
pub(super) fn room(draft: &Draft<'_>) -> Result<(), SyncError> {
    let limits = &draft.rules.limits;
    let (was, is) = draft.load();
    let message = if is.operations > limits.outbox_operations && is.operations > was.operations {
        "the outbox holds as many operations as it may"
    } else if is.bytes > limits.outbox_bytes && is.bytes > was.bytes {
        "the outbox holds as many bytes as it may"
    } else {
        return Ok(());
    };
    Err(SyncError::new(Code::OutboxFull, message))
}
