//! The options of `open`, as `options.ts` hands them over: checked there, complete, plain data.

use crate::model::Map;

use super::text::Members;
use crate::model::{CollectionRules, Millis, Owner, Path, Priority, Rules, Strategy};

pub(super) struct Options {
    pub(super) name: String,
    user: String,
    tenant: String,
    pub(super) remote: RemoteOptions,
    pub(super) token: bool,
    collections: Vec<Collection>,
    relaxed: bool,
    pub(super) allow_memory: bool,
}

pub(super) struct RemoteOptions {
    /// Of the standard protocol; a custom remote has none.
    pub(super) base_url: Option<String>,
    pub(super) timeout: Option<f64>,
    pub(super) groups: bool,
    pub(super) whole_record: bool,
    pub(super) versions: bool,
}

struct Collection {
    name: String,
    conflicts: String,
    references: Vec<(String, String)>,
    coalesce: bool,
    priority: String,
}

impl Options {
    /// From their JSON text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let all = Members::read(text)?;
        let remote = Members::read(all.raw("remote")?)?;
        let collections = all.list("collections")?;
        let collections = collections.iter().map(|one| Collection::read(one.text()));
        Some(Self {
            name: all.text("name")?,
            user: all.text("user").unwrap_or_default(),
            tenant: all.text("tenant").unwrap_or_default(),
            remote: RemoteOptions {
                base_url: remote.text("baseUrl"),
                timeout: remote.float("timeout"),
                groups: remote.flag("groups").unwrap_or_default(),
                whole_record: remote.flag("wholeRecord").unwrap_or_default(),
                versions: remote.flag("versions").unwrap_or_default(),
            },
            token: all.flag("token")?,
            collections: collections.collect::<Option<_>>()?,
            relaxed: all.flag("relaxed")?,
            allow_memory: all.flag("allowMemory")?,
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

    pub(super) fn rules(&self) -> Option<Rules> {
        let collections = self.collections.iter().map(Collection::rules);
        let collections = collections.collect::<Option<Map<_, _>>>()?;
        Some(Rules { collections, ..Rules::default() })
    }
}

impl RemoteOptions {
    pub(super) fn timeout(&self) -> Option<Millis> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive whole number of milliseconds; a float cast saturates"
        )]
        self.timeout.map(|millis| Millis(millis as u64))
    }
}

impl Collection {
    fn read(text: &str) -> Option<Self> {
        let one = Members::read(text)?;
        let references = one.list("references")?;
        let references = references.iter().map(|it| {
            let it = Members::read(it.text())?;
            Some((it.text("field")?, it.text("collection")?))
        });
        Some(Self {
            name: one.text("name")?,
            conflicts: one.text("conflicts")?,
            references: references.collect::<Option<_>>()?,
            coalesce: one.flag("coalesce")?,
            priority: one.text("priority")?,
        })
    }

    fn rules(&self) -> Option<(String, CollectionRules)> {
        let references =
            self.references.iter().map(|(field, other)| (Path::field(&**field), other.clone()));
        let rules = CollectionRules {
            strategy: match &*self.conflicts {
                "server-wins" => Strategy::ServerWins,
                "merge" => Strategy::Merge,
                "manual" => Strategy::Manual,
                _ => return None,
            },
            coalesce: self.coalesce,
            priority: priority(&self.priority)?,
            references: references.collect(),
            ..CollectionRules::default()
        };
        Some((self.name.clone(), rules))
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
