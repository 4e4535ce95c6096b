//! The application's resolver, and bringing back what lost (R26; P18, P19, P20, P26).

use std::rc::Rc;

use holdfast::engine::{Event, Verdict, WriteRequest};
use holdfast::model::{
    Answer, Asks, Choice, Code, Conflict, Decider, EntityKey, Fate, Millis, Need, Path, Presence,
    Side, Strategy,
};
use holdfast::plan::asks::Answered;
use holdfast::plan::write::Action;
use holdfast::port::{Clock, Host};

use crate::till::{Till, applied, conflict, deleted, doc, live, order, tombstone, version};
use crate::world::{Line, World, says};

fn live_side(text: &str) -> Presence {
    Presence::Live(doc(text))
}

/// Both sides changed `a`; the resolver is to be asked.
fn open() -> Till {
    let mut till = Till::with(Strategy::Callback);
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":3,"b":1}"#));
    till
}

/// `choice | what the app sees | what leaves`.
#[test]
fn whatever_the_resolver_chooses_is_put_into_effect() {
    let fields = vec![(Path::field("a"), Side::Mine)];
    for (choice, name, sees, leaves) in [
        (Choice::Mine, "mine", Some(r#"{"a":2,"b":1}"#), true),
        (Choice::Theirs, "theirs", Some(r#"{"a":3,"b":1}"#), false),
        (Choice::Merged(live_side(r#"{"a":23}"#)), "merged", Some(r#"{"a":23}"#), true),
        (Choice::Merged(Presence::Deleted), "merged", None, true),
        (Choice::Fields(fields), "fields", Some(r#"{"a":2,"b":1}"#), true),
    ] {
        let mut till = open();
        let shown = till.open_conflict();
        let answered = till.answers(&shown, &Answer::Choice(choice)).unwrap();
        let Answered::Done { notice } = answered else { panic!("{name}: {answered:?}") };
        assert_eq!(notice.conflicts, [shown.id], "{name}: told when it is known who decided");
        let closed = till.conflict(shown.id);
        let resolved = closed.resolved.unwrap();
        assert_eq!((resolved.by, &*resolved.choice), (Decider::Callback, name));
        match sees {
            Some(text) => till.sees("o1", text),
            None => till.sees_nothing("o1"),
        }
        assert_eq!(till.sends().len(), usize::from(leaves), "{name}");
        assert_eq!(till.counts().asking, 0);
    }
}

/// P20: it throws, talks nonsense, wants a person or takes too long: all the same here.
#[test]
fn what_the_resolver_does_not_decide_goes_to_a_person() {
    let mut till = open();
    let shown = till.open_conflict();
    assert_eq!((shown.asks, till.counts().asking), (Asks::Callback, 1));
    let Ok(Answered::Done { notice }) = till.answers(&shown, &Answer::Person) else { panic!() };
    assert_eq!(notice.conflicts, [shown.id]);
    assert_eq!(till.open_conflict(), Conflict { asks: Asks::Person, ..shown.clone() });
    assert_eq!((till.counts().conflicts, till.counts().asking), (1, 0));
    let late = till.answers(&shown, &Answer::Choice(Choice::Theirs));
    assert_eq!(late, Ok(Answered::Over), "it had its chance");
    till.resolves(&Choice::Mine).unwrap();
    till.sees("o1", r#"{"a":2,"b":1}"#);
}

/// P20: a side for each field where there is no document on one side.
#[test]
fn a_choice_that_does_not_fit_goes_to_a_person() {
    let mut till = Till::with(Strategy::Callback);
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(deleted(2));
    let shown = till.open_conflict();
    let fields = Choice::Fields(vec![(Path::field("a"), Side::Mine)]);
    till.answers(&shown, &Answer::Choice(fields)).unwrap();
    assert_eq!(till.open_conflict().asks, Asks::Person);
}

/// P19, R26: an answer to what is no longer so decides nothing, whichever side moved.
#[test]
fn an_answer_to_another_state_decides_nothing() {
    for mine in [false, true] {
        let mut till = open();
        let shown = till.open_conflict();
        if mine {
            till.patches("o1", r#"{"b":7}"#);
        } else {
            till.pulls(&[live("o1", 3, r#"{"a":9,"b":1}"#)]);
        }
        let before = till.all();
        for choice in [Choice::Mine, Choice::Theirs, Choice::Merged(Presence::Deleted)] {
            let answered = till.answers(&shown, &Answer::Choice(choice));
            assert_eq!(answered, Ok(Answered::Moved), "mine: {mine}");
        }
        assert_eq!(till.all(), before);
        let shown = till.open_conflict();
        till.answers(&shown, &Answer::Choice(Choice::Mine)).unwrap();
        let expected = if mine { r#"{"a":2,"b":7}"# } else { r#"{"a":2,"b":1}"# };
        till.sees("o1", expected);
    }
}

/// P22: the answer that a tab heard under an earlier term is nobody's.
#[test]
fn an_answer_of_a_deposed_leader_changes_nothing() {
    let mut till = open();
    let (shown, term) = (till.open_conflict(), till.term);
    till.reopens();
    let (newer, before) = (std::mem::replace(&mut till.term, term), till.all());
    till.answers(&shown, &Answer::Choice(Choice::Theirs)).unwrap_err();
    assert_eq!(till.all(), before);
    till.term = newer;
    assert!(matches!(till.answers(&shown, &Answer::Person), Ok(Answered::Done { .. })));
}

#[test]
fn a_person_may_be_faster_than_the_resolver() {
    let mut till = open();
    let shown = till.open_conflict();
    till.resolves(&Choice::Theirs).unwrap();
    let before = till.all();
    assert_eq!(till.answers(&shown, &Answer::Choice(Choice::Mine)), Ok(Answered::Over));
    assert_eq!(till.answers(&shown, &Answer::Person), Ok(Answered::Over));
    assert_eq!(till.all(), before);
}

#[test]
fn without_a_resolver_a_person_is_asked() {
    let mut till = Till::with(Strategy::Callback);
    till.rules.resolver = false;
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    let sent = till.sends();
    let settled = till.hears(&[(sent[0], conflict(2, r#"{"a":3}"#))]);
    assert_eq!(till.open_conflict().asks, Asks::Person);
    assert_eq!(settled.notice.conflicts, [till.open_conflict().id]);
}

/// Section 9: under `merge` the resolver is asked first, under `manual` never.
#[test]
fn merge_asks_the_resolver_where_there_is_one() {
    for (strategy, resolver, asks) in [
        (Strategy::Merge, true, Asks::Callback),
        (Strategy::Merge, false, Asks::Person),
        (Strategy::Callback, true, Asks::Callback),
        (Strategy::Manual, true, Asks::Person),
    ] {
        for theirs in [Some(r#"{"a":3}"#), None] {
            let mut till = Till::with(strategy);
            till.rules.resolver = resolver;
            till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
            till.patches("o1", r#"{"a":2}"#);
            till.pushes(theirs.map_or(deleted(2), |theirs| conflict(2, theirs)));
            assert_eq!(till.open_conflict().asks, asks, "{strategy:?} {resolver} {theirs:?}");
        }
    }
}

/// P19: two tabs of a device decide at once: one is told that it did, the other that it was too late; and so after a restart.
#[test]
fn of_two_tabs_that_decide_at_once_one_does() {
    let disk = Rc::default();
    let mut first = World::on(Rc::clone(&disk), Strategy::Manual);
    contradicts(&mut first, "o1");
    first.drains();
    let one = Rc::clone(&first.engine);
    let id = first.until(one.conflicts()).unwrap()[0].id;
    let mut second = World::on(Rc::clone(&disk), Strategy::Manual);
    let two = Rc::clone(&second.engine);
    assert_eq!(second.until(two.resolve(id, Choice::Theirs)), Ok(None));
    let late = first.until(one.resolve(id, Choice::Mine)).unwrap_err();
    assert_eq!(late.code, Code::AlreadyResolved);
    let mut again = World::on(disk, Strategy::Manual);
    let three = Rc::clone(&again.engine);
    // Worlds draw the same lots: at another time the call has another name.
    again.runs_for(5_000);
    let late = again.until(three.resolve(id, Choice::Mine)).unwrap_err();
    assert_eq!(late.code, Code::AlreadyResolved);
    let resolved = again.until(three.conflict(id)).unwrap().unwrap().resolved.unwrap();
    assert_eq!((resolved.by, &*resolved.choice), (Decider::Person, "theirs"));
    assert!(first.until(one.audit()).unwrap().balances());
}

/// P19: a side for each field, also deep inside, where both sides are documents.
#[test]
fn a_side_is_chosen_for_each_field() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"at":{"x":1,"y":1},"n":1}"#)]);
    till.patches("o1", r#"{"at":{"x":2,"y":2},"n":2}"#);
    till.pushes(conflict(2, r#"{"at":{"x":3,"y":3,"z":3},"n":3}"#));
    let path = |names: &[&str]| Path(names.iter().map(|it| (*it).to_owned()).collect());
    let fields = till.open_conflict().fields;
    assert_eq!(fields, [path(&["at", "x"]), path(&["at", "y"]), path(&["n"])]);
    let sides = vec![(path(&["at", "x"]), Side::Mine), (path(&["n"]), Side::Theirs)];
    till.resolves(&Choice::Fields(sides)).unwrap();
    till.sees("o1", r#"{"at":{"x":2,"y":3,"z":3},"n":3}"#);
    till.pushes(applied(3));
}

/// A resolution may meet the next change: that is a conflict of its own, and the resolver is asked about it.
#[test]
fn what_the_resolver_chose_may_meet_the_next_conflict() {
    let mut till = open();
    let first = till.open_conflict();
    till.answers(&first, &Answer::Choice(Choice::Mine)).unwrap();
    till.pushes(conflict(3, r#"{"a":9,"b":1}"#));
    let second = till.open_conflict();
    assert_ne!(second.id, first.id);
    assert_eq!((second.asks, second.base), (Asks::Callback, Some(doc(r#"{"a":3,"b":1}"#))));
}

// With an engine.

struct Asked {
    world: World,
    op: holdfast::model::OpId,
}

/// A conflict on `o1`, found by the leader; the resolver says these lines.
fn asked(lines: Vec<Line>) -> Asked {
    let mut world = World::new(Strategy::Callback);
    world.engine.host().script.says.borrow_mut().extend(lines);
    let op = contradicts(&mut world, "o1");
    Asked { world, op }
}

/// Both sides change `a` of a record.
fn contradicts(world: &mut World, id: &str) -> holdfast::model::OpId {
    world.server().writes(id, r#"{"a":1,"b":1}"#);
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    let op = world.patches(id, r#"{"a":2}"#);
    world.server().writes(id, r#"{"a":3,"b":1}"#);
    op
}

impl Asked {
    fn conflicts(&mut self) -> Vec<Conflict> {
        let engine = Rc::clone(&self.world.engine);
        self.world.until(engine.conflicts()).unwrap()
    }

    fn only(&mut self) -> Conflict {
        let mut all = self.conflicts();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    fn shown(&self) -> Vec<Conflict> {
        self.world.engine.host().script.shown.borrow().clone()
    }

    /// How often each conflict was told to the application.
    fn told(&self) -> usize {
        let conflicts = |event: &Event| {
            if let Event::Commit(commit) = event { commit.conflicts.len() } else { 0 }
        };
        self.world.events.borrow().iter().map(conflicts).sum()
    }
}

/// R26: found, asked, decided and sent without a person; `drain` and `outcome` wait for it.
#[test]
fn the_leader_asks_and_sends_what_was_decided() {
    let mut it = asked(vec![says(Answer::Choice(Choice::Mine))]);
    let drained = it.world.drains();
    assert_eq!((drained.pending, drained.parked), (0, 0));
    assert_eq!(it.world.server().has("o1").as_deref(), Some(r#"{"a":2,"b":1}"#));
    assert_eq!(it.only().resolved.unwrap().by, Decider::Callback);
    assert_eq!(it.told(), 1, "once, with the decision");
    let engine = Rc::clone(&it.world.engine);
    assert!(matches!(it.world.until(engine.outcome(it.op)), Ok(Verdict::Applied { .. })));
    let shown = it.shown();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].base, Some(doc(r#"{"a":1,"b":1}"#)));
    assert_eq!(shown[0].mine, live_side(r#"{"a":2,"b":1}"#));
    assert_eq!(shown[0].theirs, live_side(r#"{"a":3,"b":1}"#));
    it.world.effects_are_single();
}

/// R9: while the resolver thinks, the outcome is not known; then it is the person's conflict.
#[test]
fn an_outcome_waits_for_the_resolver() {
    let mut it = asked(vec![]);
    let engine = Rc::clone(&it.world.engine);
    let began = it.world.now();
    let verdict = it.world.until(engine.outcome(it.op)).unwrap();
    assert_eq!(verdict, Verdict::Conflict(it.only().id));
    assert!(it.world.now() - began >= 30_000, "told while it was thinking");
}

/// P20: one that never answers holds nobody: other records go on, and after its time a person is asked.
#[test]
fn a_resolver_that_never_answers_holds_nobody() {
    let mut it = asked(vec![]);
    it.world.runs_for(1_000);
    assert_eq!(it.only().asks, Asks::Callback);
    it.world.creates("o2");
    it.world.server().writes("o3", "{}");
    it.world.runs_for(5_000);
    assert!(it.world.server().has("o2").is_some(), "the push goes on");
    let engine = Rc::clone(&it.world.engine);
    it.world.until(engine.sync_now()).unwrap();
    let key = EntityKey::new("orders", "o3");
    assert!(it.world.until(engine.get(&key)).unwrap().is_some(), "and the pull");
    assert_eq!((it.only().asks, it.told()), (Asks::Callback, 0));
    it.world.runs_for(30_000);
    let left = it.only();
    assert_eq!((left.asks, left.resolved, it.told()), (Asks::Person, None, 1));
    it.world.runs_for(600_000);
    assert_eq!(it.shown().len(), 1, "it had its chance");
    assert_eq!(it.world.engine.host().script.thinking.get(), 0, "nobody waits for it any more");
}

/// P20: the next conflict is asked about after the first one's time, each once, one at a time.
#[test]
fn one_is_asked_after_the_other() {
    let mut world = World::new(Strategy::Callback);
    let engine = Rc::clone(&world.engine);
    let lines: Vec<Line> = vec![
        Box::new(|_| Box::pin(std::future::pending())),
        says(Answer::Person),
        says(Answer::Choice(Choice::Theirs)),
        says(Answer::Choice(Choice::Mine)),
    ];
    engine.host().script.says.borrow_mut().extend(lines);
    for id in ["o1", "o2", "o3", "o4"] {
        contradicts(&mut world, id);
    }
    world.drains();
    world.runs_for(60_000);
    let script = &engine.host().script;
    assert_eq!((script.shown.borrow().len(), script.at_once.get()), (4, 1));
    let conflicts = world.until(engine.conflicts()).unwrap();
    let open = conflicts.iter().filter(|it| it.resolved.is_none());
    assert!(open.clone().all(|it| it.asks == Asks::Person));
    assert_eq!((conflicts.len(), open.count()), (4, 2));
    world.effects_are_single();
}

/// R26: theirs moves each time while it thinks. It is shown the new side, three times in all, and then it is a person's.
#[test]
fn it_is_asked_again_where_theirs_moved_but_not_for_ever() {
    let mut world = World::new(Strategy::Callback);
    let engine = Rc::clone(&world.engine);
    let line = |number: u32| -> Line {
        let engine = Rc::clone(&engine);
        Box::new(move |_| {
            Box::pin(async move {
                let text = format!(r#"{{"a":3,"b":{number}}}"#);
                engine.host().wire.server.borrow_mut().writes("o1", &text);
                engine.sync_now().await.unwrap();
                Answer::Choice(Choice::Theirs)
            })
        })
    };
    engine.host().script.says.borrow_mut().extend([line(10), line(11), line(12), line(13)]);
    contradicts(&mut world, "o1");
    world.drains();
    let shown: Vec<_> =
        engine.host().script.shown.borrow().iter().map(|it| it.theirs.clone()).collect();
    let expected = [r#"{"a":3,"b":1}"#, r#"{"a":3,"b":10}"#, r#"{"a":3,"b":11}"#];
    assert_eq!(shown, expected.map(live_side));
    let conflicts = world.until(engine.conflicts()).unwrap();
    assert_eq!((conflicts[0].asks, &conflicts[0].resolved), (Asks::Person, &None));
    assert_eq!(conflicts[0].theirs, live_side(r#"{"a":3,"b":12}"#));
}

/// P19, P26: the resolver itself edits the record while it decides: that edit is not given up.
#[test]
fn an_edit_made_meanwhile_is_not_dropped() {
    let mut world = World::new(Strategy::Callback);
    let engine = Rc::clone(&world.engine);
    let inner = Rc::clone(&engine);
    let edits: Line = Box::new(move |_| {
        Box::pin(async move {
            let request = WriteRequest {
                collection: "orders".into(),
                id: Some("o1".into()),
                action: Action::Patch(doc(r#"{"c":5}"#)),
                priority: None,
            };
            inner.write(request).await.unwrap();
            Answer::Choice(Choice::Theirs)
        })
    });
    engine.host().script.says.borrow_mut().extend([edits, says(Answer::Choice(Choice::Mine))]);
    contradicts(&mut world, "o1");
    world.drains();
    assert_eq!(engine.host().script.shown.borrow().len(), 2);
    assert_eq!(engine.host().script.shown.borrow()[1].mine, live_side(r#"{"a":2,"b":1,"c":5}"#));
    assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"a":2,"b":1,"c":5}"#));
    world.effects_are_single();
}

/// P26: it decides by itself, as a person would, and then answers something else: the first word counts.
#[test]
fn a_resolver_that_calls_resolve_decides_once() {
    let mut world = World::new(Strategy::Callback);
    let engine = Rc::clone(&world.engine);
    let inner = Rc::clone(&engine);
    let line: Line = Box::new(move |conflict| {
        let id = conflict.id;
        Box::pin(async move {
            assert_eq!(inner.resolve(id, Choice::Theirs).await.unwrap(), None);
            Answer::Choice(Choice::Mine)
        })
    });
    engine.host().script.says.borrow_mut().push_back(line);
    contradicts(&mut world, "o1");
    world.drains();
    assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"a":3,"b":1}"#));
    let conflicts = world.until(engine.conflicts()).unwrap();
    assert_eq!(conflicts[0].resolved.as_ref().unwrap().by, Decider::Person);
}

/// P22: the lead is lost and comes back while the resolver thinks: it is not asked twice, and its answer counts.
#[test]
fn a_resolver_that_is_still_thinking_is_not_asked_again() {
    let mut it = asked(vec![]);
    let engine = Rc::clone(&it.world.engine);
    let later: Line = Box::new(move |_| {
        Box::pin(async move {
            let clock = engine.host().clock();
            clock.sleep_until(clock.mono().plus(Millis(20_000))).await;
            Answer::Choice(Choice::Mine)
        })
    });
    it.world.engine.host().script.says.borrow_mut().push_back(later);
    it.world.runs_for(1_000);
    assert_eq!(it.shown().len(), 1);
    let term = |world: &World| world.disk().borrow().snapshot(Need::default()).meta.term;
    let before = term(&it.world);
    for _ in 0..3 {
        it.world.engine.host().lead.taken.set(true);
        it.world.runs_for(1_000);
    }
    assert_eq!(term(&it.world).0, before.0 + 3);
    it.world.drains();
    assert_eq!(it.shown().len(), 1);
    assert_eq!(it.only().resolved.unwrap().by, Decider::Callback);
    assert_eq!(it.world.server().has("o1").as_deref(), Some(r#"{"a":2,"b":1}"#));
}

/// P22: another tab leads and decides while this one's resolver thinks.
#[test]
fn the_answer_of_a_tab_that_was_robbed_is_not_taken() {
    let disk = Rc::default();
    let mut first = World::on(Rc::clone(&disk), Strategy::Callback);
    contradicts(&mut first, "o1");
    first.runs_for(1_000);
    assert_eq!(first.engine.host().script.shown.borrow().len(), 1);
    let mut second = World::on(disk, Strategy::Callback);
    second.engine.host().script.says.borrow_mut().push_back(says(Answer::Choice(Choice::Theirs)));
    second.runs_for(1_000);
    let engine = Rc::clone(&second.engine);
    let decided = second.until(engine.conflicts()).unwrap();
    assert_eq!(decided[0].resolved.as_ref().unwrap().choice, "theirs");
    first.runs_for(60_000);
    assert_eq!(second.until(engine.conflicts()).unwrap(), decided);
}

/// R26: a conflict that the resolver was asked about when the tab died is asked about again.
#[test]
fn after_a_restart_it_is_asked_again() {
    let disk = Rc::default();
    let mut world = World::on(Rc::clone(&disk), Strategy::Callback);
    contradicts(&mut world, "o1");
    world.runs_for(1_000);
    drop(world);
    let mut again = World::on(disk, Strategy::Callback);
    let engine = Rc::clone(&again.engine);
    engine.host().script.says.borrow_mut().push_back(says(Answer::Choice(Choice::Theirs)));
    again.runs_for(1_000);
    assert_eq!(engine.host().script.shown.borrow().len(), 1);
    let conflicts = again.until(engine.conflicts()).unwrap();
    assert_eq!(conflicts[0].resolved.as_ref().unwrap().by, Decider::Callback);
}

/// R22: the result of the commit that stored the decision was lost, or of the one that found the conflict.
#[test]
fn a_lost_commit_result_neither_loses_nor_repeats_the_question() {
    for (verb, asks) in [("resolve", 1), ("push.settle.keep", 1), ("pull.apply", 1)] {
        let mut world = World::new(Strategy::Callback);
        let engine = Rc::clone(&world.engine);
        let lines = [says(Answer::Choice(Choice::Mine)), says(Answer::Choice(Choice::Theirs))];
        engine.host().script.says.borrow_mut().extend(lines);
        contradicts(&mut world, "o1");
        engine.host().shelf.loses.borrow_mut().push_back(verb);
        world.runs_for(600_000);
        world.drains();
        assert_eq!(engine.host().script.shown.borrow().len(), asks, "{verb}");
        assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"a":2,"b":1}"#), "{verb}");
        let left = engine.host().shelf.loses.borrow().len();
        world.effects_are_single();
        assert!(left == 0 || verb == "push.settle.keep", "{verb} never ran");
    }
}

// Restoring.

/// `who won | what is restored | what the record is then`.
#[test]
fn the_losing_side_is_brought_back() {
    let merged = Choice::Merged(live_side(r#"{"a":9}"#));
    let fields = Choice::Fields(vec![(Path::field("a"), Side::Theirs)]);
    for (choice, restored) in [
        (Choice::Theirs, r#"{"a":2,"b":1}"#),
        (Choice::Mine, r#"{"a":3,"b":1}"#),
        (merged, r#"{"a":2}"#),
        (fields, r#"{"a":2,"b":1}"#),
    ] {
        let mut till = open();
        let id = till.open_conflict().id;
        till.resolves(&choice).unwrap();
        let accepted = till.counts().accepted;
        till.restores(id).unwrap();
        till.sees("o1", restored);
        assert_eq!(till.counts().accepted, accepted + 1, "R10: {choice:?}");
        let sent = till.sends();
        till.hears(&[(sent[0], applied(3))]);
        till.sees("o1", restored);
    }
}

/// P18: what the record became meanwhile stays, where the two sides were the same.
#[test]
fn what_the_record_became_meanwhile_stays() {
    let mut till = open();
    let id = till.open_conflict().id;
    till.resolves(&Choice::Theirs).unwrap();
    till.pulls(&[live("o1", 5, r#"{"a":7,"b":8,"z":9}"#)]);
    till.restores(id).unwrap();
    till.sees("o1", r#"{"a":2,"b":8,"z":9}"#);
    let sent = till.sends();
    till.hears(&[(sent[0], applied(6))]);
    till.sees("o1", r#"{"a":2,"b":8,"z":9}"#);
}

#[test]
fn a_deleted_side_is_brought_back_as_a_removal_and_a_lost_record_as_a_create() {
    // They deleted it and won; we had changed it.
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(deleted(2));
    let id = till.open_conflict().id;
    till.resolves(&Choice::Theirs).unwrap();
    till.sees_nothing("o1");
    till.restores(id).unwrap();
    till.sees("o1", r#"{"a":2}"#);
    assert!(till.only("o1").is_create());
    till.pushes(applied(3));
    // We had deleted it and lost.
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    till.removes("o1");
    till.pushes(conflict(2, r#"{"a":3}"#));
    let id = till.open_conflict().id;
    till.resolves(&Choice::Theirs).unwrap();
    till.sees("o1", r#"{"a":3}"#);
    till.restores(id).unwrap();
    till.sees_nothing("o1");
    assert_eq!(till.restores(id).unwrap(), till.only("o1").id, "R13: the same removal");
    till.pushes(applied(3));
    till.pulls(&[tombstone("o1", 3)]);
    assert_eq!(till.restores(id).unwrap_err().code, Code::Gone, "it is as it was wanted");
}

/// P18: what a policy decided can be brought back too.
#[test]
fn what_a_policy_took_away_is_brought_back() {
    let mut till = Till::with(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":3}"#));
    let Some(Fate::Yielded(id)) = till.fate(op) else { panic!() };
    till.sees("o1", r#"{"a":3}"#);
    till.restores(id).unwrap();
    till.sees("o1", r#"{"a":2}"#);
    assert_eq!(till.only("o1").assumed, holdfast::model::Assumed::At(version(2)));
    till.pushes(applied(3));
}

/// Typed errors: an open conflict has no losing side; what is not there; a full outbox (P4).
#[test]
fn what_cannot_be_restored_says_why() {
    let mut till = open();
    let id = till.open_conflict().id;
    assert_eq!(till.restores(id).unwrap_err().code, Code::PendingWork);
    till.resolves(&Choice::Theirs).unwrap();
    till.rules.limits.outbox_operations = 0;
    assert_eq!(till.restores(id).unwrap_err().code, Code::OutboxFull);
    let mut world = World::new(Strategy::Manual);
    let engine = Rc::clone(&world.engine);
    let nobody = holdfast::model::ConflictId::from_bytes([9; 16]);
    assert_eq!(world.until(engine.restore(nobody)).unwrap_err().code, Code::NotFound);
}

/// P1, P6: restoring is a write like any other; it is stored, sent once, and the conflict stays to be seen.
#[test]
fn what_is_restored_reaches_the_server() {
    let mut it = asked(vec![says(Answer::Choice(Choice::Theirs))]);
    it.world.drains();
    let engine = Rc::clone(&it.world.engine);
    let id = it.only().id;
    let written = it.world.until(engine.restore(id)).unwrap();
    assert_eq!(written.key, order("o1"));
    let verdict = it.world.until(engine.outcome(written.op)).unwrap();
    assert!(matches!(verdict, Verdict::Applied { .. }));
    assert_eq!(it.world.server().has("o1").as_deref(), Some(r#"{"a":2,"b":1}"#));
    assert_eq!(it.only().resolved.unwrap().choice, "theirs");
    it.world.effects_are_single();
}
