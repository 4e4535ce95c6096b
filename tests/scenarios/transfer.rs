//! Outbox files: backups, and operations that are handed over to another device (R18; P3, P5, P6, P21, P31).

use holdfast::layout::{file_text, read_file};
use holdfast::model::{
    Assumed, Before, Choice, Code, EntityKey, Fate, Intent, OpId, OpState, OutboxFile, Outcome,
    Owner, Parked, PushReply, Root, Selection, Slot, Strategy, SyncError, edit,
};
use holdfast::model::{Need, Presence};
use holdfast::plan::transfer::{Exported, Imported, MAX_OPERATIONS, export, import};
use holdfast::plan::write::Action;

use crate::till::{
    Till, applied, by, conflict, deleted, doc, is_blocked_by, is_flying, is_queued, is_rejected,
    live, order, rejected, tombstone,
};

impl Till {
    /// Another device of the same user.
    fn other() -> Self {
        Self::of(8, Strategy::Manual)
    }

    fn exports(&mut self, wanted: &Selection, hand_over: bool) -> Result<OutboxFile, SyncError> {
        self.exports_again(wanted, hand_over, &[])
    }

    fn exports_again(
        &mut self,
        wanted: &Selection,
        hand_over: bool,
        before: &[OpId],
    ) -> Result<OutboxFile, SyncError> {
        let ctx = self.ctx();
        let mut roots = vec![Root::Outbox];
        roots.extend(holdfast::plan::identity::at_departure(&self.rules));
        let s = self.disk.snapshot(Need::of(roots));
        let decision = export(&s, wanted, hand_over, before, &self.owner, &self.rules, &ctx);
        if !hand_over || decision.output.is_err() {
            assert!(decision.changes.is_empty(), "a backup changes nothing");
        }
        self.commits(&decision.changes);
        let Exported { file, .. } = decision.output?;
        let text = file_text(&file).unwrap();
        assert_eq!(read_file(&text).as_ref(), Ok(&file), "what is written is read");
        Ok(file)
    }

    fn hands_over(&mut self) -> OutboxFile {
        self.exports(&Selection::All, true).unwrap()
    }

    fn backs_up(&mut self) -> OutboxFile {
        self.exports(&Selection::All, false).unwrap()
    }

    fn imports(&mut self, file: &OutboxFile) -> Result<Imported, SyncError> {
        let ctx = self.ctx();
        let mut roots = holdfast::plan::identity::in_file(file, &self.rules);
        for it in &file.operations {
            roots.push(Root::Record(it.op.key.clone()));
            roots.extend(it.op.refs.iter().cloned().map(Root::Record));
            roots.extend(it.op.folded.iter().chain([&it.op.id]).copied().map(Root::Op));
            if let Some(id) = &it.server_id {
                roots.push(Root::Record(EntityKey::new(&*it.op.key.collection, &**id)));
            }
        }
        roots.extend(file.conflicts.iter().map(|conflict| Root::Conflict(conflict.id)));
        let s = self.disk.snapshot(Need::of(roots));
        let decision = import(&s, file, &self.owner, &self.rules, &ctx);
        match &decision.output {
            Ok(_) => file.operations.iter().for_each(|it| self.laws.accepted(it.op.id)),
            Err(_) => assert!(decision.changes.is_empty(), "all or nothing"),
        }
        self.commits(&decision.changes);
        decision.output
    }

    fn takes(&mut self, file: &OutboxFile) -> (u32, u32) {
        let imported = self.imports(file).unwrap();
        (imported.imported, imported.known)
    }
}

fn is_handed_over(till: &Till, id: OpId) -> bool {
    till.op(id).state == OpState::Parked(Parked::HandedOver)
}

fn code_of(till: &Till, id: OpId) -> String {
    let state = till.op(id).state;
    let OpState::Parked(Parked::Rejected { code, .. }) = state else { panic!("{state:?}") };
    code
}

