//! The options of `open`, as `options.ts` hands them over: checked there, complete, plain data.

use super::text::Members;
use crate::model::json::unquote;
use crate::model::{
    CollectionRules, FieldRule, Json, Limits, Map, Millis, Owner, Path, Policies, Priority, Rules,
    Scope, Set, Strategy,
};

pub(super) struct Options {
    name: String,
    user: String,
    tenant: String,
    pub(super) remote: RemoteOptions,
    /// Whether there is an `onConflict`.
    pub(super) resolver: bool,
    relaxed: bool,
    pub(super) allow_memory: bool,
    /// Between two pulls, where nothing else asks for one.
    pub(super) sync_every: Option<Millis>,
    pub(super) scopes: Option<Vec<Scope>>,
    pub(super) evict_after: Option<Millis>,
    pub(super) rules: Rules,
    /// Members that questions are asked about most, by collection.
    pub(super) indexes: Map<String, Vec<Path>>,
    /// Collections with a validator.
    pub(super) checked: Set<String>,
}

pub(super) struct RemoteOptions {
    /// Of the standard protocol and of profiles; a custom remote has none.
    pub(super) base_url: Option<String>,
    /// Of a backend that is described: the text of its profile.
    pub(super) profile: Option<String>,
    pub(super) timeout: Option<Millis>,
    pub(super) gzip: bool,
    pub(super) digest: bool,
    /// All of them: what only other backends than the standard one have is read with these.
    #[cfg(feature = "any-backend")]
    pub(super) given: Members,
}

impl Options {
    /// None where it is not what `options.ts` writes.
    pub(super) fn read(text: &str) -> Option<Self> {
        let given = Members::read(text)?;
        let resolver = flag(&given, "resolver");
        let mut limits = Limits::default();
        // Of the outbox: operations and bytes.
        if let Some(most) = given.number("maxOperations") {
            limits.outbox_operations = most;
        }
        if let Some(most) = given.number("maxBytes") {
            limits.outbox_bytes = most;
        }
        let collections = given.list("collections")?;
        let indexes = collections.iter().map(indexes).collect::<Option<Map<_, _>>>()?;
        let mut checked = Set::new();
        for given in &collections {
            let given = Members::read(given.text())?;
            if flag(&given, "checked") {
                checked.insert(given.text("name")?);
            }
        }
        let collections = collections.iter().map(collection).collect::<Option<Map<_, _>>>()?;
        let remote = Members::read(given.raw("remote")?)?;
        Some(Self {
            name: given.text("name")?,
            user: optional(&given, "user")?,
            tenant: optional(&given, "tenant")?,
            remote: RemoteOptions {
                base_url: remote.text("baseUrl"),
                profile: remote.raw("profile").map(str::to_owned),
                timeout: remote.number("timeout").map(Millis),
                gzip: flag(&remote, "gzip"),
                digest: flag(&remote, "digest"),
                #[cfg(feature = "any-backend")]
                given: remote,
            },
            resolver,
            relaxed: flag(&given, "relaxed"),
            allow_memory: flag(&given, "allowMemory"),
            sync_every: given.number("syncEvery").map(Millis),
            scopes: match given.list("scopes") {
                Some(names) => Some(names.iter().map(scope).collect::<Option<_>>()?),
                None => None,
            },
            evict_after: given.number("evictAfter").map(Millis),
            rules: Rules { collections, limits, resolver, ..Rules::default() },
            indexes,
            checked,
        })
    }

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
}

fn scope(name: &Json) -> Option<Scope> {
    unquote(name.text()).map(Scope)
}

pub(super) fn flag(given: &Members, name: &str) -> bool {
    given.flag(name).unwrap_or_default()
}

/// A text that may be missing; one that cannot be read is not taken for missing: it names a database.
fn optional(given: &Members, name: &str) -> Option<String> {
    if given.raw(name).is_some() { given.text(name) } else { Some(String::new()) }
}

fn collection(raw: &Json) -> Option<(String, CollectionRules)> {
    let given = Members::read(raw.text())?;
    let (fields, references) = (given.list("fields")?, given.list("references")?);
    let rules = CollectionRules {
        policies: policies(&Members::read(given.raw("conflicts")?)?)?,
        fields: fields.iter().map(field).collect::<Option<Map<_, _>>>()?,
        coalesce: given.flag("coalesce")?,
        priority: priority(&given.text("priority")?)?,
        references: references.iter().map(reference).collect::<Option<_>>()?,
        read_only: false,
    };
    Some((given.text("name")?, rules))
}

fn indexes(raw: &Json) -> Option<(String, Vec<Path>)> {
    let given = Members::read(raw.text())?;
    let names = given.list("indexes")?;
    let path =
        |name: &Json| Some(Path(unquote(name.text())?.split('.').map(str::to_owned).collect()));
    Some((given.text("name")?, names.iter().map(path).collect::<Option<_>>()?))
}

fn reference(raw: &Json) -> Option<(Path, String)> {
    let given = Members::read(raw.text())?;
    Some((Path::field(given.text("field")?), given.text("collection")?))
}

/// A policy for each kind of conflict.
fn policies(given: &Members) -> Option<Policies> {
    let of = |name: &str| strategy(&given.text(name)?);
    Some(Policies {
        update_update: of("updateUpdate")?,
        update_delete: of("updateDelete")?,
        delete_update: of("deleteUpdate")?,
        create_create: of("createCreate")?,
    })
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

/// The rule of a member; `steps` belong to "monotonic".
fn field(raw: &Json) -> Option<(String, FieldRule)> {
    let given = Members::read(raw.text())?;
    let rule = match &*given.text("rule")? {
        "server" => FieldRule::Server,
        "client" => FieldRule::Client,
        "lww" => FieldRule::LastWriteWins,
        "set" => FieldRule::Set,
        "counter" => FieldRule::Counter,
        "max" => FieldRule::Max,
        "min" => FieldRule::Min,
        "append" => FieldRule::Append,
        "manual" => FieldRule::Manual,
        "monotonic" => {
            let steps = given.list("steps")?;
            FieldRule::Monotonic(
                steps.iter().map(|step| unquote(step.text())).collect::<Option<_>>()?,
            )
        }
        _ => return None,
    };
    Some((given.text("name")?, rule))
}

pub(super) fn priority(name: &str) -> Option<Priority> {
    match name {
        "high" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        "low" => Some(Priority::Low),
        _ => None,
    }
}
