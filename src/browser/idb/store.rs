//! The store: one transaction per verb, repeated on a new connection when the old one was lost.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use wasm_bindgen_futures::spawn_local;

use super::strict::{Connection, Taken};
use super::{Failure, open, rows};
use crate::browser::clock::sleep;
use crate::browser::storage;
use crate::browser::wait::{Wakers, within_awake};
use crate::layout;
use crate::model::{Changeset, Durability, Meta, Millis, Need, Snapshot, Space, StoreError, Verb};
use crate::port::RawStore;

/// How often a lost connection is opened again before the caller is told, and how long is waited before each.
const PAUSES: [Millis; 3] = [Millis(0), Millis(100), Millis(500)];

/// What may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdbSettings {
    /// An open that takes longer is given up, in milliseconds.
    pub open_limit: Millis,
    /// A transaction that takes longer is given up, in milliseconds.
    pub transaction_limit: Millis,
    /// The version of the schema. Only tests ask for another than the layout's.
    pub version: u32,
}

impl Default for IdbSettings {
    fn default() -> Self {
        Self {
            open_limit: Millis(10_000),
            transaction_limit: Millis(30_000),
            version: layout::VERSION,
        }
    }
}

/// A database of this browser, open.
///
/// ```no_run
/// use holdfast::browser::{IdbSettings, IdbStore};
/// use holdfast::model::Need;
/// use holdfast::port::RawStore;
/// # async fn example() -> Result<(), holdfast::model::StoreError> {
/// let store = IdbStore::open("holdfast:till-7", IdbSettings::default()).await?;
/// let snapshot = store.read(Need::default()).await?;
/// store.close();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct IdbStore(Rc<Inner>);

struct Inner {
    name: String,
    settings: IdbSettings,
    state: RefCell<State>,
    wakers: Wakers,
    /// Which connection is the present one: what happens to an older one does not matter.
    present: Cell<u32>,
    /// There is data: if it is gone when the database is opened again, it was lost.
    holds_data: Cell<bool>,
    asked_to_persist: Cell<bool>,
    /// The browser deleted what was here before.
    deleted: Cell<bool>,
    on_end: RefCell<Option<OnEnd>>,
}

type OnEnd = Box<dyn Fn(StoreError)>;

enum State {
    /// No connection: the next caller opens one.
    Idle,
    /// Somebody is opening one.
    Opening,
    Open(Rc<Connection>),
    /// For good.
    Ended(StoreError),
}

/// What a transaction is for.
enum Work<'a> {
    Commit(&'a Verb, Need, &'a mut dyn FnMut(&Snapshot) -> Changeset),
    Read(Need),
    List(&'a str),
}

impl Work<'_> {
    fn durability(&self) -> Option<Durability> {
        match self {
            Work::Commit(verb, ..) => Some(verb.durability),
            Work::Read(_) | Work::List(_) => None,
        }
    }
}

