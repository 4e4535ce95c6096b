//! Taking the lead (tx `lead`): the next term, stored before anything is done under it (R21).

use crate::model::{Changeset, Ctx, Decision, Meta, Snapshot, Term};

/// The next term.
pub fn lead(s: &Snapshot, ctx: &Ctx) -> Decision<Term> {
    let term = Term(s.meta.term.0 + 1);
    let device = Some(s.meta.device.unwrap_or_else(|| ctx.ids.device(1)));
    let meta = Meta { term, device, ..s.meta.clone() };
    let mut changes = Changeset::nothing();
    changes.keep_meta(&s.meta, meta);
    Decision { changes, output: term }
}
