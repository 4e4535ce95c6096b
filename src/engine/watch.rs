//! Who is told what, after a commit: at most one notice a commit, in commit order (R28).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::run::CycleReport;
use super::status::Status;
use crate::model::{ConflictId, EntityKey, OpId, Scope};
use crate::plan::Notice;

/// Something that an application may show.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A commit of this tab: to be told to the other tabs too.
    Commit(Commit),
    /// A commit of another tab.
    Remote(Commit),
    /// A cycle came on.
    Progress(Progress),
    /// A cycle of this tab ended.
    Cycle(CycleReport),
    /// The status changed.
    Status(Status),
    /// The server wants a new token.
    AuthRequired,
    /// Somebody here wants a cycle now: to be told to the tab that leads.
    Asked,
    /// Something that takes time began here.
    Began(Spell),
    /// It ended.
    Ended(Spell),
}

/// Something that takes time, for the browser's profiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// `cycle`, `push`, `pull` or `commit`.
    pub name: &'static str,
    /// Tells those of one name apart.
    pub number: u64,
}

/// What a commit changed; small enough to be told to every tab.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Commit {
    /// Records whose view or state changed.
    pub changed: Vec<EntityKey>,
    /// Operations that were parked as rejected.
    pub parked: Vec<OpId>,
    /// Conflicts that were found.
    pub conflicts: Vec<ConflictId>,
    /// Whether something may leave now that could not before.
    pub wrote: bool,
    /// Further records of which something was stored.
    pub touched: Vec<EntityKey>,
    /// Which commits these were, by the database's own count: who misses one reads everything again.
    pub numbers: Vec<u64>,
}

impl From<Notice> for Commit {
    fn from(notice: Notice) -> Self {
        Self {
            changed: notice.changed.into_iter().collect(),
            parked: notice.parked,
            conflicts: notice.conflicts,
            wrote: false,
            touched: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

impl Commit {
    /// Of a write or of a person's decision: something may leave now that could not before.
    #[must_use]
    pub fn written(notice: Notice) -> Self {
        Self { wrote: true, ..Self::from(notice) }
    }
}

/// How far a cycle is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// `push` or `pull`.
    pub phase: &'static str,
    /// What is pulled, where the application chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Operations with a verdict, or records pulled.
    pub done: u64,
    /// Of how many, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Conflicts found in this cycle.
    pub conflicts: u64,
    /// Operations parked in this cycle.
    pub parked: u64,
    /// Bytes on the wire in this cycle.
    pub bytes: u64,
}

type Listener = Rc<dyn Fn(&Event)>;

#[derive(Default)]
pub(super) struct Watch {
    listeners: RefCell<Vec<(u64, Listener)>>,
    next: Cell<u64>,
    shown: RefCell<Option<Status>>,
}

impl Watch {
    pub(super) fn subscribe(&self, listener: Listener) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.listeners.borrow_mut().push((id, listener));
        id
    }

    pub(super) fn unsubscribe(&self, id: u64) {
        self.listeners.borrow_mut().retain(|(known, _)| *known != id);
    }

    pub(super) fn tell(&self, event: &Event) {
        // A listener may subscribe, unsubscribe or write: the list is not borrowed while they run.
        let listeners: Vec<Listener> =
            self.listeners.borrow().iter().map(|(_, listener)| Rc::clone(listener)).collect();
        for listener in listeners {
            listener(event);
        }
    }

    pub(super) fn commit(&self, commit: Commit) {
        if commit != Commit::default() {
            self.tell(&Event::Commit(commit));
        }
    }

    /// Only a status that differs is told.
    pub(super) fn status(&self, status: Status) {
        let same = self.shown.borrow().as_ref().is_some_and(|shown| shown.same_as(&status));
        if !same {
            *self.shown.borrow_mut() = Some(status.clone());
            self.tell(&Event::Status(status));
        }
    }
}
