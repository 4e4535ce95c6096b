//! The laws of `port/store.rs` as tests, for every backend: natively on the store in memory, in browsers on IndexedDB. Whatever
//! the simulation proves is proven on the store in memory; these laws are why it holds in a browser too.
//!
//! A backend gives a [`Bench`] and calls [`store_contract!`](crate::store_contract).

#![expect(clippy::panic, clippy::expect_used, reason = "these are tests")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::layout::{Part, Row, RowChange};
use crate::model::{
    Asks, Assumed, Before, Changeset, Conflict, ConflictId, ConflictKind, Cursor, CursorRow,
    DeviceId, Document, Durability, EntityKey, Fate, IdSeed, Intent, JournalLine, Meta, Millis,
    Need, OpId, OpState, Operation, Owner, Parked, Presence, Priority, Record, Reserve, Root,
    SPARE_TERMS, Scope, Seq, Settled, Snapshot, Stamp, StoreError, Term, Unreadable, Verb, Wall,
};
use crate::port::RawStore;

/// A backend under test.
pub trait Bench {
    /// The backend.
    type Store: RawStore;
    /// Opens the database of this name: the same name has the same data.
    fn open(&self, name: &str) -> impl Future<Output = Self::Store>;
    /// Closes it, as a tab does that goes away.
    fn close(&self, store: Self::Store) -> impl Future<Output = ()>;
    /// Stores or deletes a row behind the store's back.
    fn change(
        &self,
        name: &str,
        store: &Self::Store,
        change: RowChange,
    ) -> impl Future<Output = ()>;
    /// Takes all space away, or gives it back; whether that can be done here.
    fn set_space(&self, _: &Self::Store, _: HasSpace) -> bool {
        false
    }
}

/// Whether anything can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HasSpace {
    /// As ever.
    Yes,
    /// Not a byte: the quota is reached.
    No,
}

/// Makes the tests of a backend: `store_contract!(blocking Bench)` for futures that are ready at once,
/// `store_contract!(browser Bench)` for a browser.
#[macro_export]
macro_rules! store_contract {
    ($kind:ident $bench:expr) => {
        $crate::store_contract! { @each $kind $bench;
            a_changeset_is_written_to_every_store
            an_empty_changeset_writes_nothing
            interleaved_commits_are_serial
            a_reader_sees_all_of_a_commit_or_none
            a_record_brings_its_queue_and_its_edges
            a_record_that_is_only_named_brings_its_queue_alone
            a_record_is_found_by_the_servers_id
            ready_operations_come_by_priority_and_place
            operations_that_wait_do_not_hide_one_that_is_due
            flights_are_found
            an_operation_is_found_by_every_id_in_it
            a_listing_has_one_collection_in_order
            a_row_leaves_the_indexes_it_is_no_longer_in
            a_place_given_to_a_successor_is_kept
            an_unreadable_row_is_reported_and_hides_no_other
            what_was_forgotten_is_gone
            scans_stop_at_their_limit
            a_long_scan_comes_whole
            a_page_of_records_brings_their_queues
            all_is_there_after_reopening
            a_dropped_commit_leaves_all_or_nothing
            documents_come_back_as_they_were
            what_is_left_of_the_reserve_says_the_term
            the_balance_of_an_outbox_that_drains_is_that_of_its_rows
            without_space_deletions_commit_and_nothing_else
        }
    };
    (@each $kind:ident $bench:expr; $($law:ident)*) => {
        $($crate::store_contract! { @one $kind $bench, $law })*
    };
    (@one blocking $bench:expr, $law:ident) => {
        #[test]
        fn $law() {
            $crate::memory::contract::block_on($crate::memory::contract::$law(&$bench));
        }
    };
    (@one browser $bench:expr, $law:ident) => {
        #[wasm_bindgen_test::wasm_bindgen_test]
        async fn $law() {
            $crate::memory::contract::$law(&$bench).await;
        }
    };
}

/// Runs a future that never waits for anything outside.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("it waits for something");
}

/// Both at the same time.
pub async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            second = Some(value);
        }
        if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (first.expect("first"), second.expect("second"))
}

