//! What one write costs with a long queue in front of it: rows asked for, rows read, rows written and their bytes, each exactly. They
//! must not depend on how many operations wait (R29, R23). `cargo xtask depth` prints the times too, up to 50,000.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    native::main();
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::panic, reason = "a test with a main of its own")]
mod native {
    use std::cell::{Cell, RefCell};
    use std::future::{Future, pending};
    use std::rc::Rc;

    use holdfast::engine::{Config, Engine, WriteRequest};
    use holdfast::layout::{Gather, RowChange, changes};
    use holdfast::memory::{Disk, contract::block_on};
    use holdfast::model::{
        Base, Batch, Capabilities, Changeset, CollectionRules, Cursor, Document, EntityKey, Halt,
        Mono, Need, Path, Presence, PullPage, PushReply, Record, Rules, Scope, Snapshot,
        StoreError, Verb, Version, Wall,
    };
    use holdfast::plan::write::Action;
    use holdfast::port::{Clock, Host, Leadership, NoResolver, RawStore, Remote, Rng};

    /// What the last transaction did.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    struct Cost {
        queries: usize,
        read: usize,
        written: usize,
        bytes: usize,
    }

    #[derive(Default)]
    struct Counted {
        disk: RefCell<Disk>,
        last: Cell<Cost>,
        /// Time spent within the disk: its indexes are sorted lists, and putting something into the middle of one moves the rest.
        inside: Cell<std::time::Duration>,
    }

    impl Counted {
        fn timed<T>(&self, work: impl FnOnce(&mut Disk) -> T) -> T {
            let from = now();
            let done = work(&mut self.disk.borrow_mut());
            self.inside.set(self.inside.get() + from.elapsed());
            done
        }
    }

    impl RawStore for Counted {
        async fn run(
            &self,
            _: &Verb,
            need: Need,
            decide: &mut dyn FnMut(&Snapshot) -> Changeset,
        ) -> Result<(), StoreError> {
            let mut cost = Cost::default();
            let mut gather = Gather::new(need);
            loop {
                let queries = gather.queries();
                if queries.is_empty() {
                    break;
                }
                for query in queries {
                    let rows = self.timed(|disk| disk.query(&query));
                    cost.queries += 1;
                    cost.read += rows.len();
                    gather.feed(&query, rows);
                }
            }
            for change in changes(&decide(&gather.into_snapshot())) {
                cost.written += 1;
                if let RowChange::Put { row, .. } = &change {
                    cost.bytes += row.text.len();
                }
                self.timed(|disk| disk.change(change));
            }
            self.last.set(cost);
            Ok(())
        }

        async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
            Ok(self.disk.borrow().snapshot(need))
        }

        async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
            Ok(self.disk.borrow().list(collection))
        }
    }

    /// A tab that is alone and has no network.
    #[derive(Default)]
    struct Tab {
        store: Counted,
        lots: Cell<u64>,
    }

    impl Rng for Tab {
        fn next(&self) -> u64 {
            self.lots.set(self.lots.get() + 1);
            self.lots.get().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }
    }

    impl Clock for Tab {
        fn wall(&self) -> Wall {
            Wall(1_763_650_000_000 + self.lots.get())
        }
        fn mono(&self) -> Mono {
            Mono(0)
        }
        fn sleep_until(&self, _: Mono) -> impl Future<Output = ()> {
            pending()
        }
    }

    impl Leadership for Tab {
        fn acquire(&self) -> impl Future<Output = ()> {
            pending()
        }
        fn lost(&self) -> impl Future<Output = ()> {
            pending()
        }
        fn release(&self) {}
    }

    impl Remote for Tab {
        fn push(&self, _: &Batch) -> impl Future<Output = PushReply> {
            pending()
        }
        fn pull(
            &self,
            _: &Scope,
            _: Option<&Cursor>,
        ) -> impl Future<Output = Result<PullPage, Halt>> {
            pending()
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities { versions: true, ..Capabilities::default() }
        }
    }

    impl Host for Tab {
        type Store = Counted;
        type Remote = Self;
        type Clock = Self;
        type Rng = Self;
        type Leadership = Self;
        type Resolver = NoResolver;

        fn store(&self) -> &Counted {
            &self.store
        }
        fn remote(&self) -> &Self {
            self
        }
        fn clock(&self) -> &Self {
            self
        }
        fn rng(&self) -> &Self {
            self
        }
        fn leadership(&self) -> &Self {
            self
        }
        fn resolver(&self) -> &NoResolver {
            &NoResolver
        }
    }

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// A sale of a usual size.
    fn sale(customer: &str) -> Action {
        let line = r#"{"item":"Chicken Bowl","count":2,"cents":1698,"note":"no onions"}"#;
        Action::Create(document(&format!(
            r#"{{"table":7,"status":"open","customer":"{customer}","lines":[{line},{line}]}}"#
        )))
    }

    struct Till {
        engine: Rc<Engine<Tab>>,
    }

    impl Till {
        /// A till with so many sales in its outbox, each of a record of its own; every tenth names a customer that was made here.
        fn with(depth: usize) -> Self {
            let orders = CollectionRules {
                references: [(Path::field("customer"), "customers".to_owned())].into(),
                ..CollectionRules::default()
            };
            let collections = [("orders", orders), ("customers", CollectionRules::default())];
            let mut rules = Rules {
                collections: collections.map(|(name, rules)| (name.to_owned(), rules)).into(),
                ..Rules::default()
            };
            rules.limits.outbox_operations = u64::MAX;
            rules.limits.outbox_bytes = u64::MAX;
            let config = Config { rules, ..Config::default() };
            let tab = Tab::default();
            // Records that the server has, to be changed and removed.
            let mut known = Changeset::default();
            for n in 0..60 {
                let key = EntityKey::new("orders", format!("known-{n:02}"));
                let presence = Presence::Live(document(r#"{"table":1,"status":"open"}"#));
                let version = Some(Version::Number(1));
                let view = Some(presence.clone());
                let base = Base { presence, version, stamp: None, guessed: false };
                let record = Record { base: Some(base), view, ..Record::new(key.clone()) };
                known.records.insert(key, record);
            }
            let written = tab.store.disk.borrow_mut().write(&known);
            written.unwrap_or_else(|error| panic!("{error:?}"));
            let engine = block_on(Engine::open(tab, config));
            let till = Self { engine: engine.unwrap_or_else(|error| panic!("{error}")) };
            till.writes("customers", "made-here", Action::Create(document("{}")));
            till.writes("orders", "mine", sale("nobody"));
            for n in 0..depth {
                let customer = if n % 10 == 0 { "made-here" } else { "nobody" };
                till.writes("orders", &format!("queued-{n:06}"), sale(customer));
            }
            till
        }

        fn writes(&self, collection: &str, id: &str, action: Action) -> Cost {
            let (collection, id) = (collection.to_owned(), Some(id.to_owned()));
            let request = WriteRequest { collection, id, action, priority: None };
            let written = block_on(self.engine.write(request));
            written.unwrap_or_else(|error| panic!("{error}"));
            self.engine.host().store.last.get()
        }
    }

    /// What a user does, `n` times over.
    type Does = fn(&Till, usize) -> Cost;

    const KINDS: [(&str, Does); 5] = [
        ("create", |till, n| till.writes("orders", &format!("z-{n:02}"), sale("nobody"))),
        ("create that names one made here", |till, n| {
            till.writes("orders", &format!("zz-{n:02}"), sale("made-here"))
        }),
        ("patch of a record at rest", |till, n| {
            let patch = Action::Patch(document(r#"{"status":"paid"}"#));
            till.writes("orders", &format!("known-{n:02}"), patch)
        }),
        ("patch into what waits", |till, n| {
            till.writes(
                "orders",
                "mine",
                Action::Patch(document(&format!(r#"{{"table":{}}}"#, n % 10))),
            )
        }),
        ("remove", |till, n| {
            till.writes("orders", &format!("known-{:02}", 30 + n), Action::Remove)
        }),
    ];

    pub(super) fn main() {
        if std::env::args().any(|word| word == "--measure") {
            measure();
        } else {
            does_not_grow();
        }
    }

    /// R29, R23: the rows of a write are the same in number, whatever waits.
    fn does_not_grow() {
        let (empty, long) = (Till::with(0), Till::with(3_000));
        for (kind, does) in KINDS {
            let (little, much) = (does(&empty, 1), does(&long, 1));
            assert_eq!(
                (little.queries, little.read, little.written),
                (much.queries, much.read, much.written),
                "{kind}: {little:?}, with 3,000 in the outbox {much:?}"
            );
            // Numbers have more digits there, and a folded operation names what is in it.
            assert!(much.bytes.abs_diff(little.bytes) < 100, "{kind}: {little:?} {much:?}");
            // Record, operation, the database's own state; a write that goes into another ends there, and the journal says so.
            let most = if kind.contains("into") { 4 } else { 3 };
            assert!(much.written <= most, "R29: {kind}: {much:?}");
        }
        println!("depth: what a write reads and writes does not depend on what waits");
    }

    /// A table: depth, rows and bytes of each kind, and its time beside that of an empty outbox in the same run. The disk in memory
    /// is left out of the times: it is made for tests, and a browser has another.
    fn measure() {
        const REPS: usize = 25;
        println!(
            "| write | in the outbox | queries | rows read | rows written | bytes | us without the disk | to empty |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let mut empty = [0.0; KINDS.len()];
        for depth in [0, 1_000, 10_000, 50_000] {
            let till = Till::with(depth);
            for (at, (kind, does)) in KINDS.into_iter().enumerate() {
                let mut times: Vec<f64> = Vec::new();
                let mut cost = Cost::default();
                for n in 0..REPS {
                    let store = &till.engine.host().store;
                    store.inside.take();
                    let from = now();
                    cost = does(&till, n);
                    let all = from.elapsed();
                    times.push(all.saturating_sub(store.inside.take()).as_secs_f64() * 1e6);
                }
                times.sort_by(f64::total_cmp);
                let time = times.get(REPS / 2).copied().unwrap_or_default();
                let first = empty.get_mut(at).map(|first| {
                    if depth == 0 {
                        *first = time;
                    }
                    *first
                });
                let Cost { queries, read, written, bytes } = cost;
                let ratio = time / first.unwrap_or(time);
                println!(
                    "| {kind} | {depth} | {queries} | {read} | {written} | {bytes} | {time:.1} | {ratio:.2} |"
                );
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a measurement; nothing is decided by it")]
    fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
}
