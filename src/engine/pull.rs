//! Pulling: ask, then store page and cursor in one transaction.

use super::metrics::KINDS;
use super::run::count;
use super::{Engine, Stop};
use crate::model::{Cursor, Durability, Halt, Need, PullPage, Root, Scope, Term, Verb};
use crate::plan::identity::in_page;
use crate::plan::pull::{Part, Pulled, apply, places, restart};
use crate::planted::{self, Bug};
use crate::port::{Host, Remote};

const APPLY: Verb = Verb { name: "pull.apply", durability: Durability::Relaxed };
const RESTART: Verb = Verb { name: "pull.restart", durability: Durability::Relaxed };

/// What a page did.
pub(super) enum Paged {
    /// It is stored.
    Stored {
        /// Whether the server has more.
        more: bool,
        /// Records that it moved.
        records: u32,
        /// Bytes on the wire.
        bytes: u64,
        /// Conflicts that it met, by kind.
        kinds: [u64; KINDS.len()],
    },
    /// The server calls the cursor too old: everything is pulled anew.
    Restarted,
    /// The scope was evicted meanwhile.
    Gone,
    /// No page came.
    Halted(Halt),
}

impl<H: Host> Engine<H> {
    pub(super) async fn pull_once(
        &self,
        term: Term,
        scope: &Scope,
        part: Part,
    ) -> Result<Paged, Stop> {
        let mut s = self.snapshot(Need::only(vec![Root::Cursors])).await?;
        if let Some(device) = s.meta.device {
            self.host.remote().pulls_for(device);
        }
        let row = s.cursors.remove(scope).filter(|row| !row.leaving);
        if row.is_none() && *scope != Scope::all() {
            return Ok(Paged::Gone);
        }
        let rebuilding = row.as_ref().is_some_and(|row| row.rebuilding);
        let from = row.and_then(|row| row.cursor);
        let span = self.begin("pull");
        let answer = self.host.remote().pull(scope, from.as_ref()).await;
        self.end(span);
        let page = match answer {
            Ok(page) => page,
            Err(Halt::Expired) => {
                self.heard_of_the_server(None);
                let ctx = self.ctx(Some(term));
                let need = Need::only(vec![Root::Cursors]);
                self.commit(&RESTART, need, |s| restart(s, scope, &ctx)).await??;
                // A server that calls a beginning too old would send us round for ever.
                return Ok(match from {
                    Some(_) => Paged::Restarted,
                    None => Paged::Halted(Halt::Protocol),
                });
            }
            Err(halt) => {
                // What the server says of one scope, it does not say of itself.
                let told = (!self.is_of_scope(&halt)).then_some(&halt);
                self.heard_of_the_server(told);
                return Ok(Paged::Halted(halt));
            }
        };
        self.heard_of_the_server(None);
        if page.more && Some(&page.next) == from.as_ref() {
            return Ok(Paged::Halted(Halt::Protocol));
        }
        if planted::has(Bug::CursorBeforePage) {
            let empty = PullPage { changes: Vec::new(), ..page.clone() };
            self.store(term, (scope, part), from.as_ref(), &empty, rebuilding).await?;
            let from = Some(page.next.clone());
            return self.store(term, (scope, part), from.as_ref(), &page, rebuilding).await;
        }
        self.store(term, (scope, part), from.as_ref(), &page, rebuilding).await
    }

    /// Whether an answer may concern the scope that was asked for alone; one that concerns the server or the link stops the pull.
    pub(super) fn is_of_scope(&self, halt: &Halt) -> bool {
        self.is_selective()
            && match halt {
                Halt::Forbidden | Halt::Misconfigured | Halt::Protocol => true,
                Halt::Unreachable
                | Halt::Foreign
                | Halt::Auth
                | Halt::Later(_)
                | Halt::TooLarge
                | Halt::BatchRefused
                | Halt::Expired
                | Halt::Unreadable => false,
            }
    }

    async fn store(
        &self,
        term: Term,
        (scope, part): (&Scope, Part),
        from: Option<&Cursor>,
        page: &PullPage,
        rebuilding: bool,
    ) -> Result<Paged, Stop> {
        let ctx = self.ctx(Some(term));
        let mut roots = vec![Root::Cursors];
        roots.extend(page.changes.iter().map(|change| Root::Pulled(change.key.clone())));
        roots.extend(in_page(page, &self.config.rules));
        roots.extend(places(scope, page).into_iter().map(Root::Quarantine));
        if !page.more {
            roots.extend(self.at_the_end(rebuilding));
        }
        let pulled = self
            .commit(&APPLY, Need::of(roots), |s| {
                apply(s, (scope, part), from, page, &self.config.rules, &ctx)
            })
            .await??;
        Ok(match pulled {
            Pulled::Applied { records, notice, .. } => {
                let mut kinds = [0; KINDS.len()];
                count(&mut kinds, &notice);
                self.publish(notice);
                Paged::Stored { more: page.more, records, bytes: page.bytes, kinds }
            }
            Pulled::Repeated => Paged::Stored {
                more: page.more,
                records: 0,
                bytes: page.bytes,
                kinds: [0; KINDS.len()],
            },
            Pulled::Moved => {
                Paged::Stored { more: true, records: 0, bytes: page.bytes, kinds: [0; KINDS.len()] }
            }
            Pulled::Unreadable => {
                self.heard_of_the_server(Some(&Halt::Unreadable));
                Paged::Halted(Halt::Unreadable)
            }
        })
    }

    /// The end of a pull frees acked operations, and after a full pull everything that it did not bring is looked at.
    fn at_the_end(&self, rebuilding: bool) -> Vec<Root> {
        if rebuilding {
            vec![Root::Records, Root::Outbox]
        } else if self.waits_for_pulls() {
            vec![Root::Outbox]
        } else {
            Vec::new()
        }
    }

    /// Whether operations may be acked: on a wire whose versions do not compare, and on another after a server was set back. Then
    /// they are what is left when nothing could leave; a queue that has not been tried yet is not read for them.
    fn waits_for_pulls(&self) -> bool {
        let left = self.phase.borrow().pushed == Some(false);
        let may_be = left || !self.host.remote().capabilities().versions;
        may_be && self.meta.borrow().counts.pending > 0
    }
}