/// Drops a future after so many polls; returns whether it had ended.
pub async fn cut<T>(future: impl Future<Output = T>, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

const STRICT: Verb = Verb { name: "contract.strict", durability: Durability::Strict };
const RELAXED: Verb = Verb { name: "contract.relaxed", durability: Durability::Relaxed };

fn key(id: &str) -> EntityKey {
    EntityKey::new("orders", id)
}

fn op_id(n: u32) -> OpId {
    IdSeed { at: Wall(1_763_650_000_000), random: [3; 10] }.op(n)
}

fn conflict_id() -> ConflictId {
    IdSeed { at: Wall(1_763_650_000_000), random: [4; 10] }.conflict(0)
}

fn document(text: &str) -> Document {
    Document::parse(text).expect("a document")
}

fn record(key: &EntityKey, text: &str) -> Record {
    let mut record = Record::new(key.clone());
    record.view = Some(Presence::Live(document(text)));
    record
}

fn op(seq: u64, key: &EntityKey) -> Operation {
    let device = DeviceId::from_bytes([1; 16]);
    Operation {
        seq: Seq(seq),
        id: op_id(u32::try_from(seq).unwrap_or(u32::MAX)),
        key: key.clone(),
        intent: Intent::Replace(document(r#"{"n":1}"#)),
        before: Before::Whole(None),
        assumed: Assumed::Nothing,
        stamp: Stamp { millis: 1, counter: 0, device },
        priority: Priority::Normal,
        group: None,
        refs: Vec::new(),
        owner: Owner::default(),
        schema: 1,
        folded: Vec::new(),
        replaces: None,
        sent: None,
        sends: 0,
        refusals: 0,
        state: OpState::queued(),
        ready: false,
    }
}

fn meta(pending: usize, aliases: u64) -> Meta {
    let mut meta = Meta { floor: Seq(1_000_000), aliases, ..Meta::default() };
    meta.counts.pending = pending as u64;
    meta
}

fn ops(operations: impl IntoIterator<Item = Operation>) -> Changeset {
    let mut set = Changeset::default();
    set.ops = operations.into_iter().map(|op| (op.seq, op)).collect();
    set.meta = Some(meta(set.ops.len(), 0));
    set
}

async fn write(store: &impl RawStore, set: Changeset) {
    let mut decided = 0;
    let mut decide = |_: &Snapshot| {
        decided += 1;
        set.clone()
    };
    store.run(&STRICT, Need::default(), &mut decide).await.expect("written");
    assert_eq!(decided, 1, "decided once");
}

async fn read(store: &impl RawStore, need: Need) -> Snapshot {
    let read = store.read(need.clone()).await.expect("read");
    let mut seen = None;
    let mut decide = |snapshot: &Snapshot| {
        seen = Some(snapshot.clone());
        Changeset::default()
    };
    store.run(&RELAXED, need, &mut decide).await.expect("decided");
    assert_eq!(seen.as_ref(), Some(&read), "a reader and a plan see the same");
    read
}

fn seqs(snapshot: &Snapshot) -> Vec<u64> {
    snapshot.ops.keys().map(|seq| seq.0).collect()
}

fn conflict(key: &EntityKey, op: OpId) -> Conflict {
    Conflict {
        id: conflict_id(),
        key: key.clone(),
        op,
        kind: ConflictKind::UpdateUpdate,
        base: None,
        mine: Presence::Deleted,
        theirs: Presence::Live(document(r#"{"n":2}"#)),
        version: None,
        stamp: None,
        fields: Vec::new(),
        at: Wall(5),
        token: None,
        asks: Asks::Person,
        resolved: None,
    }
}

/// A changeset with a row for every store.
fn everything() -> Changeset {
    let finished = op(1, &key("done"));
    let mut set = Changeset::default();
    set.finish_op(&finished, Fate::Applied, Wall(7), 1);
    let mut parked = op(2, &key("a"));
    parked.state = OpState::Parked(Parked::Conflicted(conflict_id()));
    set.meta = Some(Meta { journal: 1, ..meta(1, 1) });
    set.records.insert(key("a"), record(&key("a"), r#"{"n":1}"#));
    set.conflicts.insert(conflict_id(), conflict(&key("a"), parked.id));
    set.ops.insert(parked.seq, parked);
    set.cursors.push(CursorRow {
        cursor: Some(Cursor("17".to_owned())),
        complete: true,
        ..CursorRow::new(Scope::all())
    });
    set.aliases.push((key("srv-9"), "a".to_owned()));
    set.quarantine.push(Unreadable { place: "pull/1".to_owned(), text: "{".to_owned() });
    set
}

fn everything_needed() -> Need {
    Need::only(vec![
        Root::Records,
        Root::Outbox,
        Root::Conflicts,
        Root::Cursors,
        Root::Record(key("srv-9")),
        Root::Settled { limit: 10 },
        Root::Journal { limit: 10 },
        Root::Quarantine("pull/1".to_owned()),
        Root::Quarantine("pull/2".to_owned()),
    ])
}

/// P2: all stores are written, and read back the same.
pub async fn a_changeset_is_written_to_every_store<B: Bench>(bench: &B) {
    let store = bench.open("every-store").await;
    let set = everything();
    write(&store, set.clone()).await;
    let seen = read(&store, everything_needed()).await;
    assert_eq!(Some(&seen.meta), set.meta.as_ref());
    assert_eq!(seen.records, set.records);
    assert_eq!(seen.ops, set.ops);
    assert_eq!(seen.conflicts, set.conflicts);
    assert_eq!(seen.cursors.values().collect::<Vec<_>>(), set.cursors.iter().collect::<Vec<_>>());
    assert_eq!(seen.aliases, set.aliases.iter().cloned().collect());
    assert_eq!(seen.settled.values().collect::<Vec<_>>(), set.settled.iter().collect::<Vec<_>>());
    assert_eq!(seen.journal.values().collect::<Vec<_>>(), set.journal.iter().collect::<Vec<_>>());
    assert_eq!(seen.unreadable, Vec::new());
    let kept_aside: Vec<_> = seen.kept_aside.iter().collect();
    assert_eq!(kept_aside, ["pull/1"]);
    bench.close(store).await;
}

/// R22: a refusal leaves no trace, and its plan ran once.
pub async fn an_empty_changeset_writes_nothing<B: Bench>(bench: &B) {
    let store = bench.open("empty-changeset").await;
    write(&store, Changeset::default()).await;
    let seen = read(&store, everything_needed()).await;
    assert_eq!(seen, Snapshot::default());
    bench.close(store).await;
}

async fn count(store: &impl RawStore, verb: &Verb, times: u64) {
    for _ in 0..times {
        let mut decide = |snapshot: &Snapshot| {
            let mut meta = snapshot.meta.clone();
            meta.journal += 1;
            let line = JournalLine {
                line: meta.journal,
                at: Wall(0),
                op: op_id(0),
                key: key("a"),
                fate: Fate::Applied,
            };
            let mut set = Changeset::default();
            (set.meta, set.journal) = (Some(meta), vec![line]);
            set
        };
        store.run(verb, Need::default(), &mut decide).await.expect("counted");
    }
}

/// P24, R22: each commit sees what the other wrote: read, decide and write are one.
pub async fn interleaved_commits_are_serial<B: Bench>(bench: &B) {
    let store = bench.open("interleaved").await;
    let other = bench.open("interleaved").await;
    both(both(count(&store, &STRICT, 20), count(&store, &RELAXED, 20)), count(&other, &STRICT, 20))
        .await;
    let seen = read(&store, Need::only(vec![Root::Journal { limit: 100 }])).await;
    assert_eq!(seen.meta.journal, 60);
    assert_eq!(seen.journal.len(), 60);
    bench.close(store).await;
    bench.close(other).await;
}

/// P2: the operation and its record are seen together.
pub async fn a_reader_sees_all_of_a_commit_or_none<B: Bench>(bench: &B) {
    let store = bench.open("reader").await;
    write(&store, ops([])).await;
    let writes = async {
        for seq in 1..=20 {
            let name = key(&seq.to_string());
            let mut set = ops([op(seq, &name)]);
            set.meta = Some(meta(usize::try_from(seq).unwrap_or(0), 0));
            set.records.insert(name.clone(), record(&name, "{}"));
            write(&store, set).await;
        }
    };
    let reads = async {
        for _ in 0..20 {
            let need = Need::only(vec![Root::Outbox, Root::Records]);
            let seen = store.read(need).await.expect("read");
            assert_eq!(seen.ops.len(), seen.records.len());
            assert_eq!(seen.ops.len() as u64, seen.meta.counts.pending);
        }
    };
    both(writes, reads).await;
    bench.close(store).await;
}

/// From a record to its queue, its conflict, what it refers to and what refers to it (R23).
pub async fn a_record_brings_its_queue_and_its_edges<B: Bench>(bench: &B) {
    let store = bench.open("edges").await;
    let (table, order, line) = (key("table"), key("order"), key("line"));
    let mut first = op(1, &order);
    first.intent = Intent::Create(document("{}"));
    first.refs = vec![table.clone(), key("absent")];
    let mut second = op(2, &order);
    second.state = OpState::Parked(Parked::Conflicted(conflict_id()));
    let mut referrer = op(3, &line);
    referrer.refs = vec![order.clone()];
    let mut set = ops([first, second, referrer, op(4, &table), op(5, &key("other"))]);
    for name in [&table, &order, &line, &key("other")] {
        set.records.insert(name.clone(), record(name, "{}"));
    }
    set.conflicts.insert(conflict_id(), conflict(&order, op_id(2)));
    write(&store, set).await;

    let seen = read(&store, Need::of(vec![Root::Record(order.clone())])).await;
    assert_eq!(seqs(&seen), [1, 2, 3, 4]);
    assert_eq!(seen.records.keys().collect::<Vec<_>>(), [&line, &order, &table]);
    assert_eq!(seen.conflicts.len(), 1);
    let seen = read(&store, Need::only(vec![Root::Record(order.clone())])).await;
    assert_eq!(seqs(&seen), [1, 2]);
    let seen = read(&store, Need::of(vec![Root::Conflict(conflict_id())])).await;
    assert_eq!(seqs(&seen), [1, 2, 3, 4]);
    let seen = read(&store, Need::only(vec![Root::Record(key("ord"))])).await;
    assert_eq!((seen.ops.len(), seen.records.len()), (0, 0), "a prefix of an id is another id");
    bench.close(store).await;
}

/// What names a record is read where the record may change, and not where it is only named itself (R23, R29).
pub async fn a_record_that_is_only_named_brings_its_queue_alone<B: Bench>(bench: &B) {
    let store = bench.open("targets").await;
    let (customer, sale, other) = (key("customer"), key("sale"), key("other"));
    let mut create = op(1, &customer);
    create.intent = Intent::Create(document("{}"));
    let naming = |seq, key: &EntityKey| Operation {
        intent: Intent::Create(document("{}")),
        refs: vec![customer.clone()],
        ..op(seq, key)
    };
    let all = [create, naming(2, &sale), naming(3, &other), op(4, &customer)];
    write(&store, ops(all)).await;
    let seen = read(&store, Need::of(vec![Root::Target(customer.clone())])).await;
    assert_eq!(seqs(&seen), [1, 4]);
    let seen = read(&store, Need::of(vec![Root::Record(sale.clone())])).await;
    assert_eq!(seqs(&seen), [1, 2, 4], "not the other that names it");
    let touched = [Root::Record(customer.clone()), Root::Op(op_id(1)), Root::Op(op_id(4))];
    for touched in touched {
        for roots in [
            vec![touched.clone()],
            vec![Root::Target(customer.clone()), touched.clone()],
            vec![touched.clone(), Root::Target(customer.clone())],
            vec![Root::Record(sale.clone()), touched.clone()],
        ] {
            let seen = read(&store, Need::of(roots.clone())).await;
            assert_eq!(seqs(&seen), [1, 2, 3, 4], "{roots:?}");
        }
    }
    bench.close(store).await;
}

/// The id that the server gave a record leads to it (R16).
pub async fn a_record_is_found_by_the_servers_id<B: Bench>(bench: &B) {
    let store = bench.open("alias").await;
    let mut set = ops([op(1, &key("own"))]);
    set.meta = Some(meta(1, 1));
    set.records.insert(key("own"), record(&key("own"), "{}"));
    set.aliases.push((key("srv-1"), "own".to_owned()));
    write(&store, set).await;
    for root in [Root::Record(key("srv-1")), Root::Pulled(key("srv-1"))] {
        let seen = read(&store, Need::only(vec![root])).await;
        assert_eq!(seen.own_key(&key("srv-1")), key("own"));
        assert!(seen.records.contains_key(&key("own")));
        assert_eq!(seqs(&seen), [1]);
    }
    bench.close(store).await;
}

fn ready(limit: usize) -> Need {
    let (now, horizon) = (Wall(1_000), Millis(500));
    Need::only(vec![Root::Ready { limit, now, horizon, groups: true }])
}

fn waiting(seq: u64, not_before: Option<u64>) -> Operation {
    let mut op = op(seq, &key(&seq.to_string()));
    op.ready = true;
    op.state = OpState::Queued { not_before: not_before.map(Wall), under: None };
    op
}

/// The most urgent first, then the oldest; those whose time has not come say when it comes (R11, R19).
pub async fn ready_operations_come_by_priority_and_place<B: Bench>(bench: &B) {
    let store = bench.open("ready").await;
    let mut all: Vec<_> = [
        (1, None),
        (2, Some(1_000)),
        (3, Some(1_001)),
        (4, Some(1_400)),
        (5, Some(1_501)),
        (10, None),
    ]
    .map(|(seq, not_before)| waiting(seq, not_before))
    .into();
    let mut high = waiting(11, None);
    high.priority = Priority::High;
    let mut low = waiting(6, None);
    low.priority = Priority::Low;
    let mut blocked = waiting(7, None);
    blocked.ready = false;
    all.extend([high, low, blocked]);
    write(&store, ops(all)).await;
    for (limit, expected) in
        [(9, vec![1, 2, 5, 6, 10, 11]), (5, vec![1, 2, 5, 10, 11]), (2, vec![1, 11]), (1, vec![11])]
    {
        let seen = read(&store, ready(limit)).await;
        assert_eq!(seqs(&seen), expected, "at most {limit}");
        assert_eq!(seen.next_due, Some(Wall(1_001)));
    }
    bench.close(store).await;
}

/// However many wait for their time, one that may leave is found.
pub async fn operations_that_wait_do_not_hide_one_that_is_due<B: Bench>(bench: &B) {
    let store = bench.open("not-due").await;
    let wait = (1..=600).map(|seq| waiting(seq, Some(1_400)));
    write(&store, ops(wait.chain([waiting(601, None)]))).await;
    assert_eq!(seqs(&read(&store, ready(100)).await), [601]);
    bench.close(store).await;
}

/// What is with the server.
pub async fn flights_are_found<B: Bench>(bench: &B) {
    let store = bench.open("flights").await;
    let all = (1..=4).map(|seq| {
        let mut op = op(seq, &key(&seq.to_string()));
        if seq % 2 == 0 {
            op.state = OpState::InFlight { term: Term(9 - seq) };
        }
        op
    });
    write(&store, ops(all)).await;
    assert_eq!(seqs(&read(&store, Need::only(vec![Root::Flights])).await), [2, 4]);
    bench.close(store).await;
}

/// By its own id, by the id of a write folded into it, and, when it has ended, by what is kept of it (R9).
pub async fn an_operation_is_found_by_every_id_in_it<B: Bench>(bench: &B) {
    let store = bench.open("ids").await;
    let mut host = op(1, &key("a"));
    host.folded = vec![op_id(50), op_id(51)];
    let mut set = ops([host]);
    let mut ended = op(60, &key("b"));
    ended.folded = vec![op_id(61)];
    set.finish_op(&ended, Fate::Superseded(op_id(1)), Wall(3), 1);
    write(&store, set).await;
    for id in [1, 50, 51] {
        let seen = read(&store, Need::only(vec![Root::Op(op_id(id))])).await;
        assert_eq!(seen.op(op_id(id)).map(|op| op.seq), Some(Seq(1)), "{id}");
    }
    for (id, fate) in [(60, Fate::Superseded(op_id(1))), (61, Fate::Folded(op_id(60)))] {
        let seen = read(&store, Need::only(vec![Root::Op(op_id(id))])).await;
        assert_eq!(seen.settled.get(&op_id(id)).map(|row| row.fate.clone()), Some(fate));
        assert_eq!(seqs(&seen), [0_u64; 0]);
    }
    bench.close(store).await;
}

/// Records of one collection with the operations on them.
pub async fn a_listing_has_one_collection_in_order<B: Bench>(bench: &B) {
    let store = bench.open("listing").await;
    let others = EntityKey::new("orders2", "x");
    let mut set = ops([op(1, &key("b")), op(2, &others), op(3, &key("unseen"))]);
    for name in [key("b"), key("a"), key("c/d"), others, EntityKey::new("order", "y")] {
        set.records.insert(name.clone(), record(&name, "{}"));
    }
    write(&store, set).await;
    let seen = store.list("orders").await.expect("listed");
    assert_eq!(seen.records.keys().map(|key| &*key.id).collect::<Vec<_>>(), ["a", "b", "c/d"]);
    assert_eq!(seqs(&seen), [1, 3]);
    let seen = store.list("nothing").await.expect("listed");
    assert_eq!((seen.records.len(), seen.ops.len()), (0, 0));
    bench.close(store).await;
}

/// Storing an operation again takes it out of the indexes that it no longer belongs to.
pub async fn a_row_leaves_the_indexes_it_is_no_longer_in<B: Bench>(bench: &B) {
    let store = bench.open("indexes").await;
    let mut op = waiting(1, None);
    op.refs = vec![key("target")];
    op.folded = vec![op_id(70)];
    write(&store, ops([op.clone()])).await;
    assert_eq!(seqs(&read(&store, ready(5)).await), [1]);

    (op.ready, op.state) = (false, OpState::InFlight { term: Term(1) });
    (op.refs, op.folded) = (Vec::new(), Vec::new());
    write(&store, ops([op.clone()])).await;
    assert_eq!(seqs(&read(&store, ready(5)).await), [0_u64; 0]);
    assert_eq!(seqs(&read(&store, Need::only(vec![Root::Flights])).await), [1]);
    assert_eq!(seqs(&read(&store, Need::only(vec![Root::Op(op_id(70))])).await), [0_u64; 0]);

    let mut set = ops([]);
    set.finish_op(&op, Fate::Applied, Wall(1), 1);
    write(&store, set).await;
    let roots = vec![Root::Flights, Root::Outbox, Root::Op(op.id), Root::Record(op.key)];
    assert_eq!(seqs(&read(&store, Need::only(roots)).await), [0_u64; 0]);
    bench.close(store).await;
}

/// R9: a successor that takes the place of the operation that ended is stored, not deleted.
pub async fn a_place_given_to_a_successor_is_kept<B: Bench>(bench: &B) {
    let store = bench.open("successor").await;
    let first = op(1, &key("a"));
    write(&store, ops([first.clone()])).await;
    let mut successor = first.clone();
    successor.id = op_id(80);
    let mut set = ops([]);
    set.meta = Some(meta(1, 0));
    set.finish_op(&first, Fate::Superseded(successor.id), Wall(1), 1);
    set.ops.insert(successor.seq, successor.clone());
    write(&store, set).await;
    let seen = read(&store, Need::only(vec![Root::Outbox, Root::Op(first.id)])).await;
    assert_eq!(seen.ops.values().collect::<Vec<_>>(), [&successor]);
    assert_eq!(seen.settled.len(), 1);
    bench.close(store).await;
}

/// P30: a row that cannot be read is handed over with its text; the others are read (R2).
pub async fn an_unreadable_row_is_reported_and_hides_no_other<B: Bench>(bench: &B) {
    let store = bench.open("unreadable").await;
    let mut set = ops([op(1, &key("a")), op(2, &key("b"))]);
    for id in ["a", "b"] {
        set.records.insert(key(id), record(&key(id), "{}"));
    }
    write(&store, set).await;
    let spoiled = "{\"key\":{\"collection\":\"orders\"";
    let row = |indexes| Row { text: spoiled.to_owned(), indexes };
    let record_key = vec![Part::Text("orders".to_owned()), Part::Text("a".to_owned())];
    let mut entry = record_key.clone();
    entry.push(Part::Number(1));
    for (store_name, key, indexes) in [
        ("records", record_key, Vec::new()),
        ("outbox", vec![Part::Number(1)], vec![("entity", vec![entry])]),
    ] {
        let put = RowChange::Put { store: store_name, key, row: row(indexes) };
        bench.change("unreadable", &store, put).await;
    }
    let unreadable = |place: &str| Unreadable { place: place.to_owned(), text: spoiled.to_owned() };
    let roots = vec![Root::Records, Root::Outbox];
    let mut seen = read(&store, Need::only(roots)).await;
    seen.unreadable.sort_by(|a, b| a.place.cmp(&b.place));
    assert_eq!(seen.unreadable, [unreadable("outbox/1"), unreadable("records/orders/a")]);
    assert_eq!((seqs(&seen), seen.records.len()), (vec![2], 1));
    let mut seen = read(&store, Need::only(vec![Root::Record(key("a"))])).await;
    seen.unreadable.sort_by(|a, b| a.place.cmp(&b.place));
    assert_eq!(seen.unreadable, [unreadable("outbox/1"), unreadable("records/orders/a")]);
    let seen = store.list("orders").await.expect("listed");
    assert_eq!((seen.unreadable.len(), seqs(&seen)), (2, vec![2]));
    bench.close(store).await;
}

/// Rows that a changeset forgets are deleted, and no others.
pub async fn what_was_forgotten_is_gone<B: Bench>(bench: &B) {
    let store = bench.open("forgotten").await;
    let mut set = everything();
    set.records.insert(key("b"), record(&key("b"), "{}"));
    write(&store, set).await;
    let mut set = Changeset::default();
    set.drop_records.push(key("a"));
    set.drop_conflicts.push(conflict_id());
    set.drop_settled.push(op_id(1));
    set.drop_journal.push(1);
    write(&store, set).await;
    let seen = read(&store, everything_needed()).await;
    assert_eq!(seen.records.keys().collect::<Vec<_>>(), [&key("b")]);
    assert_eq!((seen.conflicts.len(), seen.settled.len(), seen.journal.len()), (0, 0, 0));
    assert_eq!((seqs(&seen), seen.cursors.len()), (vec![2], 1));
    bench.close(store).await;
}

/// The oldest first, and no more than were asked for.
pub async fn scans_stop_at_their_limit<B: Bench>(bench: &B) {
    let store = bench.open("limits").await;
    let mut set = Changeset::default();
    for n in 0..30_u32 {
        let at = Wall(u64::from(100 - n));
        let fate = Fate::Applied;
        set.settled.push(Settled::new(op_id(n), fate, at));
        set.journal.push(JournalLine {
            line: u64::from(n),
            at,
            op: op_id(n),
            key: key("a"),
            fate: Fate::Applied,
        });
    }
    write(&store, set).await;
    for limit in [0, 1, 7, 30, 31] {
        let roots = vec![Root::Settled { limit }, Root::Journal { limit }];
        let seen = read(&store, Need::only(roots)).await;
        let found = limit.min(30);
        assert_eq!((seen.settled.len(), seen.journal.len()), (found, found), "at most {limit}");
        assert!(seen.settled.values().all(|row| row.at.0 < 71 + limit as u64), "oldest first");
        assert!(seen.journal.keys().all(|line| *line < limit as u64), "oldest first");
    }
    bench.close(store).await;
}

/// More rows than one request of a platform is asked for.
pub async fn a_long_scan_comes_whole<B: Bench>(bench: &B) {
    let store = bench.open("long").await;
    let mut set = ops((1..=1_500).map(|seq| op(seq, &key(&format!("o{}", seq / 2)))));
    for n in 0..=750 {
        let name = key(&format!("o{n}"));
        set.records.insert(name.clone(), record(&name, r#"{"table":7}"#));
    }
    write(&store, set).await;
    let all: Vec<u64> = (1..=1_500).collect();
    let seen = read(&store, Need::only(vec![Root::Outbox, Root::Records])).await;
    assert_eq!((seqs(&seen), seen.records.len()), (all.clone(), 751));
    let seen = store.list("orders").await.expect("listed");
    assert_eq!((seqs(&seen), seen.records.len()), (all, 751));
    bench.close(store).await;
}

/// The records of a pulled page and their queues, whether the outbox is shorter or longer than the page.
pub async fn a_page_of_records_brings_their_queues<B: Bench>(bench: &B) {
    for (name, pending) in [("page-short", 20_u64), ("page-long", 400)] {
        let store = bench.open(name).await;
        let mut set = ops((1..=pending).map(|seq| op(seq, &key(&format!("o{}", seq % 250)))));
        for n in 0..250 {
            let name = key(&format!("o{n}"));
            set.records.insert(name.clone(), record(&name, "{}"));
        }
        write(&store, set).await;
        let page = (0..100).map(|n| Root::Pulled(key(&format!("o{n}"))));
        let seen = read(&store, Need::of(page.collect())).await;
        let expected: Vec<u64> = (1..=pending).filter(|seq| seq % 250 < 100).collect();
        assert_eq!((seqs(&seen), seen.records.len()), (expected, 100), "{name}");
        bench.close(store).await;
    }
}

/// P1: what was written is there when the tab is gone and comes back.
pub async fn all_is_there_after_reopening<B: Bench>(bench: &B) {
    let store = bench.open("reopen").await;
    write(&store, everything()).await;
    let before = read(&store, everything_needed()).await;
    bench.close(store).await;
    let store = bench.open("reopen").await;
    assert_eq!(read(&store, everything_needed()).await, before);
    bench.close(store).await;
}

/// P1, P2: a tab may go away at any instant.
pub async fn a_dropped_commit_leaves_all_or_nothing<B: Bench>(bench: &B) {
    let (mut all, mut nothing) = (0, 0);
    for polls in 0..12_usize {
        let name = format!("dropped-{polls}");
        let store = bench.open(&name).await;
        let set = everything();
        let mut decide = |_: &Snapshot| set.clone();
        let ended = cut(store.run(&STRICT, everything_needed(), &mut decide), polls).await;
        let seen = read(&store, everything_needed()).await;
        let rows = [
            seen.records.len(),
            seen.ops.len(),
            seen.conflicts.len(),
            seen.cursors.len(),
            seen.aliases.len(),
            seen.settled.len(),
            seen.journal.len(),
        ];
        match rows {
            [1, 1, 1, 1, 1, 1, 1] => all += 1,
            [0, 0, 0, 0, 0, 0, 0] => nothing += 1,
            half => panic!("half of it after {polls} polls: {half:?}"),
        }
        assert!(!ended || rows == [1; 7], "it had ended after {polls} polls");
        bench.close(store).await;
    }
    assert!(all > 0 && nothing > 0, "{all} were stored, {nothing} were not");
}

/// P35, R5: documents are text: whatever JSON can say comes back, digit by digit.
pub async fn documents_come_back_as_they_were<B: Bench>(bench: &B) {
    let store = bench.open("documents").await;
    let long = format!(r#"{{"text":"{}"}}"#, "äöü€😀".repeat(12_000));
    let texts = [
        "{}",
        r#"{"__proto__":{"polluted":true},"constructor":{"prototype":1},"":0}"#,
        r#"{"emoji":"👩‍👩‍👧","nul":"\u0000","rtl":"\u202e","sep":"\u2028"}"#,
        r#"{"n":12345678901234567890.10,"e":1e400,"neg":-0}"#,
        r#"{"pair":"\ud83d\ude00","last":"\udbff\udfff"}"#,
        r#"{"entity":1,"text":"x","ready":[1]}"#,
        &long,
    ];
    let odd = ["", "/", "a/b", "\u{0}", "__proto__", "ключ", "😀", "\u{ffff}"];
    let mut set = ops([]);
    for (n, text) in texts.iter().enumerate() {
        let name = key(&n.to_string());
        set.records.insert(name.clone(), record(&name, text));
    }
    for id in odd {
        set.records.insert(key(id), record(&key(id), "{}"));
    }
    write(&store, set.clone()).await;
    let seen = read(&store, Need::only(vec![Root::Records])).await;
    for (n, text) in texts.iter().enumerate() {
        let found = seen.records.get(&key(&n.to_string())).and_then(|record| record.view.as_ref());
        let found = found.and_then(Presence::document).map(Document::text);
        assert_eq!(found, Some(*text));
    }
    assert_eq!(seen.records.len(), set.records.len());
    for id in odd {
        let seen = read(&store, Need::only(vec![Root::Record(key(id))])).await;
        assert_eq!(seen.records.keys().collect::<Vec<_>>(), [&key(id)]);
    }
    bench.close(store).await;
}

/// R27, R21: the marker says whether it drains, and every spare term that is gone is one.
pub async fn what_is_left_of_the_reserve_says_the_term<B: Bench>(bench: &B) {
    let store = bench.open("reserve").await;
    let seen = read(&store, Need::default()).await;
    assert_eq!((seen.spares, seen.meta.term), (None, Term(0)), "nobody has led");
    let mut full = ops([]);
    full.meta = Some(Meta { term: Term(4), reserve: SPARE_TERMS, ..meta(0, 0) });
    full.reserve = Some(Reserve::Fill);
    write(&store, full.clone()).await;
    let draw = |reserve| {
        let mut set = Changeset::default();
        set.reserve = Some(reserve);
        set
    };
    for (reserve, spares, term) in [
        (None, None, 4),
        (Some(Reserve::Draw), Some(SPARE_TERMS), 4),
        (Some(Reserve::Draw), Some(SPARE_TERMS), 4),
        (Some(Reserve::DrawTerm(SPARE_TERMS)), Some(SPARE_TERMS - 1), 5),
        (Some(Reserve::DrawTerm(SPARE_TERMS)), Some(SPARE_TERMS - 1), 5),
        (Some(Reserve::DrawTerm(SPARE_TERMS - 1)), Some(SPARE_TERMS - 2), 6),
    ] {
        if let Some(reserve) = reserve {
            write(&store, draw(reserve)).await;
        }
        let seen = read(&store, Need::default()).await;
        assert_eq!((seen.spares, seen.meta.term), (spares, Term(term)), "{reserve:?}");
    }
    if let Some(meta) = &mut full.meta {
        meta.term = Term(6);
    }
    write(&store, full).await;
    let seen = read(&store, Need::default()).await;
    assert_eq!((seen.spares, seen.meta.term), (None, Term(6)));
    bench.close(store).await;
}

/// R27, R10: what was taken out without being counted is applied.
pub async fn the_balance_of_an_outbox_that_drains_is_that_of_its_rows<B: Bench>(bench: &B) {
    let store = bench.open("drained-balance").await;
    let mut set = ops((1..=3).map(|seq| op(seq, &key("a"))));
    set.meta = Some(Meta { reserve: SPARE_TERMS, ..meta(3, 0) });
    set.reserve = Some(Reserve::Fill);
    write(&store, set).await;
    let mut drained = Changeset::default();
    drained.drain_op(Seq(1));
    drained.drain_op(Seq(3));
    drained.reserve = Some(Reserve::Draw);
    write(&store, drained).await;
    let said = |seen: &Snapshot| (seen.meta.counts.pending, seen.meta.counts.applied);
    assert_eq!(said(&read(&store, Need::default()).await), (3, 0), "as it was written");
    let seen = read(&store, Need::only(vec![Root::Balance])).await;
    assert_eq!((said(&seen), seqs(&seen)), ((1, 2), vec![2]));
    bench.close(store).await;
}

/// R27: measured in Chromium: at full quota a transaction with a put fails at its commit, one of deletions does not.
pub async fn without_space_deletions_commit_and_nothing_else<B: Bench>(bench: &B) {
    let store = bench.open("no-space").await;
    write(&store, ops((1..=2).map(|seq| op(seq, &key("a"))))).await;
    if bench.set_space(&store, HasSpace::No) {
        let mut both = ops([op(3, &key("a"))]);
        both.drain_op(Seq(1));
        let refused = store.run(&STRICT, Need::default(), &mut |_| both.clone()).await;
        assert_eq!(refused, Err(StoreError::Full));
        let outbox = Need::only(vec![Root::Outbox]);
        assert_eq!(seqs(&read(&store, outbox.clone()).await), [1, 2], "nothing of it");
        let mut gone = Changeset::default();
        gone.drain_op(Seq(1));
        write(&store, gone).await;
        assert_eq!(seqs(&read(&store, outbox.clone()).await), [2]);
        assert!(bench.set_space(&store, HasSpace::Yes));
        write(&store, both).await;
        assert_eq!(seqs(&read(&store, outbox).await), [2, 3]);
    }
    bench.close(store).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use crate::memory::{Disk, MemoryStore};

    #[derive(Default)]
    struct InMemory(RefCell<BTreeMap<String, Rc<RefCell<Disk>>>>);

    impl Bench for InMemory {
        type Store = MemoryStore;
        async fn open(&self, name: &str) -> MemoryStore {
            let disk = Rc::clone(self.0.borrow_mut().entry(name.to_owned()).or_default());
            MemoryStore::on(disk)
        }
        async fn close(&self, _: MemoryStore) {}
        async fn change(&self, _: &str, store: &MemoryStore, change: RowChange) {
            store.disk().borrow_mut().change(change);
        }
        fn set_space(&self, store: &MemoryStore, space: HasSpace) -> bool {
            store.disk().borrow_mut().set_full(space == HasSpace::No);
            true
        }
    }

    crate::store_contract!(blocking InMemory::default());
}