impl IdbStore {
    /// Opens a database, makes it if there is none, upgrades it if it is older.
    ///
    /// # Errors
    /// [`StoreError::Missing`] without IndexedDB, [`StoreError::TooNew`] when a later release wrote it, [`StoreError::Blocked`] when
    /// another tab keeps it from being upgraded, [`StoreError::Timeout`] when the platform does not answer, [`StoreError::Full`].
    /// A database is never deleted as a cure.
    pub async fn open(name: &str, settings: IdbSettings) -> Result<Self, StoreError> {
        let store = Self(Rc::new(Inner {
            name: name.to_owned(),
            settings,
            state: RefCell::new(State::Idle),
            wakers: Wakers::default(),
            present: Cell::new(0),
            holds_data: Cell::new(false),
            asked_to_persist: Cell::new(false),
            deleted: Cell::new(false),
            on_end: RefCell::new(None),
        }));
        for pause in PAUSES {
            match store.0.connection().await {
                Ok(_) => return Ok(store),
                Err(StoreError::Failed(name)) if Failure(name.clone()).is_passing() => {
                    sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
        store.0.connection().await.map(|_| store)
    }

    /// Closes it. Transactions under way end by themselves; later ones fail with [`StoreError::Closed`].
    pub fn close(&self) {
        self.0.end(StoreError::Closed);
    }

    /// Whether the browser said, when this was opened, that it had deleted the database of this name. Few browsers say so.
    #[must_use]
    pub fn was_deleted(&self) -> bool {
        self.0.deleted.get()
    }

    /// Calls back once when the database was taken away for good: [`StoreError::Superseded`] when another tab upgraded it,
    /// [`StoreError::Lost`] when it was deleted or came back empty.
    pub fn on_end(&self, callback: impl Fn(StoreError) + 'static) {
        *self.0.on_end.borrow_mut() = Some(Box::new(callback));
    }

    async fn work(&self, mut work: Work<'_>) -> Result<Snapshot, StoreError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let (connection, failure) = match self.0.connection().await {
                Ok(connection) => {
                    let limit = self.0.settings.transaction_limit;
                    match within_awake(limit, attempt(&connection, &mut work)).await {
                        Some(Ok(snapshot)) => {
                            self.0.note(&work, &snapshot);
                            return Ok(snapshot);
                        }
                        Some(Err(failure)) => (Some(connection), failure),
                        None => {
                            self.0.drop_connection(&connection);
                            return Err(StoreError::Timeout);
                        }
                    }
                }
                Err(StoreError::Failed(name)) => (None, Failure(name)),
                Err(error) => return Err(error),
            };
            match pauses.next() {
                // What the plan decided on is old: it decides again, on a fresh snapshot (R22).
                Some(pause) if failure.is_passing() => {
                    if let Some(connection) = connection {
                        self.0.drop_connection(&connection);
                    }
                    sleep(pause).await;
                }
                Some(_) | None => return Err(failure.into()),
            }
        }
    }
}

/// One transaction.
async fn attempt(connection: &Connection, work: &mut Work<'_>) -> Result<Snapshot, Failure> {
    let running = connection.begin(work.durability())?;
    let snapshot = match work {
        Work::Commit(_, need, _) | Work::Read(need) => rows::gather(&running, need.clone()).await?,
        Work::List(collection) => rows::list(&running, collection).await?,
    };
    let changes = match work {
        Work::Commit(_, _, decide) => layout::changes(&decide(&snapshot)),
        Work::Read(_) | Work::List(_) => Vec::new(),
    };
    if changes.is_empty() {
        running.release();
    } else {
        running.write(&changes)?;
        running.end().await?;
    }
    Ok(snapshot)
}

impl Inner {
    /// The open connection; opens one if there is none.
    async fn connection(self: &Rc<Self>) -> Result<Rc<Connection>, StoreError> {
        let known = self.wakers.until(|| match &*self.state.borrow() {
            State::Open(connection) => Some(Ok(Some(Rc::clone(connection)))),
            State::Ended(error) => Some(Err(error.clone())),
            State::Idle => Some(Ok(None)),
            State::Opening => None,
        });
        if let Some(connection) = known.await? {
            return Ok(connection);
        }
        *self.state.borrow_mut() = State::Opening;
        let turn = Turn(self);
        let number = self.present.get() + 1;
        self.present.set(number);
        let weak = Rc::downgrade(self);
        let on_taken = move |taken| taken_away(&weak, number, taken);
        let (version, limit) = (self.settings.version, self.settings.open_limit);
        let (connection, unready) = open::open(&self.name, version, limit, on_taken).await?;
        let connection = Rc::new(connection);
        if unready.is_some_and(|unready| unready.deleted) {
            self.deleted.set(true);
        }
        if self.holds_data.get() && is_empty(&connection).await? {
            turn.0.end(StoreError::Lost);
            return Err(StoreError::Lost);
        }
        if matches!(*self.state.borrow(), State::Opening) {
            *self.state.borrow_mut() = State::Open(Rc::clone(&connection));
        }
        drop(turn);
        match &*self.state.borrow() {
            // Closed, or taken away, while it was opened.
            State::Ended(error) => Err(error.clone()),
            State::Open(_) | State::Idle | State::Opening => Ok(connection),
        }
    }

    fn drop_connection(&self, lost: &Rc<Connection>) {
        let is_present = match &*self.state.borrow() {
            State::Open(connection) => Rc::ptr_eq(connection, lost),
            State::Idle | State::Opening | State::Ended(_) => false,
        };
        if is_present {
            *self.state.borrow_mut() = State::Idle;
        }
        lost.close();
    }

    fn end(&self, error: StoreError) {
        if matches!(*self.state.borrow(), State::Ended(_)) {
            return;
        }
        let told = error != StoreError::Closed;
        if let State::Open(connection) = self.state.replace(State::Ended(error.clone())) {
            connection.close();
        }
        self.wakers.wake();
        let callback = self.on_end.take().filter(|_| told);
        if let Some(callback) = callback {
            callback(error);
        }
    }

    fn note(&self, work: &Work<'_>, snapshot: &Snapshot) {
        let wrote = work.durability() == Some(Durability::Strict);
        if snapshot.meta != Meta::default() {
            self.holds_data.set(true);
        }
        if wrote && !self.asked_to_persist.replace(true) {
            spawn_local(async {
                storage::persist().await;
            });
        }
    }
}

/// Whoever opens, and does not come to an end, leaves the turn to the next.
struct Turn<'a>(&'a Inner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if matches!(*self.0.state.borrow(), State::Opening) {
            *self.0.state.borrow_mut() = State::Idle;
        }
        self.0.wakers.wake();
    }
}

fn taken_away(inner: &Weak<Inner>, number: u32, taken: Taken) {
    let Some(inner) = inner.upgrade().filter(|inner| inner.present.get() == number) else {
        return;
    };
    match taken {
        Taken::Upgraded => inner.end(StoreError::Superseded),
        Taken::Deleted => inner.end(StoreError::Lost),
        Taken::Closed => {
            let present = match &*inner.state.borrow() {
                State::Open(connection) => Some(Rc::clone(connection)),
                State::Idle | State::Opening | State::Ended(_) => None,
            };
            if let Some(connection) = present {
                inner.drop_connection(&connection);
            }
        }
    }
}

async fn is_empty(connection: &Connection) -> Result<bool, Failure> {
    let snapshot = attempt(connection, &mut Work::Read(Need::default())).await?;
    Ok(snapshot.meta == Meta::default() && snapshot.unreadable.is_empty())
}

impl RawStore for IdbStore {
    async fn run(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        self.work(Work::Commit(verb, need, decide)).await.map(|_| ())
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        self.work(Work::Read(need)).await
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        self.work(Work::List(collection)).await
    }

    async fn space(&self) -> Option<Space> {
        storage::estimate().await
    }
}
