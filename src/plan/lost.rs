//! Noticing that the browser lost a database (P29, tx `lost`). A marker beside the database holds its name for servers; a database
//! that came back empty has another, or none.

use crate::model::{Changeset, Ctx, Decision, DeviceId, Snapshot};

/// Whether what was here before is gone. `device` is what the database says of itself, `marker` what is written beside it, and
/// `deleted` the browser's own word.
///
/// Without a marker nobody knows better: the database is new, an older release made it, or the marker was cleared.
/// A marker of another database means a loss even where there is data: somebody who sees no markers, a worker, began anew.
#[must_use]
pub fn is_lost(device: Option<DeviceId>, marker: Option<&str>, deleted: bool) -> bool {
    match (marker.and_then(DeviceId::parse), device) {
        _ if deleted => true,
        (None, _) => false,
        (Some(_), None) => true,
        (Some(marked), Some(device)) => marked != device,
    }
}

/// Remembers the loss until a pull is complete, and gives the database its own name for servers: operations of the lost one may be on
/// their way still, and nothing of theirs belongs to this one.
pub fn lost(s: &Snapshot, ctx: &Ctx) -> Decision<()> {
    let mut meta = s.meta.clone();
    meta.lost = Some(ctx.now);
    meta.device.get_or_insert_with(|| ctx.ids.device(1));
    let mut changes = Changeset::nothing();
    changes.keep_meta(&s.meta, meta);
    Decision { changes, output: () }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IdSeed, Meta, Wall};

    const SEED: IdSeed = IdSeed { at: Wall(1), random: [7; 10] };

    /// P29: only a marker that names another database, or the browser's own word, means a loss.
    #[test]
    fn a_loss_is_a_marker_without_its_database() {
        let (one, other) = (SEED.device(1), SEED.device(2));
        let text = one.to_string();
        for (device, marker, deleted, expected) in [
            (None, None, false, false),
            (Some(one), None, false, false),
            (Some(one), Some(&*text), false, false),
            (None, Some(&*text), false, true),
            (Some(other), Some(&*text), false, true),
            (None, None, true, true),
            (Some(one), Some(&*text), true, true),
            (None, Some("no id at all"), false, false),
        ] {
            assert_eq!(
                is_lost(device, marker, deleted),
                expected,
                "{device:?} {marker:?} {deleted}"
            );
        }
    }

    /// P29: a new name for servers, unless somebody gave it one already.
    #[test]
    fn a_lost_database_gets_a_name_of_its_own() {
        let ctx = Ctx { now: Wall(9), term: None, ids: SEED, jitter: 0 };
        let named = Snapshot {
            meta: Meta { device: Some(SEED.device(5)), ..Meta::default() },
            ..Snapshot::default()
        };
        for (found, device) in [(Snapshot::default(), SEED.device(1)), (named, SEED.device(5))] {
            let meta = lost(&found, &ctx).changes.meta.unwrap();
            assert_eq!((meta.device, meta.lost), (Some(device), Some(Wall(9))));
        }
    }
}
