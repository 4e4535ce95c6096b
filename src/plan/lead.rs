//! Taking the lead (tx `lead`): the next term, stored before anything is done under it (R21).

use crate::model::{Changeset, Ctx, Decision, Reserve, SPARE_TERMS, Snapshot, Term};

/// The next term. While nothing can be written it is taken out of the reserve; else the reserve is filled where it is not (R27).
pub fn lead(s: &Snapshot, ctx: &Ctx) -> Decision<Term> {
    let term = Term(s.meta.term.0 + 1);
    let mut changes = Changeset::nothing();
    if let Some(left @ 1..) = s.spares {
        changes.reserve = Some(Reserve::DrawTerm(left));
        return Decision { changes, output: term };
    }
    let mut meta = s.meta.clone();
    meta.term = term;
    meta.device.get_or_insert_with(|| ctx.ids.device(1));
    if !s.is_draining() && meta.reserve < SPARE_TERMS {
        meta.reserve = SPARE_TERMS;
        changes.reserve = Some(Reserve::Fill);
    }
    changes.keep_meta(&s.meta, meta);
    Decision { changes, output: term }
}

/// The next term where there is no space for it and the server answers (tx `drain.lead`): a spare one, and with it the outbox
/// begins to drain (R27). Nothing where there is no reserve, or nothing to drain.
pub fn lead_at_full_quota(s: &Snapshot) -> Decision<Option<Term>> {
    let term = Term(s.meta.term.0 + 1);
    let spare = s.spares.unwrap_or(s.meta.reserve);
    if spare == 0 || s.meta.counts.pending == 0 {
        return Decision::nothing(None);
    }
    let mut changes = Changeset::nothing();
    changes.reserve = Some(Reserve::DrawTerm(spare));
    Decision { changes, output: Some(term) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counts, IdSeed, Meta, Wall};

    const CTX: Ctx =
        Ctx { now: Wall(9), term: None, ids: IdSeed { at: Wall(1), random: [7; 10] }, jitter: 0 };

    fn found(term: u64, reserve: u64, spares: Option<u64>) -> Snapshot {
        let counts = Counts { accepted: 1, pending: 1, ..Counts::default() };
        let meta = Meta { term: Term(term), reserve, counts, ..Meta::default() };
        Snapshot { meta, spares, ..Snapshot::default() }
    }

    /// R21, R27: every way to the next term, and what is written for it.
    #[test]
    fn a_term_is_written_or_taken_out_of_the_reserve() {
        let full = Some(Reserve::Fill);
        for (s, reserve, writes) in [
            (found(0, 0, None), full, true),
            (found(4, SPARE_TERMS, None), None, true),
            (found(4, SPARE_TERMS, Some(7)), Some(Reserve::DrawTerm(7)), false),
            // All were taken: if there is no space now, nobody leads until there is.
            (found(4, SPARE_TERMS, Some(0)), None, true),
        ] {
            let decision = lead(&s, &CTX);
            assert_eq!(decision.output, Term(s.meta.term.0 + 1));
            assert_eq!(decision.changes.reserve, reserve, "{s:?}");
            assert_eq!(decision.changes.meta.is_some(), writes, "{s:?}");
        }
    }

    /// R27: without space and without a reserve, or without anything to send, nobody leads.
    #[test]
    fn a_term_at_full_quota_is_drawn_for_what_waits() {
        let drawn =
            |s: &Snapshot| (lead_at_full_quota(s).output, lead_at_full_quota(s).changes.reserve);
        let all = Some(Reserve::DrawTerm(SPARE_TERMS));
        assert_eq!(drawn(&found(4, SPARE_TERMS, None)), (Some(Term(5)), all));
        assert_eq!(drawn(&found(4, 0, None)), (None, None));
        let mut idle = found(4, SPARE_TERMS, None);
        idle.meta.counts = Counts::default();
        assert_eq!(drawn(&idle), (None, None));
    }
}
