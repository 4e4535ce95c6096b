//! What an application declares once, at `open`: how conflicts are settled, what may fold, what the limits are.

use super::conflict::ConflictKind;
use super::edit::Path;
use super::field::FieldRule;
use super::map::Map;
use super::operation::Priority;
use super::references::References;
use super::remote::Capabilities;
use super::scan::NAME_BYTES;
use super::time::Millis;

/// Everything a plan needs to know about the application.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// By collection. A collection that is not here does not exist.
    pub collections: Map<String, CollectionRules>,
    /// Of the outbox and of a batch.
    pub limits: Limits,
    /// Between attempts.
    pub backoff: Backoff,
    /// Whether the application has a resolver (R26). Without one a person is asked in its place.
    pub resolver: bool,
    /// Of records in collections that were not declared: such are pulled, and kept.
    pub undeclared: CollectionRules,
    /// What the backend can do.
    pub wire: Capabilities,
}

impl Rules {
    /// The rules of a collection; a pulled record of an undeclared one is kept under the defaults.
    #[must_use]
    pub fn of(&self, collection: &str) -> &CollectionRules {
        self.collections.get(collection).unwrap_or(&self.undeclared)
    }
}

/// What an application declares of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRules {
    /// How conflicts are settled where no rule of a member says so.
    pub policies: Policies,
    /// Rules of single members, by the name at the top of the document.
    pub fields: Map<String, FieldRule>,
    /// Whether edits that never left become one operation.
    pub coalesce: bool,
    /// Of its operations, unless a write says otherwise.
    pub priority: Priority,
    /// Members that hold the id of a record in another collection.
    pub references: References,
    /// The backend takes no writes of it.
    pub read_only: bool,
}

impl Default for CollectionRules {
    fn default() -> Self {
        Self {
            policies: Policies::all(Strategy::Merge),
            fields: Map::new(),
            coalesce: true,
            priority: Priority::Normal,
            references: Map::new(),
            read_only: false,
        }
    }
}

impl Rules {
    /// Where these rules compare times, which a backend without times of records cannot do (R20): the path of an option.
    #[must_use]
    pub fn compares_times(&self) -> Option<String> {
        self.collections.iter().find_map(|(name, rules)| {
            let Policies { update_update, update_delete, delete_update, create_create } =
                rules.policies;
            let policies = [update_update, update_delete, delete_update, create_create];
            if policies.contains(&Strategy::LastWriteWins) {
                return Some(format!("collections.{name}.conflicts"));
            }
            let mut fields = rules.fields.iter();
            let field = fields.find(|(_, rule)| **rule == FieldRule::LastWriteWins);
            field.map(|(field, _)| format!("collections.{name}.fields.{field}"))
        })
    }
}

impl CollectionRules {
    /// The same with one strategy for everything that no rule of a member settles.
    #[must_use]
    pub fn with_policies(&self, strategy: Strategy) -> Self {
        Self { policies: Policies::all(strategy), ..self.clone() }
    }

    /// The rule of a member, and of everything in it.
    #[must_use]
    pub fn field(&self, path: &Path) -> Option<&FieldRule> {
        self.fields.get(path.root())
    }

    /// The rule that adds up what was done to exactly this path.
    #[must_use]
    pub fn calculating(&self, path: &Path) -> Option<&FieldRule> {
        let whole = path.0.len() == 1;
        self.field(path).filter(|rule| whole && rule.calculates())
    }
}

/// A strategy for each kind of conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// Both changed the record.
    pub update_update: Strategy,
    /// We changed it, the server deleted it.
    pub update_delete: Strategy,
    /// We deleted it, the server changed it.
    pub delete_update: Strategy,
    /// Both made it.
    pub create_create: Strategy,
}

impl Policies {
    /// One strategy for everything.
    #[must_use]
    pub const fn all(strategy: Strategy) -> Self {
        Self {
            update_update: strategy,
            update_delete: strategy,
            delete_update: strategy,
            create_create: strategy,
        }
    }

