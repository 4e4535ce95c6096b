//! The application's resolver, simulated: it answers when the tape says so, sensibly or not, or never (R26, P19, P20).

use std::rc::Rc;

use holdfast::model::{
    Answer, Choice, Conflict, ConflictId, Decider, Document, Presence, Resolved, Side,
};
use holdfast::port::{Asking, Resolver};

use crate::host::{Shared, Slot};
use crate::oracle::{Commit, Oracle};

/// A conflict that a resolver was shown.
pub(crate) struct Question {
    pub(crate) tab: u32,
    pub(crate) shown: Conflict,
    /// It will never answer.
    pub(crate) silent: bool,
    pub(crate) slot: Slot<Answer>,
}

pub(crate) struct SimResolver {
    pub(crate) shared: Rc<Shared>,
    pub(crate) tab: u32,
}

impl Resolver for SimResolver {
    fn ask(&self, conflict: &Conflict) -> Asking {
        let (shared, slot) = (&self.shared, Slot::new());
        shared.oracle.note("questions");
        if !shared.resolver {
            shared.oracle.fail("R26 resolver", "the application has none and is asked");
        }
        let mut questions = shared.questions.borrow_mut();
        questions.retain(|it| it.slot.is_awaited());
        if questions.iter().any(|it| it.tab == self.tab) {
            let text = format!("t{} is asked while it is thinking: {conflict:?}", self.tab);
            shared.oracle.fail("P20 resolver", text);
        }
        let (tab, shown) = (self.tab, conflict.clone());
        questions.push(Question { tab, shown, silent: false, slot: slot.clone() });
        Box::pin(slot.filled())
    }
}

/// What a resolver says, of the behaviours that the core can tell apart: a throw, nonsense and "defer" are one word at its door.
/// Nothing where it never answers.
pub(crate) fn word(shared: &Shared, shown: &Conflict) -> Option<Answer> {
    let pick = |n| shared.tape.borrow_mut().pick(n);
    let both = shown.mine.document().is_some() && shown.theirs.document().is_some();
    Some(match pick(8) {
        // What counts is not made of one member that does not.
        1..=3 if crate::replay::counts(&shown.key) => Answer::Choice(Choice::Mine),
        0 => Answer::Choice(Choice::Mine),
        1 => Answer::Choice(Choice::Theirs),
        2 => {
            let text = format!(r#"{{"m":{}}}"#, pick(8));
            let document = Document::parse(&text).expect("the world's own text");
            Answer::Choice(Choice::Merged(Presence::Live(document)))
        }
        3 => Answer::Choice(Choice::Merged(Presence::Deleted)),
        // Where a side is deleted there is nothing to choose from: that is nonsense, too.
        4 | 5 => {
            let side = |_| if pick(2) == 0 { Side::Mine } else { Side::Theirs };
            let fields = shown.fields.iter().map(|path| (path.clone(), side(path))).collect();
            shared.oracle.note(if both { "sides by field" } else { "nonsense answers" });
            Answer::Choice(Choice::Fields(fields))
        }
        6 => Answer::Person,
        _ => return None,
    })
}

impl Oracle {
    /// Notes what a resolver said of what.
    pub(crate) fn heard(&self, shown: &Conflict, answer: &Answer) {
        if let Answer::Choice(choice) = answer {
            let said = (shown.clone(), choice.name());
            self.ledger.borrow_mut().said.entry(shown.id).or_default().push(said);
        }
    }

    /// P19, P20: one decision for each conflict; the resolver's is one that it made, of both sides as they were.
    pub(crate) fn decisions(&self, c: &Commit<'_>) {
        for conflict in c.set.conflicts.values() {
            let was = c.was.conflicts.get(&conflict.id);
            let before = was.and_then(|it| it.resolved.as_ref());
            match (before, &conflict.resolved) {
                // It is open again where its operation came back.
                (Some(was), None) if was.choice == "handed-over" => {}
                (Some(was), is) if is.as_ref() != Some(was) => {
                    let text = format!("{} was decided: {was:?}, then {is:?}", conflict.id);
                    self.fail("P19 one decision", text);
                }
                (None, Some(resolved)) if resolved.by == Decider::Callback => {
                    self.decided(conflict.id, was, resolved, c);
                }
                (Some(_) | None, _) => {}
            }
            let persons = |it: &Conflict| it.resolved.is_none() && !it.asks_resolver();
            if was.is_some_and(persons) && conflict.asks_resolver() {
                self.fail("P20 resolver", format!("a person's conflict is asked of it: {was:?}"));
            }
        }
    }

    fn decided(&self, id: ConflictId, was: Option<&Conflict>, resolved: &Resolved, c: &Commit<'_>) {
        self.note("decisions of the resolver");
        let ledger = self.ledger.borrow();
        let said = ledger.said.get(&id).map_or(&[][..], Vec::as_slice);
        let same = |shown: &Conflict, now: &Conflict| {
            shown.mine == now.mine && shown.theirs == now.theirs && shown.version == now.version
        };
        let made = was.is_some_and(|was| {
            said.iter().any(|(shown, choice)| *choice == resolved.choice && same(shown, was))
        });
        if !made || c.terms.get(&c.was.meta.term) != Some(&c.tab) {
            let text = format!("t{}: {resolved:?} of {was:?}, it said {said:?}", c.tab);
            self.fail("P20 resolver", text);
        }
    }
}
