//! What the application's resolver said of a conflict (tx `resolve`). It was asked outside of any transaction, so its answer is
//! held against what the conflict is by now (R26, P20).

use super::Deposed;
use super::draft::{Draft, Notice};
use super::push::fence;
use super::resolve::{chosen, settle};
use crate::model::{
    Answer, Asks, Conflict, Ctx, Decider, Decision, OpId, Resolved, Rules, Snapshot,
};

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The conflict is settled, or waits for a person.
    Done {
        /// What changed.
        notice: Notice,
    },
    /// One of the sides is no longer the one that was shown: nothing is decided (P19).
    Moved,
    /// The resolver is not asked any more: somebody decided, or this very answer was stored before.
    Over,
}

/// Puts an answer into effect. A choice that does not fit the conflict is a person's to make.
pub fn answer(
    s: &Snapshot,
    shown: &Conflict,
    answer: &Answer,
    call: OpId,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Answered, Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let Some(conflict) = s.conflicts.get(&shown.id).filter(|it| it.asks_resolver()) else {
        return Decision::nothing(Ok(Answered::Over));
    };
    let fits = match answer {
        Answer::Person => None,
        Answer::Choice(_) if conflict.has_moved(shown) => {
            return Decision::nothing(Ok(Answered::Moved));
        }
        Answer::Choice(choice) => chosen(choice, &conflict.mine, &conflict.theirs)
            .map(|chosen| (choice.name().to_owned(), chosen)),
    };
    let mut draft = Draft::new(s, rules, ctx);
    match fits {
        Some((choice, chosen)) => {
            let by = Decider::Callback;
            let resolved = Resolved { by, choice, at: ctx.now, call: Some(call) };
            settle(&mut draft, conflict, &chosen, resolved);
        }
        None => {
            let handed = Conflict { asks: Asks::Person, ..conflict.clone() };
            draft.conflicts.insert(shown.id, handed);
        }
    }
    // Only now it is known who decides.
    draft.notice.conflicts.push(shown.id);
    draft.finish(|notice| Ok(Answered::Done { notice }))
}
