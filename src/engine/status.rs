//! The status: a pure function of what is stored, what the server said last and what this tab is doing (P37).

use serde::Serialize;

use super::Engine;
use super::run::CycleReport;
use crate::model::{Counts, Halt, Map, Meta, Scope, Wall};
use crate::port::{Clock, Host};

/// What this tab knows beside what is stored.
#[derive(Debug, Clone, Default)]
pub struct Phase {
    /// Whether this tab leads.
    pub leader: bool,
    /// Whether a cycle is running.
    pub syncing: bool,
    /// Whether our server answered last; nothing before the first request. In a tab that does not lead, the leader's word.
    pub connected: Option<bool>,
    /// Why the last request failed.
    pub halt: Option<Halt>,
    /// What is wrong with the storage.
    pub storage: Option<StatusKind>,
    /// Whether the outbox drains by deletions alone (R27).
    pub draining: bool,
    /// Whether pulls stopped, to leave what room there is to the outbox (P27).
    pub cramped: bool,
    /// The browser's hint.
    pub offline: bool,
    /// The application wants nothing here: nothing can be pulled.
    pub unscoped: bool,
    /// Scopes of which the server gave nothing when it was last asked.
    pub scopes: Map<Scope, Halt>,
    /// Whether the push of this cycle sent something; nothing before it.
    pub pushed: Option<bool>,
    /// Why the last attempt to lead or to sync came to nothing on this device, whatever the server had said.
    pub stuck: Option<&'static str>,
    /// When the eldest in the outbox was written: as the last cycle left it, or as it was written since.
    pub oldest: Option<Wall>,
    /// The last cycle of this browser.
    pub last_cycle: Option<CycleReport>,
    /// When the present kind began.
    pub since: (Option<StatusKind>, u64),
}

/// What the application shows first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusKind {
    /// The outbox is empty and a pull was completed after the last push.
    Synced,
    /// Something waits.
    Pending,
    /// A cycle is running.
    Syncing,
    /// The server does not answer.
    Offline,
    /// The application paused.
    Paused,
    /// The server wants a new token.
    AuthRequired,
    /// The server refuses every request.
    BlockedByServer,
    /// The device's storage is full.
    StorageFull,
    /// The storage lost its data.
    StorageLost,
    /// Another tab upgraded the database.
    Superseded,
    /// Something waits, and this device's own trouble keeps it from leaving: it is tried again and again.
    Stalled,
}

/// What we know of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// `connected`, `limited` or `disconnected`.
    pub kind: &'static str,
    /// Why we think so.
    pub reason: &'static str,
}

/// The outbox in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxCounts {
    /// Wait or are with the server.
    pub pending: u64,
    /// Of these, with the server.
    pub in_flight: u64,
    /// Need a person, or wait for one that does.
    pub parked: u64,
    /// User data in all of them.
    pub bytes: u64,
    /// When the eldest of them was written, in milliseconds since 1970 by the clock of stamps (R20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
}

/// What the application shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// In one word.
    pub kind: StatusKind,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Milliseconds since 1970.
    pub since: u64,
    /// To the server.
    pub connection: Connection,
    /// Whether this tab leads.
    pub leader: bool,
    /// The outbox.
    pub outbox: OutboxCounts,
    /// Open conflicts.
    pub conflicts: u64,
    /// What could not be read and is kept aside: changes of the server's, and rows (R2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<u64>,
    /// Milliseconds since 1970 of the last answered push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_push: Option<u64>,
    /// Milliseconds since 1970 of the last completed pull.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pull: Option<u64>,
}

impl Status {
    /// Whether an application would show the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self == other
    }
}

impl<H: Host> Engine<H> {
    /// The status now.
    pub fn status(&self) -> Status {
        let paused = self.scheduler.borrow().is_paused();
        let now = self.host.clock().wall().0;
        let meta = self.meta.borrow();
        let mut phase = self.phase.borrow_mut();
        let (kind, reason) = kind(&meta, &phase, paused);
        if phase.since.0 != Some(kind) {
            phase.since = (Some(kind), now);
        }
        let Counts { pending, in_flight, parked, blocked, bytes, conflicts, .. } = meta.counts;
        let oldest = phase.oldest.filter(|_| meta.counts.in_outbox() > 0).map(|at| at.0);
        Status {
            kind,
            reason,
            since: phase.since.1,
            connection: connection(&phase),
            leader: phase.leader,
            outbox: OutboxCounts { pending, in_flight, parked: parked + blocked, bytes, oldest },
            conflicts,
            unreadable: Some(meta.quarantine.rows).filter(|rows| *rows > 0),
            last_push: meta.last_push.map(|at| at.0),
            last_pull: meta.last_pull.map(|at| at.0),
        }
    }
}