/// R18, R1, R10: out of the view here, alive there, under the same id, and counted on both sides.
#[test]
fn what_is_handed_over_lives_on_the_other_device() {
    let (mut here, mut there) = (Till::new(), Till::other());
    here.pulls(&[live("o2", 3, r#"{"a":1}"#)]);
    there.pulls(&[live("o2", 3, r#"{"a":1}"#)]);
    let made = here.creates("o1", r#"{"n":1}"#);
    let changed = here.patches("o2", r#"{"a":2}"#);
    let file = here.hands_over();
    assert!(is_handed_over(&here, made) && is_handed_over(&here, changed));
    here.sees_nothing("o1");
    here.sees("o2", r#"{"a":1}"#);
    assert_eq!(here.sends(), [], "nothing leaves from here");
    let counts = here.counts();
    assert_eq!((counts.handed_over, counts.in_outbox(), counts.bytes), (2, 0, 0));

    assert_eq!(there.takes(&file), (2, 0));
    there.sees("o1", r#"{"n":1}"#);
    there.sees("o2", r#"{"a":2}"#);
    let counts = there.counts();
    assert_eq!((counts.accepted, counts.imported, counts.pending), (0, 2, 2));
    assert_eq!(there.sends(), [made, changed]);
    there.hears(&[(made, applied(1)), (changed, applied(4))]);
    assert_eq!(there.fate(made), Some(Fate::Applied));
    assert!(is_handed_over(&here, made));
}

/// P5, P6: a request that was on its way is sent again as it was, by the device that has the operation now; what the first device
/// hears late changes nothing there.
#[test]
fn what_may_have_left_leaves_again_unchanged() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let made = here.creates("o1", r#"{"n":1}"#);
    here.sends();
    let behind = here.patches("o1", r#"{"n":2}"#);
    assert!(is_flying(&here.op(made)));
    let left = here.flight.clone();
    let file = here.hands_over();
    here.hears(&[(made, applied(1))]);
    assert!(is_handed_over(&here, made), "R18: the late answer does not bring it back to life");

    there.takes(&file);
    assert_eq!(there.sends(), [made]);
    let (was, is) = (&left.operations[0], &there.flight.operations[0]);
    assert_eq!(
        (&was.op, &was.id, &was.intent, was.device),
        (&is.op, &is.id, &is.intent, is.device)
    );
    assert_eq!((&was.assumed, was.stamp), (&is.assumed, is.stamp), "P5");
    there.hears(&[(made, applied(1))]);
    assert_eq!(there.pushes(applied(2)), behind);
    there.sees("o1", r#"{"n":2}"#);
}

/// An echo is the server's verdict: what was handed over has ended here too, and so has what a backup brought.
#[test]
fn an_echo_ends_what_another_device_sent() {
    let (mut here, mut there, mut copy) = (Till::new(), Till::other(), Till::other());
    copy.device = 9;
    let made = here.creates("o1", r#"{"n":1}"#);
    let backup = here.backs_up();
    copy.takes(&backup);
    let change = copy.patches_behind(made);
    let file = here.hands_over();
    there.takes(&file);
    there.pushes(applied(1));
    for till in [&mut here, &mut copy] {
        till.pulls(&[by(made, live("o1", 1, r#"{"n":1}"#))]);
        assert_eq!(till.fate(made), Some(Fate::Applied));
        assert_eq!(till.all().ops.len(), 0);
        till.sees("o1", r#"{"n":1}"#);
    }
    assert_eq!(change, 0);
    assert_eq!(here.counts().handed_over, 0);
}

impl Till {
    /// How many operations are blocked by one.
    fn patches_behind(&self, by: OpId) -> usize {
        self.all().ops.values().filter(|op| is_blocked_by(op, by)).count()
    }
}

/// R18: no duplicates, whatever became of the operations since.
#[test]
fn a_file_that_is_imported_twice_brings_nothing_twice() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let made = here.creates("o1", r#"{"n":1}"#);
    let folded = here.write(order("o1"), Action::Patch(doc(r#"{"m":1}"#))).unwrap();
    assert_eq!(made, folded, "one operation");
    here.creates("o2", "{}");
    let file = here.hands_over();
    assert_eq!(there.takes(&file), (2, 0));
    let before = there.all();
    assert_eq!(there.takes(&file), (0, 2));
    assert_eq!(there.all(), before);
    let sent = there.sends();
    there.hears(&[(sent[0], applied(1)), (sent[1], applied(1))]);
    assert_eq!(there.takes(&file), (0, 2), "they have ended");
    assert_eq!(there.all().ops.len(), 0);
}

/// R18: nothing of a backup is sent without a person's word, and the person sees what the user saw.
#[test]
fn a_backup_waits_for_a_person() {
    let (mut here, mut there) = (Till::new(), Till::other());
    here.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let first = here.patches("o1", r#"{"a":2}"#);
    here.sends();
    let second = here.patches("o1", r#"{"b":2}"#);
    let file = here.backs_up();
    assert!(is_flying(&here.op(first)), "here nothing changes");

    there.pulls(&[live("o1", 5, r#"{"a":1,"b":1,"c":5}"#)]);
    assert_eq!(there.takes(&file), (2, 0));
    assert_eq!(there.sends(), []);
    there.sees("o1", r#"{"a":1,"b":1,"c":5}"#);
    assert_eq!(code_of(&there, first), "imported");
    let OpState::Parked(Parked::Rejected { snapshot, .. }) = there.op(first).state else {
        panic!()
    };
    assert_eq!(snapshot, Some(doc(r#"{"a":2,"b":2}"#)), "P21");
    assert!(is_blocked_by(&there.op(second), first));
    there.retries(first, None).unwrap();
    there.sees("o1", r#"{"a":2,"b":2,"c":5}"#);
    there.pushes(applied(6));
    there.pushes(applied(7));
    there.sees("o1", r#"{"a":2,"b":2,"c":5}"#);
    assert_eq!(there.all().ops.len(), 0);
}

#[test]
fn a_backup_can_be_edited_and_given_up() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let customer = here.customer("c1");
    let sale = here.creates("o1", r#"{"customer":"c1"}"#);
    let other = here.creates("o2", r#"{"n":1}"#);
    let file = here.backs_up();
    there.takes(&file);
    assert!(is_rejected(&there.op(customer)) && is_blocked_by(&there.op(sale), customer));
    let again = there.retries(other, Some(r#"{"n":2}"#)).unwrap();
    assert_eq!(there.sends(), [again]);
    there.hears(&[(again, applied(1))]);
    there.sees("o2", r#"{"n":2}"#);
    there.retries(customer, None).unwrap();
    there.sees("o1", r#"{"customer":"c1"}"#);
    there.pushes(applied(1));
    assert_eq!(there.pushes(applied(1)), sale, "R12: after its customer, under its own id");
    there.takes(&here.backs_up());
    assert_eq!(there.all().ops.len(), 0, "all of it is known");
}

/// P7, R12: what depends on one another leaves together, in order.
#[test]
fn whoever_takes_one_end_takes_all() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let customer = here.customer("c1");
    let sale = here.creates("o1", r#"{"customer":"c1"}"#);
    let other = here.creates("o2", r#"{"customer":"c1"}"#);
    let apart = here.creates("o3", "{}");
    let file = here.exports(&Selection::Ids(vec![sale]), true).unwrap();
    let ids: Vec<OpId> = file.operations.iter().map(|it| it.op.id).collect();
    assert_eq!(ids, [customer, sale, other]);
    assert_eq!(here.sends(), [apart]);
    there.takes(&file);
    assert_eq!(there.op(sale).refs, [EntityKey::new("customers", "c1")]);
    assert_eq!(there.sends(), [customer]);
    there.hears(&[(customer, applied(1))]);
    assert_eq!(there.sends(), [sale, other]);
    // A backup takes what it is told to.
    let mut till = Till::new();
    till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    assert_eq!(till.exports(&Selection::Ids(vec![sale]), false).unwrap().operations.len(), 1);
    let nobody = OpId::from_bytes([9; 16]);
    let error = till.exports(&Selection::Ids(vec![nobody]), true).unwrap_err();
    assert_eq!((error.code, error.op), (Code::NotFound, Some(nobody)));
}

/// R12: what is written here about a record that another device makes waits until the record is there.
#[test]
fn what_names_a_handed_over_create_waits_for_the_record() {
    let mut here = Till::new();
    let customer = here.customer("c1");
    here.hands_over();
    let sale = here.creates("o1", r#"{"customer":"c1"}"#);
    assert_eq!(here.sends(), []);
    assert!(is_queued(&here.op(sale)), "it is seen, and waits");
    let error = here.discards_with(
        customer,
        holdfast::plan::resolve::Dependents::Refuse,
        OpId::from_bytes([3; 16]),
    );
    assert_eq!(error.unwrap_err().code, Code::Referenced);
    let mut arrived = live("c1", 1, r#"{"n":1}"#);
    arrived.key = EntityKey::new("customers", "c1");
    here.pulls(&[arrived]);
    assert_eq!(here.sends(), [sale]);
}

/// P19: both sides of a conflict go along; here it is closed.
#[test]
fn an_open_conflict_is_handed_over_with_both_sides() {
    let (mut here, mut there) = (Till::new(), Till::other());
    for till in [&mut here, &mut there] {
        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    }
    let change = here.patches("o1", r#"{"a":2}"#);
    here.sends();
    here.hears(&[(change, conflict(2, r#"{"a":3,"b":1}"#))]);
    here.patches("o1", r#"{"c":1}"#);
    let open = here.open_conflict();
    let file = here.hands_over();
    assert_eq!(here.open_conflicts(), 0);
    here.sees("o1", r#"{"a":3,"b":1}"#);

    there.pulls(&[live("o1", 4, r#"{"a":3,"b":7}"#)]);
    there.takes(&file);
    let moved = there.open_conflict();
    assert_eq!((moved.id, moved.op), (open.id, change));
    assert_eq!(moved.theirs, Presence::Live(doc(r#"{"a":3,"b":7}"#)), "as it is known here");
    there.sees("o1", r#"{"a":2,"b":7,"c":1}"#);
    there.resolves(&Choice::Mine).unwrap();
    there.pushes(applied(5));
    there.sees("o1", r#"{"a":2,"b":7,"c":1}"#);
}

/// The side that only the operation holds: the server's is gone.
#[test]
fn our_side_of_a_deleted_record_goes_along() {
    let (mut here, mut there) = (Till::new(), Till::other());
    here.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let change = here.patches("o1", r#"{"a":2}"#);
    here.sends();
    here.hears(&[(change, deleted(2))]);
    let file = here.hands_over();
    there.takes(&file);
    assert_eq!(there.open_conflict().mine, Presence::Live(doc(r#"{"a":2,"b":1}"#)));
    there.resolves(&Choice::Mine).unwrap();
    there.sees("o1", r#"{"a":2,"b":1}"#);
}

/// Where the other device has work of its own on the record, the conflict waits beside it.
#[test]
fn a_conflict_does_not_cover_what_was_done_there() {
    let (mut here, mut there) = (Till::new(), Till::other());
    for till in [&mut here, &mut there] {
        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    }
    let change = here.patches("o1", r#"{"a":2}"#);
    here.sends();
    here.hears(&[(change, conflict(2, r#"{"a":3,"b":1}"#))]);
    let file = here.hands_over();
    let own = there.patches("o1", r#"{"b":9}"#);
    there.takes(&file);
    there.sees("o1", r#"{"a":1,"b":9}"#);
    assert_eq!(code_of(&there, change), "imported");
    assert_eq!(there.sends(), [own]);
}

/// An edit that arrives while a conflict is open there is part of our side of it.
#[test]
fn an_edit_arrives_under_an_open_conflict() {
    let (mut here, mut there) = (Till::new(), Till::other());
    for till in [&mut here, &mut there] {
        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    }
    here.patches("o1", r#"{"b":2}"#);
    let file = here.hands_over();
    let own = there.patches("o1", r#"{"a":2}"#);
    there.sends();
    there.hears(&[(own, conflict(2, r#"{"a":3,"b":1}"#))]);
    there.takes(&file);
    there.sees("o1", r#"{"a":2,"b":2}"#);
    there.resolves(&Choice::Mine).unwrap();
    there.pushes(applied(3));
    there.sees("o1", r#"{"a":2,"b":2}"#);
    assert_eq!(there.all().ops.len(), 0);
}

/// P21: what the server refused keeps everything.
#[test]
fn a_rejected_operation_is_handed_over_as_it_is() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let customer = here.customer("c1");
    let sale = here.creates("o1", r#"{"customer":"c1"}"#);
    here.sends();
    here.hears(&[(customer, rejected("validation"))]);
    let was = here.op(customer).state;
    let file = here.exports(&Selection::Parked, true).unwrap();
    there.takes(&file);
    assert_eq!(there.op(customer).state, was);
    assert!(is_blocked_by(&there.op(sale), customer));
    there.retries(customer, Some(r#"{"n":2}"#)).unwrap();
    there.pushes(applied(1));
    assert_eq!(there.pushes(applied(1)), sale);
}

/// R18: an import of the same file here takes it back, to its place; what was written meanwhile stays.
#[test]
fn what_is_imported_where_it_came_from_comes_back() {
    let mut here = Till::new();
    here.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let change = here.patches("o1", r#"{"a":2}"#);
    let file = here.hands_over();
    let meanwhile = here.patches("o1", r#"{"b":2}"#);
    here.sees("o1", r#"{"a":1,"b":2}"#);
    assert_eq!(here.takes(&file), (1, 0));
    here.sees("o1", r#"{"a":2,"b":2}"#);
    let counts = here.counts();
    assert_eq!((counts.handed_over, counts.imported, counts.pending), (0, 0, 2));
    assert_eq!(here.pushes(applied(2)), change);
    assert_eq!(here.pushes(applied(3)), meanwhile);
    here.sees("o1", r#"{"a":2,"b":2}"#);
}

/// R18, R14: a transaction comes back as it was: its members wait for each other no longer than they are apart.
#[test]
fn a_transaction_that_comes_back_waits_for_nobody() {
    let mut here = Till::new();
    let first = here.creates("o1", "{}");
    let members = here
        .transacts(&[
            (order("o1"), Action::Patch(doc(r#"{"a":1}"#))),
            (order("o2"), Action::Create(doc("{}"))),
        ])
        .unwrap();
    let file = here.hands_over();
    here.takes(&file);
    let waiting = || members.iter().filter(|id| !is_queued(&here.op(**id))).count();
    assert_eq!(waiting(), 0, "{:#?}", here.all().ops);
    assert_eq!(here.pushes(applied(1)), first);
    assert_eq!(here.sends(), members);
}

/// R18, P3: a backup from before the last edit brings back what was handed over as it was then, with the edit.
#[test]
fn an_older_file_takes_no_edit_back() {
    let mut here = Till::new();
    let made = here.creates("o1", r#"{"a":1}"#);
    let backup = here.backs_up();
    here.patches("o1", r#"{"b":2}"#);
    here.hands_over();
    here.takes(&backup);
    let op = here.op(made);
    assert_eq!((op.folded.len(), op.intent), (1, Intent::Create(doc(r#"{"a":1,"b":2}"#))));
}

/// P11 (sim): a record was made again while its first create was away, and that comes back in front: what replaces the record says
/// what goes.
#[test]
fn what_replaces_a_record_that_was_made_again_leaves_nothing_of_the_first() {
    let mut here = Till::new();
    here.creates("o1", r#"{"a":1}"#);
    let file = here.hands_over();
    here.creates("o1", r#"{"b":2}"#);
    here.takes(&file);
    here.sees("o1", r#"{"a":1,"b":2}"#);
    here.replaces("o1", r#"{"c":3}"#);
    here.sees("o1", r#"{"c":3}"#);
    here.patches("o1", r#"{"c":null,"d":4}"#);
    here.sees("o1", r#"{"d":4}"#);
}

/// R18, P18: one record, made on two devices by their user, is not one that was made again: neither saw the other.
#[test]
fn a_create_that_was_handed_over_writes_over_nothing() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let first = there.creates("o1", r#"{"b":3}"#);
    let brought = here.creates("o1", r#"{"b":1}"#);
    let file = here.hands_over();
    there.takes(&file);
    assert_eq!(there.pushes(applied(1)), first);
    assert_eq!(there.open_conflict().op, brought);
}

/// R18, P19: so does a conflict that was handed over, and it is open again.
#[test]
fn a_conflict_that_comes_back_is_open_again() {
    let mut here = Till::new();
    here.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let change = here.patches("o1", r#"{"a":2}"#);
    here.sends();
    here.hears(&[(change, conflict(2, r#"{"a":3}"#))]);
    let open = here.open_conflict();
    let file = here.hands_over();
    assert_eq!(here.open_conflicts(), 0);
    here.takes(&file);
    assert_eq!(here.open_conflict().id, open.id);
    here.sees("o1", r#"{"a":2}"#);
    here.resolves(&Choice::Mine).unwrap();
    here.pushes(applied(3));
    here.sees("o1", r#"{"a":2}"#);
}

#[test]
fn what_left_from_here_comes_back_as_it_left() {
    let mut here = Till::new();
    let made = here.creates("o1", r#"{"n":1}"#);
    here.sends();
    let mut file = here.hands_over();
    // A file that was changed on the way.
    file.operations[0].op.sent = None;
    here.takes(&file);
    let meanwhile = here.creates("o2", "{}");
    assert_eq!(here.sends(), [made, meanwhile], "P5: the laws compare what is sent");
}

/// R22: the file is not lost with the answer to the commit, and can be written again.
#[test]
fn a_lost_file_is_written_again() {
    let mut here = Till::new();
    let made = here.creates("o1", r#"{"n":1}"#);
    let file = here.hands_over();
    assert_eq!(here.hands_over().operations.len(), 0);
    let again = here.exports_again(&Selection::All, true, &[made]).unwrap();
    assert_eq!(again.operations.len(), 1, "the repeat of an attempt");
    let lost = here.exports(&Selection::HandedOver, true).unwrap();
    assert_eq!(lost.operations[0].snapshot, file.operations[0].snapshot);
    let mut there = Till::other();
    there.takes(&lost);
    assert_eq!(there.sends(), [made]);
}

/// R9: the row can be given up; it was handed over, not discarded. A file brings it back all the same.
#[test]
fn a_handed_over_operation_can_leave_the_list() {
    let mut here = Till::new();
    let made = here.creates("o1", r#"{"n":1}"#);
    let change = here.write(order("o1"), Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    let file = here.hands_over();
    here.discards(made).unwrap();
    assert_eq!(here.fate(change), Some(Fate::HandedOver));
    assert_eq!(here.counts().handed_over, 1);
    assert_eq!(here.takes(&file), (1, 0));
    here.sees("o1", r#"{"n":2}"#);
    assert_eq!(here.pushes(applied(1)), made);
    assert_eq!(here.fate(made), Some(Fate::Applied));
}

/// R16: the server's id of a record is the name that both devices know.
#[test]
fn a_record_is_found_by_the_servers_id() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let made = here.creates("o1", r#"{"n":1}"#);
    here.sends();
    let Outcome::Applied { version, presence, stamp, .. } = applied(1) else { panic!() };
    let assigned_id = Some("S-1".to_owned());
    here.hears(&[(made, Outcome::Applied { version, presence, stamp, assigned_id })]);
    let change = here.patches("o1", r#"{"n":2}"#);
    let file = here.hands_over();
    let mut unaware = Till::other();
    there.pulls(&[live("S-1", 1, r#"{"n":1}"#)]);
    there.takes(&file);
    there.sees("S-1", r#"{"n":2}"#);
    let record = there.all().records.get(&order("S-1")).unwrap().clone();
    assert_eq!(record.server_id, None, "the server's id is its own here");
    let s = there.disk.snapshot(Need::only(vec![Root::Record(order("o1"))]));
    assert_eq!(s.own_key(&order("o1")), order("S-1"), "the other device's id leads to it");
    assert_eq!(there.disk.rows("aliases").len(), 1);
    assert_eq!(there.sends(), [change]);
    assert_eq!(there.flight.operations[0].id, "S-1");
    unaware.takes(&file);
    assert_eq!(unaware.sends(), [change]);
    assert_eq!(unaware.flight.operations[0].id, "S-1", "known by name alone");
    unaware.pulls(&[live("S-1", 1, r#"{"n":1}"#)]);
    unaware.sees("o1", r#"{"n":2}"#);
}

/// Records that the other device does not know: the operation is judged by the server.
#[test]
fn a_change_of_an_unknown_record_leaves() {
    let (mut here, mut there) = (Till::new(), Till::other());
    here.pulls(&[live("o1", 1, r#"{"a":1}"#), live("o2", 1, "{}")]);
    here.patches("o1", r#"{"a":2}"#);
    here.removes("o2");
    let file = here.hands_over();
    there.takes(&file);
    there.sees_nothing("o1");
    let sent = there.sends();
    assert_eq!(sent.len(), 2);
    there.hears(&[(sent[0], conflict(2, r#"{"a":3}"#)), (sent[1], applied(2))]);
    assert_eq!(there.open_conflict().mine, Presence::Live(doc(r#"{"a":2}"#)));
}

/// What arrives over a base that has moved is judged against it (R6).
#[test]
fn what_arrives_is_judged_when_it_is_first() {
    let (mut here, mut there) = (Till::new(), Till::other());
    here.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let change = here.patches("o1", r#"{"a":2}"#);
    let removed = here.exports(&Selection::Ids(vec![change]), true).unwrap();
    there.pulls(&[live("o1", 2, r#"{"a":1,"b":2}"#)]);
    there.takes(&removed);
    assert_eq!(there.op(change).assumed, Assumed::At(crate::till::version(2)));
    there.pulls(&[tombstone("o1", 3)]);
    assert_eq!(there.open_conflicts(), 1);
}

/// P31, P36: whatever is not ours, not a file or more than fits is refused with its place, and nothing of it is taken.
#[test]
fn a_file_that_is_not_right_changes_nothing() {
    let mut here = Till::new();
    here.owner = Owner { tenant: "north".into(), user: "ada".into() };
    here.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    here.patches("o1", r#"{"a":2}"#);
    let made = here.creates("o2", r#"{"n":1}"#);
    let file = here.backs_up();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    let deep = file_text(&file).unwrap().replace(r#"{"n":1}"#, &deep);
    let nested = read_file(&deep).unwrap();
    let twisted = |change: &dyn Fn(&mut OutboxFile)| {
        let mut file = file.clone();
        change(&mut file);
        file
    };
    let long = edit::Path(vec!["a".to_owned(); 100_000]);
    let cases = [
        (twisted(&|it| it.owner.user = "bob".into()), Code::InvalidValue, "owner"),
        (twisted(&|it| it.owner.tenant.clear()), Code::InvalidValue, "owner"),
        (
            twisted(&|it| it.operations[1].op.owner.user = "bob".into()),
            Code::InvalidValue,
            "operations.1.operation.owner",
        ),
        (
            twisted(&|it| it.operations[1].op.key.collection = "secrets".into()),
            Code::UnknownCollection,
            "operations.1.operation.key",
        ),
        (
            twisted(&|it| it.operations[0].op.key.id.clear()),
            Code::InvalidValue,
            "operations.0.operation.key",
        ),
        (
            twisted(&|it| it.operations[0].op.refs = vec![EntityKey::new("customers", "")]),
            Code::InvalidValue,
            "operations.0.operation.key",
        ),
        (
            twisted(&|it| it.operations[0].server_id = Some("s".repeat(1_000))),
            Code::InvalidValue,
            "operations.0.operation.key",
        ),
        (
            twisted(&|it| it.operations[0].op.sends = u32::MAX),
            Code::InvalidValue,
            "operations.0.operation.sends",
        ),
        (twisted(&|it| it.operations[0].op.id = made), Code::InvalidValue, "operations"),
        (twisted(&|it| it.operations[0].op.folded.push(made)), Code::InvalidValue, "operations"),
        (
            twisted(&|it| {
                it.operations[0].op.intent =
                    holdfast::model::Intent::Change(vec![edit::Edit::to(long.clone(), None)]);
            }),
            Code::TooLarge,
            "operations.0.operation.intent",
        ),
        (
            twisted(&|it| {
                it.operations[0].op.before = Before::Paths(vec![(long.clone(), Slot(None))]);
            }),
            Code::TooLarge,
            "operations.0.operation.before",
        ),
        (nested, Code::TooLarge, "operations.1.snapshot"),
        (
            twisted(&|it| {
                let one = it.operations[0].clone();
                it.operations = vec![one; MAX_OPERATIONS + 1];
            }),
            Code::TooLarge,
            "operations",
        ),
    ];
    let mut there = Till::other();
    there.owner = here.owner.clone();
    let before = there.all();
    for (file, code, path) in cases {
        let error = there.imports(&file).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (code, Some(path)));
        assert_eq!(there.all(), before);
    }
    there.rules.limits.outbox_operations = 1;
    assert_eq!(there.imports(&file).unwrap_err().code, Code::OutboxFull, "P4");
    there.rules.limits.outbox_operations = 2;
    there.rules.limits.outbox_bytes = 3;
    assert_eq!(there.imports(&file).unwrap_err().code, Code::OutboxFull, "P4");
    assert_eq!(there.all(), before);
    there.rules.limits.outbox_bytes = 1_000;
    assert_eq!(there.takes(&file), (2, 0));
    assert_eq!(there.imports(&file).unwrap().known, 2, "what is known takes no room");
}

/// A file through its text: what is broken is named.
#[test]
fn a_broken_text_is_named() {
    let mut here = Till::new();
    here.creates("o1", r#"{"n":1}"#);
    let text = file_text(&here.backs_up()).unwrap();
    for (from, to, path) in [
        ("{\"holdfast\"", "{\"holdfast\":\"outbox\",\"holdfast\"", "file"),
        ("\"outbox\"", "\"inbox\"", "holdfast"),
        ("\"version\":1", "\"version\":2", "version"),
        ("\"version\":1,", "", "version"),
        ("\"handOver\":false", "\"handOver\":0", "handOver"),
        ("\"intent\"", "\"content\"", "operations.0"),
        ("\"conflicts\":[]", "\"conflicts\":[{}]", "conflicts.0"),
        ("\"operations\":[{", "\"operations\":[5,{", "operations.0"),
        ("\"owner\":{},\"schema\":1,\"hand", "\"owner\":7,\"schema\":1,\"hand", "owner"),
    ] {
        assert!(text.contains(from), "{from} {text}");
        let error = read_file(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (Code::InvalidValue, Some(path)), "{to}");
    }
    for text in ["", "[]", "null", "{\"holdfast\":\"outbox\"", &"[".repeat(1_000_000)] {
        assert_eq!(read_file(text).unwrap_err().path.as_deref(), Some("file"));
    }
    for end in 0..text.len() {
        assert!(read_file(text.get(..end).unwrap_or_default()).is_err());
    }
}

/// R22: a settle that comes after everything else was handed over finds nothing to do.
#[test]
fn an_answer_to_what_is_elsewhere_is_no_verdict_here() {
    let mut here = Till::new();
    let made = here.creates("o1", r#"{"n":1}"#);
    here.sends();
    here.hands_over();
    let reply =
        PushReply { outcomes: vec![(made, rejected("validation"))], ..PushReply::default() };
    let settled = here.settles(&reply).unwrap();
    assert_eq!((settled.parked, settled.applied), (0, 0));
    here.reopens();
    assert_eq!(here.sends(), [], "nor does a new leader take it back");
}

/// R16, R18 (sim): what is handed over names records by the server's ids, where the other device knows them by these: a customer
/// that was made there, and is called something else here.
#[test]
fn references_are_handed_over_in_words_that_both_devices_know() {
    let customer = |id: &str| EntityKey::new("customers", id);
    let named = Outcome::Applied {
        version: Some(crate::till::version(1)),
        presence: None,
        stamp: None,
        assigned_id: Some("S-1".into()),
    };
    let pulled =
        holdfast::model::RemoteChange { key: customer("S-1"), ..live("S-1", 1, r#"{"n":1}"#) };
    let (mut here, mut there) = (Till::new(), Till::other());
    here.customer("c1");
    here.pushes(named);
    there.pulls(&[pulled]);
    let sale = here.creates("o1", r#"{"customer":"c1","n":1}"#);
    let file = here.hands_over();
    there.takes(&file);
    there.sees("o1", r#"{"customer":"S-1","n":1}"#);
    assert_eq!(there.sends(), [sale]);
    // A file that nobody else took comes home in own words.
    let mut home = here;
    home.takes(&file);
    home.sees("o1", r#"{"customer":"c1","n":1}"#);
}

/// R1, P19: what a backup brought and nobody has said a word about is no part of our side, also where only we still have the record.
#[test]
fn what_a_backup_brought_is_no_part_of_our_side() {
    let (mut here, mut there) = (Till::new(), Till::other());
    for till in [&mut here, &mut there] {
        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    }
    here.patches("o1", r#"{"b":2}"#);
    let file = here.backs_up();
    let own = there.patches("o1", r#"{"a":2}"#);
    there.sends();
    there.takes(&file);
    there.pulls(&[tombstone("o1", 2)]);
    there.hears(&[(own, deleted(2))]);
    assert_eq!(there.open_conflict().mine, Presence::Live(doc(r#"{"a":2,"b":1}"#)));
}

/// R9, R18: the writes inside an operation go along: the other device knows what became of each.
#[test]
fn the_writes_in_an_operation_go_along() {
    let (mut here, mut there) = (Till::new(), Till::other());
    let made = here.creates("o1", r#"{"n":1}"#);
    here.patches("o1", r#"{"m":1}"#);
    let folded = here.op(made).folded;
    assert_eq!(folded.len(), 1);
    let file = here.hands_over();
    there.takes(&file);
    assert_eq!(there.op(made).folded, folded);
    let counts = there.counts();
    assert_eq!((counts.imported, counts.folded), (2, 1), "R10");
    there.pushes(applied(1));
    assert_eq!(there.fate(folded[0]), Some(Fate::Folded(made)));
}

/// R18, P19: a conflict in a backup is none here: what both sides said there is what a person may send.
#[test]
fn a_conflict_in_a_backup_is_not_opened() {
    let (mut here, mut there) = (Till::new(), Till::other());
    for till in [&mut here, &mut there] {
        till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    }
    let change = here.patches("o1", r#"{"a":2}"#);
    here.pushes(conflict(2, r#"{"a":3}"#));
    let file = here.backs_up();
    let imported = there.imports(&file).unwrap();
    assert_eq!(there.open_conflicts(), 0);
    assert_eq!(code_of(&there, change), "imported");
    assert_eq!(imported.notice.parked, [change], "P21: it is announced");
    there.sees("o1", r#"{"a":1}"#);
}

/// R18: what lives on the other device is not undone by leaving the list here: what was made on it, and came back, still stands on it.
#[test]
fn what_stands_on_what_lives_elsewhere_keeps_what_it_found() {
    let mut here = Till::new();
    here.pulls(&[live("o1", 1, r#"{"a":0}"#)]);
    let first = here.patches("o1", r#"{"a":1}"#);
    here.sends();
    let second = here.patches("o1", r#"{"a":2}"#);
    let file = here.exports(&Selection::Ids(vec![second]), false).unwrap();
    here.hands_over();
    here.takes(&file);
    assert!(is_blocked_by(&here.op(second), first));
    let found = here.op(second).before;
    here.discards(first).unwrap();
    assert_eq!(here.fate(first), Some(Fate::HandedOver));
    assert_eq!(here.op(second).before, found);
}

/// P4: what fits to the byte is taken.
#[test]
fn a_file_may_fill_the_outbox() {
    let (mut here, mut there) = (Till::new(), Till::other());
    here.creates("o1", r#"{"n":1}"#);
    let file = here.backs_up();
    let bytes = here.counts().bytes;
    there.rules.limits.outbox_operations = 1;
    there.rules.limits.outbox_bytes = bytes - 1;
    assert_eq!(there.imports(&file).unwrap_err().code, Code::OutboxFull);
    there.rules.limits.outbox_bytes = bytes;
    assert_eq!(there.takes(&file), (1, 0));
}
