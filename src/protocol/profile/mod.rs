//! A backend described as data: where its endpoints are, what its envelopes and fields are called, how it says its verdicts, its
//! pages and its cursors. One codec reads any of them ([`Rest`]); where names alone cannot say what a backend does, a profile
//! names one of a few strategies ([`Paging`] among them). docs/backends.md describes the members.

mod codec;
mod given;
mod page;
mod template;
mod text;
mod verdict;

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;

pub use codec::Rest;

use self::given::Given;
use self::template::{Address, SLOTS, Slot, Template, Wrong};
use super::instant::Form;
use crate::model::{Code, Millis, Path, Rules, SyncError};
use crate::port::{Method, Timeouts};

/// One backend, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestProfile {
    pub(super) name: String,
    device: DeviceForm,
    ids: Ids,
    versions: Versions,
    updates: Updates,
    pub(super) times: bool,
    pub(super) pull_first: bool,
    /// A resend that meets a conflict may have been applied before.
    pub(super) weak_replay: bool,
    collections: Vec<Collection>,
    /// The most operations in a request.
    pub(super) operations: usize,
    /// The most bytes in a request.
    pub(super) bytes: u64,
    /// The most bytes of an answer.
    pub(super) answer_bytes: usize,
    /// The longest that the backend's clients wait between two attempts, where it says so.
    longest_wait: u64,
    /// It takes compressed bodies.
    gzip: bool,
    /// Digests go along and are checked.
    digest: bool,
    /// For one exchange.
    timeouts: Timeouts,
    push: PushWire,
    pull: Vec<Step>,
    errors: Ours,
    too_many: Option<(u64, String)>,
}

/// How a device is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceForm {
    /// A UUID.
    Uuid,
    /// `device_`, milliseconds, `_`, eight letters or digits: made of the time and the chance in the UUID.
    MillisAndLetters,
}

/// Who gives a record its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// The client, for ever.
    Client,
    /// The server: a text.
    Text,
    /// The server: a whole number.
    Integer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Versions {
    /// Grows by each change.
    Number,
    /// An instant.
    Stamp,
    /// Can only be told equal or different.
    Opaque,
}

/// What an update carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Updates {
    /// The whole record.
    Whole,
    /// The changed fields, as a merge patch (RFC 7396).
    Patch,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Collection {
    name: String,
    /// In addresses.
    path: String,
    /// Members that hold another record's id, and that one's collection.
    references: Vec<(String, String)>,
    /// Nobody writes it.
    read_only: bool,
}

/// What an answer must have to be our server's (PROMISES 2.6): paths and kinds.
type Ours = Vec<(String, Kind)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Flag,
    True,
    False,
    List,
    /// A list, or `null` for an empty one.
    ListOrNull,
    Object,
    /// An object of lists.
    Lists,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PushWire {
    path: Address,
    /// A request for each collection.
    split: bool,
    /// 403 to a request is a pause of what is in it, and no halt.
    pauses: bool,
    body: Template,
    operation: Template,
    /// Where a deletion is written in other words.
    deletion: Option<Template>,
    /// The words for create, update and delete.
    actions: [String; 3],
    ours: Ours,
    time: String,
    verdicts: Verdicts,
    single: Option<Single>,
    resolve: Option<Resolve>,
    /// Changes come with the answer.
    delta: bool,
}

/// Calls of one record each, for few operations.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Single {
    /// The most operations that leave so. More, and any deletion, leave as a batch.
    up_to: usize,
    create: Call,
    update: Call,
    delete: Call,
    body: Template,
    ours: Ours,
    /// The record in an answer.
    record: Row,
    /// Where the server's side is in a 409; `null` there is a tombstone.
    theirs: String,
    /// Where the words of a refusal are.
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    method: Method,
    path: Address,
}

/// A decision as a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolve {
    path: Address,
    body: Template,
    ours: Ours,
    version: String,
    document: String,
    /// In a 409: the conflict as it is now.
    conflict: String,
}

