//! The options of `open`, as `options.ts` hands them over: checked there, complete, plain data.

use crate::model::Map;

use serde::Deserialize;

use crate::model::{
    CollectionRules, FieldRule, Limits, Millis, Owner, Path, Policies, Priority, Rules, Strategy,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Options {
    pub(super) name: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    tenant: String,
    pub(super) remote: RemoteOptions,
    pub(super) token: bool,
    /// Whether there is an `onConflict`.
    #[serde(default)]
    pub(super) resolver: bool,
    collections: Vec<Collection>,
    relaxed: bool,
    pub(super) allow_memory: bool,
    /// Of the outbox: operations and bytes.
    #[serde(default)]
    max_operations: Option<f64>,
    #[serde(default)]
    max_bytes: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoteOptions {
    /// Of the standard protocol; a custom remote has none.
    pub(super) base_url: Option<String>,
    pub(super) timeout: Option<f64>,
    #[serde(default)]
    pub(super) groups: bool,
    #[serde(default)]
    pub(super) whole_record: bool,
    #[serde(default)]
    pub(super) versions: bool,
    #[serde(default)]
    pub(super) times: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collection {
    name: String,
    conflicts: Conflicts,
    fields: Vec<Field>,
    references: Vec<Reference>,
    coalesce: bool,
    priority: String,
}

/// A policy for each kind of conflict.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conflicts {
    update_update: String,
    update_delete: String,
    delete_update: String,
    create_create: String,
}

/// The rule of a member; `steps` belong to "monotonic".
#[derive(Deserialize)]
struct Field {
    name: String,
    rule: String,
    #[serde(default)]
    steps: Vec<String>,
}

#[derive(Deserialize)]
struct Reference {
    field: String,
    collection: String,
}

impl Options {
    /// One database per identity: the parts cannot run into each other, whatever is in them.
    pub(super) fn database(&self) -> String {
        let mut name = "holdfast".to_owned();
        for part in [&self.name, &self.tenant, &self.user] {
            name.push('/');
            name.push_str(&part.replace('%', "%25").replace('/', "%2F"));
        }
        name
    }

    pub(super) fn owner(&self) -> Owner {
        Owner { tenant: self.tenant.clone(), user: self.user.clone() }
    }

    pub(super) fn is_relaxed(&self) -> bool {
        self.relaxed
    }

    pub(super) fn rules(&self) -> Option<Rules> {
        let collections = self.collections.iter().map(Collection::rules);
        let collections = collections.collect::<Option<Map<_, _>>>()?;
        let mut limits = Limits::default();
        if let Some(most) = self.max_operations {
            limits.outbox_operations = whole(most);
        }
        if let Some(most) = self.max_bytes {
            limits.outbox_bytes = whole(most);
        }
        Some(Rules { collections, limits, resolver: self.resolver, ..Rules::default() })
    }
}

/// A whole number that is not negative: `options.ts` has seen to that.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive whole number; a float cast saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

impl RemoteOptions {
    pub(super) fn timeout(&self) -> Option<Millis> {
        self.timeout.map(whole).map(Millis)
    }
}

impl Collection {
    fn rules(&self) -> Option<(String, CollectionRules)> {
        let references =
            self.references.iter().map(|it| (Path::field(&*it.field), it.collection.clone()));
        let rules = CollectionRules {
            policies: self.conflicts.policies()?,
            fields: self.fields.iter().map(Field::rule).collect::<Option<Map<_, _>>>()?,
            coalesce: self.coalesce,
            priority: priority(&self.priority)?,
            references: references.collect(),
        };
        Some((self.name.clone(), rules))
    }
}

impl Conflicts {
    fn policies(&self) -> Option<Policies> {
        Some(Policies {
            update_update: strategy(&self.update_update)?,
            update_delete: strategy(&self.update_delete)?,
            delete_update: strategy(&self.delete_update)?,
            create_create: strategy(&self.create_create)?,
        })
    }
}

fn strategy(name: &str) -> Option<Strategy> {
    Some(match name {
        "server-wins" => Strategy::ServerWins,
        "client-wins" => Strategy::ClientWins,
        "last-write-wins" => Strategy::LastWriteWins,
        "merge" => Strategy::Merge,
        "manual" => Strategy::Manual,
        "callback" => Strategy::Callback,
        _ => return None,
    })
}

impl Field {
    fn rule(&self) -> Option<(String, FieldRule)> {
        let rule = match &*self.rule {
            "server" => FieldRule::Server,
            "client" => FieldRule::Client,
            "lww" => FieldRule::LastWriteWins,
            "set" => FieldRule::Set,
            "counter" => FieldRule::Counter,
            "max" => FieldRule::Max,
            "min" => FieldRule::Min,
            "append" => FieldRule::Append,
            "manual" => FieldRule::Manual,
            "monotonic" => FieldRule::Monotonic(self.steps.clone()),
            _ => return None,
        };
        Some((self.name.clone(), rule))
    }
}

pub(super) fn priority(name: &str) -> Option<Priority> {
    match name {
        "high" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        "low" => Some(Priority::Low),
        _ => None,
    }
}
