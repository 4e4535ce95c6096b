//! Bringing back the side of a conflict that lost: an ordinary write (tx `write`) on the record as it is by now (P18).

use super::draft::HANDED_OVER;
use super::write::Action;
use crate::model::{Code, Conflict, Presence, SyncError};

/// The write that brings the losing side back: theirs where ours won, else ours.
///
/// # Errors
/// `pending-work` while nobody decided: both sides are there, and deciding is what is needed.
pub fn restore(conflict: &Conflict) -> Result<Action, SyncError> {
    let Some(resolved) = &conflict.resolved else {
        let message = "the conflict is open: it has no losing side before it is resolved";
        return Err(SyncError::new(Code::PendingWork, message).of(conflict.op));
    };
    let side: &Presence = match &*resolved.choice {
        "mine" => &conflict.theirs,
        HANDED_OVER => {
            let message = "the conflict is open on another device: both sides are there";
            return Err(SyncError::new(Code::PendingWork, message).of(conflict.op));
        }
        _ => &conflict.mine,
    };
    Ok(Action::Restore { side: side.clone(), fields: conflict.fields.clone() })
}