/// How verdicts are told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdicts {
    /// Where the entries are: in a list, in an object with a list for each collection, or in lists that say the verdict.
    lists: Vec<(String, Option<Word>)>,
    /// Names of an entry, and what they are equal to. The first that is there counts.
    key: Vec<(String, Slot)>,
    status: String,
    words: Vec<(String, Word)>,
    applied: Row,
    /// Where in the entry the record stands as it is now.
    record: String,
    /// How to read that.
    record_row: Row,
    /// The id that the server gave.
    assigned: String,
    /// A success does not say the version: it is the one after the sent one.
    next_version: bool,
    conflict: Row,
    /// Where in the entry the server's side stands.
    theirs: String,
    token: String,
    kind: String,
    /// The word of `kind` for a record of somebody else's that stands for the same thing (R17).
    create_create: String,
    code: String,
    message: String,
    retryable: String,
    /// Codes of which asking again is of no use (R8).
    last: Vec<String>,
    /// Codes that make a deletion true.
    gone: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Applied,
    Conflict,
    Rejected,
    Retry,
}

/// Where the parts of a record are. An empty path is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Row {
    collection: String,
    id: String,
    own: String,
    op: String,
    version: String,
    at: String,
    deleted: String,
    /// `*`: all members but those that are named here and in `without`.
    document: String,
    without: Vec<String>,
}

/// One list of what changed, with a position of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// Of the position in a cursor.
    name: String,
    /// Whose records these are, where the rows do not say.
    collection: Option<usize>,
    method: Method,
    list: List,
    /// What is asked while there is no position.
    first: Option<List>,
    paging: Paging,
    next: String,
    more: String,
    /// The number of this page, and of the last one.
    page: String,
    pages: String,
    time: String,
    deletes: String,
    overlap: u64,
    form: Form,
    /// Its answers have an `ETag`, by which an unchanged list need not come again.
    etag: bool,
}

/// A question and where the rows are in its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct List {
    path: Address,
    query: Template,
    body: Option<Template>,
    ours: Ours,
    /// A list, an object with a list for each collection, or, where it is empty, the answer as the only row.
    rows: String,
    /// Where in an entry of the list the row is.
    item: String,
    row: Row,
}

/// How a list is read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// The answer has an opaque cursor (or a number that is one) and says whether there is more.
    Cursor,
    /// The answer has an instant. The first page of a cycle begins `overlap` milliseconds before the last one: what was
    /// being committed then is not missed, and rows that come twice are known by their version.
    Since,
    /// Page numbers over a list in the order of time. Rows that change move to its end, so page 2 would skip some: page 1 is
    /// asked for again from the last row's instant, and the next number only where a whole page is of that one instant.
    PageRestart,
    /// The whole list every time. What was in it and is no more was deleted.
    Whole,
}

/// Why a profile is none, and where.
fn invalid((at, need): Wrong) -> SyncError {
    let message = [&*at, ": ", &*need].concat();
    SyncError::new(Code::InvalidOptions, message).at(at)
}

impl RestProfile {
    /// Reads a profile; docs/backends.md describes its members.
    ///
    /// # Errors
    /// `invalid-options`, with the path of the member that is wrong, missing or unknown.
    ///
    /// ```
    /// use holdfast::protocol::RestProfile;
    /// let error = RestProfile::parse(r#"{"name":"shop","ids":"serial"}"#).unwrap_err();
    /// assert_eq!(error.path.as_deref(), Some("ids"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, SyncError> {
        read(text).map_err(invalid)
    }

    /// What a person calls the backend.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says of the application's collections: what refers to what, what nobody writes, how much leaves at once, and how
    /// long is waited after failures.
    pub fn rule(&self, rules: &mut Rules) {
        let backoff = &mut rules.backoff;
        backoff.max = backoff.max.min(Millis(self.longest_wait.max(backoff.base.0)));
        let limits = &mut rules.limits;
        limits.batch_operations = limits.batch_operations.min(self.operations);
        limits.batch_bytes = limits.batch_bytes.min(self.bytes * 3 / 4);
        let declared: Vec<String> =
            rules.collections.iter().map(|(name, _)| name.clone()).collect();
        for collection in &self.collections {
            let Some(law) = rules.collections.get_mut(&collection.name) else { continue };
            law.read_only |= collection.read_only;
            for (field, target) in &collection.references {
                if declared.contains(target) {
                    law.references.insert(Path::field(&**field), target.clone());
                }
            }
        }
    }

    fn collection(&self, name: &str) -> Option<(usize, &Collection)> {
        self.collections.iter().enumerate().find(|(_, it)| it.name == name)
    }
}