fn kind(meta: &Meta, phase: &Phase, paused: bool) -> (StatusKind, Option<&'static str>) {
    if let Some(storage) = phase.storage {
        return (storage, None);
    }
    if phase.draining || phase.cramped {
        return (StatusKind::StorageFull, None);
    }
    if meta.lost.is_some() {
        return (StatusKind::StorageLost, None);
    }
    if paused {
        return (StatusKind::Paused, None);
    }
    if phase.syncing {
        return (StatusKind::Syncing, None);
    }
    let waits = meta.counts.in_outbox() > 0;
    if let Some(reason) = phase.stuck.filter(|_| waits) {
        return (StatusKind::Stalled, Some(reason));
    }
    match &phase.halt {
        Some(Halt::Auth) => return (StatusKind::AuthRequired, None),
        Some(Halt::Forbidden) => return (StatusKind::BlockedByServer, Some("forbidden")),
        Some(Halt::Misconfigured) => return (StatusKind::BlockedByServer, Some("misconfigured")),
        Some(Halt::Foreign) => return (StatusKind::Offline, Some("foreign-response")),
        Some(Halt::Unreachable) => return (StatusKind::Offline, Some("unreachable")),
        Some(Halt::Later(_)) => return (StatusKind::Pending, Some("rate-limited")),
        Some(Halt::Protocol | Halt::BatchRefused | Halt::TooLarge | Halt::Expired) => {
            return (StatusKind::Pending, Some("protocol-error"));
        }
        Some(Halt::Unreadable) => return (StatusKind::Pending, Some("unreadable")),
        None => {}
    }
    if phase.offline {
        return (StatusKind::Offline, Some("no-network"));
    }
    if !phase.scopes.is_empty() {
        return (StatusKind::Pending, Some("scope-refused"));
    }
    // Parked operations wait for a person, not for the server: they have counts of their own.
    if waits || meta.pull_due || meta.last_pull.is_none() {
        (StatusKind::Pending, None)
    } else {
        (StatusKind::Synced, None)
    }
}

fn connection(phase: &Phase) -> Connection {
    let (kind, reason) = match (phase.connected, &phase.halt) {
        (Some(false), Some(Halt::Foreign)) => ("disconnected", "foreign-response"),
        (Some(false), _) => ("disconnected", "unreachable"),
        (_, _) if phase.offline => ("disconnected", "no-network"),
        (None, _) => ("disconnected", "not-asked"),
        (Some(true), None) => ("connected", "answered"),
        (Some(true), Some(_)) => ("limited", "refused"),
    };
    Connection { kind, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P37: `synced` only with an empty outbox and a pull after the last push.
    #[test]
    fn synced_is_said_only_when_it_is_true() {
        let pulled = Meta { last_pull: Some(Wall(1)), ..Meta::default() };
        let counts = |pending, parked| Counts { pending, parked, ..Counts::default() };
        let online = Phase { connected: Some(true), ..Phase::default() };
        let with = |halt| Phase { halt: Some(halt), ..online.clone() };
        let refused = [(Scope("building:42".to_owned()), Halt::Forbidden)];
        let stuck = Phase { stuck: Some("storage-timeout"), ..online.clone() };
        let missing = Phase { scopes: Map::from(refused), ..online.clone() };
        for (meta, phase, expected) in [
            (pulled.clone(), online.clone(), StatusKind::Synced),
            (Meta::default(), online.clone(), StatusKind::Pending),
            (Meta { pull_due: true, ..pulled.clone() }, online.clone(), StatusKind::Pending),
            (Meta { counts: counts(1, 0), ..pulled.clone() }, online.clone(), StatusKind::Pending),
            (Meta { counts: counts(0, 1), ..pulled.clone() }, online.clone(), StatusKind::Pending),
            (pulled.clone(), with(Halt::Unreachable), StatusKind::Offline),
            (pulled.clone(), with(Halt::Auth), StatusKind::AuthRequired),
            (pulled.clone(), with(Halt::Forbidden), StatusKind::BlockedByServer),
            (pulled.clone(), with(Halt::Unreadable), StatusKind::Pending),
            (pulled.clone(), Phase { offline: true, ..online.clone() }, StatusKind::Offline),
            (pulled.clone(), Phase { syncing: true, ..online.clone() }, StatusKind::Syncing),
            (pulled.clone(), missing, StatusKind::Pending),
            (Meta { counts: counts(1, 0), ..pulled.clone() }, stuck.clone(), StatusKind::Stalled),
            (pulled.clone(), stuck, StatusKind::Synced),
            (Meta { lost: Some(Wall(1)), ..pulled }, online, StatusKind::StorageLost),
        ] {
            assert_eq!(kind(&meta, &phase, false).0, expected, "{meta:?} {phase:?}");
        }
    }
}