    /// The strategy for a kind of conflict.
    #[must_use]
    pub fn of(&self, kind: ConflictKind) -> Strategy {
        match kind {
            ConflictKind::UpdateUpdate => self.update_update,
            ConflictKind::UpdateDelete => self.update_delete,
            ConflictKind::DeleteUpdate => self.delete_update,
            ConflictKind::CreateCreate => self.create_create,
        }
    }
}

/// Who wins where both sides changed the same thing to different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The server; our side is kept in the conflict record.
    ServerWins,
    /// The device.
    ClientWins,
    /// The newer stamp.
    LastWriteWins,
    /// Field by field; where both changed one field, the application's resolver or, without one, a person.
    Merge,
    /// A person.
    Manual,
    /// The application's resolver.
    Callback,
}

/// How much may wait, and how much may leave at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations in the outbox; more are refused, none is evicted (P4).
    pub outbox_operations: u64,
    /// Bytes of user data in the outbox.
    pub outbox_bytes: u64,
    /// Bytes of a document.
    pub document_bytes: usize,
    /// Bytes of the name of a member.
    pub name_bytes: usize,
    /// Operations in a request.
    pub batch_operations: usize,
    /// Bytes of user data in a request.
    pub batch_bytes: u64,
    /// Changes in a page.
    pub page_changes: usize,
    /// Rows in quarantine. A page that would bring more is not taken: nothing that cannot be read is skipped (R2, P36).
    pub quarantine_rows: u64,
    /// Bytes in quarantine.
    pub quarantine_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outbox_operations: 100_000,
            outbox_bytes: 256 * 1024 * 1024,
            document_bytes: 256 * 1024,
            name_bytes: NAME_BYTES,
            batch_operations: 100,
            batch_bytes: 768 * 1024,
            page_changes: 1_000,
            quarantine_rows: 1_000,
            quarantine_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Waiting times after failures: full jitter below a bound that doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first bound.
    pub base: Millis,
    /// The greatest bound.
    pub max: Millis,
    /// A server's wish longer than this is not waited out: we ask again.
    pub patience: Millis,
}

impl Backoff {
    /// How long to wait before an attempt: anything below a bound that doubles with each failure (full jitter), so that a
    /// fleet of devices that lost the same server does not come back in step. `attempt` counts failures from 1.
    #[must_use]
    pub fn delay(&self, attempt: u32, jitter: u64) -> Millis {
        let doublings = attempt.saturating_sub(1).min(32);
        let bound = self.base.0.saturating_mul(1 << doublings).min(self.max.0);
        Millis(jitter % bound.saturating_add(1))
    }

    /// A server's wish as far as we follow it.
    #[must_use]
    pub fn respect(&self, wish: Millis) -> Millis {
        wish.min(self.patience)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Millis(1_000), max: Millis(60_000), patience: Millis(3_600_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R20.
    #[test]
    fn rules_that_compare_times_say_where() {
        let with = |rules: CollectionRules| Rules {
            collections: [("orders".to_owned(), rules)].into(),
            ..Rules::default()
        };
        assert_eq!(with(CollectionRules::default()).compares_times(), None);
        let mut rules = CollectionRules::default();
        rules.fields.insert("note".to_owned(), FieldRule::LastWriteWins);
        let place = with(rules.clone()).compares_times();
        assert_eq!(place.as_deref(), Some("collections.orders.fields.note"));
        rules.policies.create_create = Strategy::LastWriteWins;
        let place = with(rules).compares_times();
        assert_eq!(place.as_deref(), Some("collections.orders.conflicts"));
    }

    /// P9: exponential, with full jitter.
    #[test]
    fn delays_stay_below_a_bound_that_doubles_up_to_the_greatest() {
        let backoff = Backoff::default();
        for (attempt, bound) in [(1, 1_000), (2, 2_000), (3, 4_000), (7, 60_000), (1_000, 60_000)] {
            for jitter in [0, 1, 12_345_678_901, u64::MAX] {
                assert!(backoff.delay(attempt, jitter).0 <= bound, "{attempt} {jitter}");
            }
            assert_eq!(backoff.delay(attempt, bound), Millis(bound));
        }
    }
}