const KINDS: &[(&str, Kind)] = &[
    ("text", Kind::Text),
    ("integer", Kind::Integer),
    ("flag", Kind::Flag),
    ("true", Kind::True),
    ("false", Kind::False),
    ("list", Kind::List),
    ("list or null", Kind::ListOrNull),
    ("object", Kind::Object),
    ("lists", Kind::Lists),
];

const WORDS: &[(&str, Word)] = &[
    ("applied", Word::Applied),
    ("conflict", Word::Conflict),
    ("rejected", Word::Rejected),
    ("retry", Word::Retry),
];

const METHODS: &[(&str, Method)] = &[
    ("POST", Method::Post),
    ("GET", Method::Get),
    ("PUT", Method::Put),
    ("DELETE", Method::Delete),
];

fn read(text: &str) -> Result<RestProfile, Wrong> {
    let given = Given::read(text, "")?;
    let ids = given.one_of(
        "ids",
        &[("client", Ids::Client), ("text", Ids::Text), ("integer", Ids::Integer)],
    )?;
    let collections = collections(&given)?;
    let limits = given.object("limits")?;
    let limit = |name, otherwise: u64| match &limits {
        Some(limits) => limits.number(name).map(|it| if it == 0 { otherwise } else { it }),
        None => Ok(otherwise),
    };
    let (operations, bytes) = (limit("operations", 100)?, limit("bytes", 1 << 20)?);
    let answer_bytes = limit("answerBytes", 9 << 20)?;
    let longest_wait = limit("wait", u64::MAX)?;
    if let Some(limits) = &limits {
        limits.end()?;
    }
    let errors = given.needed_object("errors")?;
    let too_many = errors.object("tooMany")?.map(|it| {
        let found = (it.number("status")?, it.needed_text("has")?);
        it.end().map(|()| found)
    });
    let record = row(given.object("record")?.as_ref())?;
    let profile = RestProfile {
        name: given.needed_text("name")?,
        device: given.one_of(
            "device",
            &[("uuid", DeviceForm::Uuid), ("millis-and-letters", DeviceForm::MillisAndLetters)],
        )?,
        ids,
        versions: given.one_of(
            "versions",
            &[
                ("number", Versions::Number),
                ("stamp", Versions::Stamp),
                ("opaque", Versions::Opaque),
            ],
        )?,
        updates: given
            .one_of("updates", &[("whole", Updates::Whole), ("patch", Updates::Patch)])?,
        times: given.flag("times")?,
        pull_first: given.flag("pullFirst")?,
        weak_replay: given.flag("weakReplay")?,
        operations: usize::try_from(operations).unwrap_or(usize::MAX),
        bytes,
        answer_bytes: usize::try_from(answer_bytes).unwrap_or(usize::MAX),
        longest_wait,
        gzip: given.flag("gzip")?,
        digest: given.flag("digest")?,
        timeouts: timeouts(&given)?,
        push: push(&given.needed_object("push")?, &record)?,
        pull: steps(&given, &collections, &record)?,
        errors: ours(&errors)?,
        too_many: too_many.transpose()?,
        collections,
    };
    errors.end()?;
    given.end()?;
    Ok(profile)
}

fn timeouts(given: &Given<'_>) -> Result<Timeouts, Wrong> {
    let mut timeouts = Timeouts::default();
    if let Some(own) = given.object("timeouts")? {
        let parts = [
            ("begin", &mut timeouts.begin),
            ("idle", &mut timeouts.idle),
            ("whole", &mut timeouts.whole),
        ];
        for (name, part) in parts {
            match own.number(name)? {
                0 => {}
                millis => *part = Millis(millis),
            }
        }
        own.end()?;
    }
    Ok(timeouts)
}

fn collections(given: &Given<'_>) -> Result<Vec<Collection>, Wrong> {
    let mut found = Vec::new();
    for (name, raw) in given.entries("collections")? {
        let at = given.path(&["collections.", &name].concat());
        let one = Given::read(raw, &at)?;
        let collection = Collection {
            path: one.text("path")?.unwrap_or_else(|| name.clone()),
            references: references(&one)?,
            read_only: one.flag("readOnly")?,
            name,
        };
        one.end()?;
        found.push(collection);
    }
    if found.is_empty() {
        return Err(given.wrong("collections", "at least one is needed"));
    }
    Ok(found)
}

fn references(given: &Given<'_>) -> Result<Vec<(String, String)>, Wrong> {
    let entries = given.entries("references")?.into_iter();
    let named = |(field, raw): (String, &str)| match crate::model::json::unquote(raw) {
        Some(collection) => Ok((field, collection)),
        None => Err(given.wrong(&["references.", &field].concat(), "the name of a collection")),
    };
    entries.map(named).collect()
}

fn ours(given: &Given<'_>) -> Result<Ours, Wrong> {
    let mut found = Vec::new();
    for (path, raw) in given.entries("ours")? {
        let kind = crate::model::json::unquote(raw).and_then(|it| given::word(&it, KINDS));
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let need = ["one of ", &names.join(", ")].concat();
        let kind = kind.ok_or_else(|| given.wrong(&["ours.", &path].concat(), &need))?;
        found.push((path, kind));
    }
    if found.is_empty() {
        return Err(given.wrong("ours", "what an answer must have to be your server's"));
    }
    Ok(found)
}

/// Where the parts of a record are; nowhere without a description.
fn row(given: Option<&Given<'_>>) -> Result<Row, Wrong> {
    let Some(given) = given else { return Ok(Row::default()) };
    let text = |name| given.text(name).map(Option::unwrap_or_default);
    let row = Row {
        collection: text("collection")?,
        id: text("id")?,
        own: text("own")?,
        op: text("op")?,
        version: text("version")?,
        at: text("at")?,
        deleted: text("deleted")?,
        document: text("document")?,
        without: given.texts("without")?,
    };
    given.end()?;
    Ok(row)
}

/// The same, by `record` where there is nothing of its own.
fn row_or(given: &Given<'_>, name: &'static str, record: &Row) -> Result<Row, Wrong> {
    match given.object(name)? {
        Some(own) => row(Some(&own)),
        None => Ok(record.clone()),
    }
}

fn push(given: &Given<'_>, record: &Row) -> Result<PushWire, Wrong> {
    let needed = |name| given.template(name)?.ok_or_else(|| given.wrong(name, "is missing"));
    let actions = match given.object("actions")? {
        None => ["create", "update", "delete"].map(str::to_owned),
        Some(words) => {
            let actions = [
                words.needed_text("create")?,
                words.needed_text("update")?,
                words.needed_text("delete")?,
            ];
            words.end()?;
            actions
        }
    };
    let push = PushWire {
        path: given.address("path")?,
        split: given.flag("requestPerCollection")?,
        pauses: given.flag("forbiddenPauses")?,
        body: needed("body")?,
        operation: needed("operation")?,
        deletion: given.template("deletion")?,
        actions,
        ours: ours(given)?,
        time: given.text("time")?.unwrap_or_default(),
        verdicts: verdicts(&given.needed_object("verdicts")?, record)?,
        single: given.object("single")?.map(|it| single(&it, record)).transpose()?,
        resolve: given.object("resolve")?.map(|it| resolve(&it)).transpose()?,
        delta: given.flag("delta")?,
    };
    given.end()?;
    Ok(push)
}

fn verdicts(given: &Given<'_>, record: &Row) -> Result<Verdicts, Wrong> {
    let text = |name| given.text(name).map(Option::unwrap_or_default);
    let words = |name: &'static str| -> Result<Vec<(String, Word)>, Wrong> {
        let mut found: Vec<(String, Word)> = Vec::new();
        for (said, raw) in given.entries(name)? {
            let word = crate::model::json::unquote(raw).and_then(|it| given::word(&it, WORDS));
            let need = "one of applied, conflict, rejected, retry";
            let word = word.ok_or_else(|| given.wrong(&[name, ".", &said].concat(), need))?;
            found.push((said, word));
        }
        Ok(found)
    };
    let mut lists: Vec<(String, Option<Word>)> = Vec::new();
    match given.text("list")? {
        Some(list) => lists.push((list, None)),
        None => lists.extend(words("lists")?.into_iter().map(|(at, word)| (at, Some(word)))),
    }
    if lists.is_empty() {
        return Err(given.wrong("list", "where the verdicts are"));
    }
    let mut key = Vec::new();
    for (path, raw) in given.entries("key")? {
        let name = crate::model::json::unquote(raw).unwrap_or_default();
        let slot = name.strip_prefix('$').and_then(|name| given::word(name, SLOTS));
        let slot = slot.ok_or_else(|| {
            given.wrong(&["key.", &path].concat(), "$op, $seq, $own, $id or $serverId")
        })?;
        key.push((path, slot));
    }
    if key.is_empty() {
        return Err(given.wrong("key", "what tells which operation a verdict is about"));
    }
    let applied = given.object("applied")?;
    let applied_text = |name| match &applied {
        Some(applied) => applied.text(name).map(Option::unwrap_or_default),
        None => Ok(String::new()),
    };
    let applied_row =
        Row { version: applied_text("version")?, at: applied_text("at")?, ..Row::default() };
    let (record_at, assigned) = (applied_text("record")?, applied_text("id")?);
    let next_version = match &applied {
        Some(applied) => applied.flag("nextVersion")?,
        None => false,
    };
    if let Some(applied) = &applied {
        applied.end()?;
    }
    let conflict = given.needed_object("conflict")?;
    let conflict_text = |name| conflict.text(name).map(Option::unwrap_or_default);
    let theirs = conflict_text("theirs")?;
    let conflict_row = row_or(&conflict, "row", record)?;
    let (token, kind) = (conflict_text("token")?, conflict_text("kind")?);
    let create_create = conflict_text("createCreate")?;
    conflict.end()?;
    let rejected = given.needed_object("rejected")?;
    let rejected_text = |name| rejected.text(name).map(Option::unwrap_or_default);
    let verdicts = Verdicts {
        lists,
        key,
        status: text("status")?,
        words: words("words")?,
        applied: applied_row,
        record: record_at,
        record_row: record.clone(),
        assigned,
        next_version,
        conflict: conflict_row,
        theirs,
        token,
        kind,
        create_create,
        code: rejected_text("code")?,
        message: rejected_text("message")?,
        retryable: rejected_text("retryable")?,
        last: rejected.texts("final")?,
        gone: rejected.texts("gone")?,
    };
    rejected.end()?;
    given.end()?;
    Ok(verdicts)
}

fn single(given: &Given<'_>, record: &Row) -> Result<Single, Wrong> {
    let call = |name| -> Result<Call, Wrong> {
        let given = given.needed_object(name)?;
        let call = Call { method: given.one_of("method", METHODS)?, path: given.address("path")? };
        given.end()?;
        Ok(call)
    };
    let up_to = usize::try_from(given.number("upTo")?).unwrap_or(usize::MAX);
    let single = Single {
        up_to,
        create: call("create")?,
        update: call("update")?,
        delete: call("delete")?,
        body: given.template("body")?.ok_or_else(|| given.wrong("body", "is missing"))?,
        ours: ours(given)?,
        record: record.clone(),
        theirs: given.needed_text("theirs")?,
        message: given.text("message")?.unwrap_or_default(),
    };
    given.end()?;
    Ok(single)
}

fn resolve(given: &Given<'_>) -> Result<Resolve, Wrong> {
    let resolve = Resolve {
        path: given.address("path")?,
        body: given.template("body")?.ok_or_else(|| given.wrong("body", "is missing"))?,
        ours: ours(given)?,
        version: given.needed_text("version")?,
        document: given.text("document")?.unwrap_or_default(),
        conflict: given.needed_text("conflict")?,
    };
    given.end()?;
    Ok(resolve)
}

/// The steps of a pull; one that says `each` is one for each collection.
fn steps(given: &Given<'_>, collections: &[Collection], record: &Row) -> Result<Vec<Step>, Wrong> {
    let raw = given.needed("pull")?;
    let items = text::elements(raw).ok_or_else(|| given.wrong("pull", "a list of steps"))?;
    let mut steps = Vec::new();
    for (index, raw) in items.into_iter().enumerate() {
        let at = given.path(&["pull.", &index.to_string()].concat());
        let one = Given::read(raw, &at)?;
        let each = one.flag("each")?;
        let named = one.text("collection")?;
        let only = match &named {
            Some(name) => {
                let at = collections.iter().position(|it| it.name == *name);
                Some(at.ok_or_else(|| one.wrong("collection", "none of `collections`"))?)
            }
            None => None,
        };
        let step = step(&one, &at, only, record)?;
        one.end()?;
        if each {
            steps.extend(collections.iter().enumerate().map(|(at, collection)| Step {
                name: collection.name.clone(),
                collection: Some(at),
                ..step.clone()
            }));
        } else {
            steps.push(step);
        }
    }
    if steps.is_empty() {
        return Err(given.wrong("pull", "at least one step"));
    }
    Ok(steps)
}

fn step(
    given: &Given<'_>,
    at: &str,
    collection: Option<usize>,
    record: &Row,
) -> Result<Step, Wrong> {
    let text = |name| given.text(name).map(Option::unwrap_or_default);
    let list = list(given, None, record)?;
    let first = match given.object("first")? {
        Some(first) => {
            let found = self::list(&first, Some(&list), record)?;
            first.end()?;
            Some(found)
        }
        None => None,
    };
    Ok(Step {
        name: text("name")?,
        collection,
        method: given.one_of("method", &[("GET", Method::Get), ("POST", Method::Post)])?,
        list,
        first,
        paging: given.one_of(
            "paging",
            &[
                ("cursor", Paging::Cursor),
                ("since", Paging::Since),
                ("page-restart", Paging::PageRestart),
                ("whole", Paging::Whole),
            ],
        )?,
        next: text("next")?,
        more: text("more")?,
        page: text("page")?,
        pages: text("pages")?,
        time: text("time")?,
        deletes: text("deletes")?,
        overlap: given.number("overlap")?,
        form: given.one_of(
            "instants",
            &[("millis", Form::Millis), ("seconds", Form::Seconds), ("epoch", Form::Epoch)],
        )?,
        etag: given.flag("etag")?,
    })
    .and_then(|step| match step.paging {
        Paging::Cursor | Paging::Since if step.next.is_empty() => {
            Err((at.to_owned() + ".next", "where the next position is".to_owned()))
        }
        Paging::PageRestart if step.page.is_empty() || step.pages.is_empty() => {
            Err((at.to_owned() + ".pages", "where `page` and `pages` are".to_owned()))
        }
        Paging::Cursor | Paging::Since | Paging::PageRestart if step.etag => {
            Err((at.to_owned() + ".etag", "only of a list that is read whole".to_owned()))
        }
        Paging::Cursor | Paging::Since | Paging::PageRestart | Paging::Whole => Ok(step),
    })
}

fn list(given: &Given<'_>, like: Option<&List>, record: &Row) -> Result<List, Wrong> {
    let text = |name, otherwise: &str| {
        given.text(name).map(|it| it.unwrap_or_else(|| otherwise.to_owned()))
    };
    Ok(List {
        path: given.address("path")?,
        query: given.template("query")?.unwrap_or(Template::Object(Vec::new())),
        body: given.template("body")?,
        ours: ours(given)?,
        rows: text("rows", like.map_or("", |it| &it.rows))?,
        item: text("item", "")?,
        row: row_or(given, "row", record)?,
    })
}
