//! The one codec of all profiles: batches and cursors into requests, answers into verdicts and pages.

use std::cell::Cell;

use super::template::{Slot, Template};
use super::text::{Object, at, is_whole, list, word};
use super::verdict::{instant, is_ours, never_there};
use super::{Call, DeviceForm, Ids, Ours, Resolve, RestProfile, Single, Updates};
use crate::model::json::{quote, unquote};
use crate::model::map::sort_by;
use crate::model::{
    Capabilities, Cursor, Departure, DeviceId, Document, Edit, Halt, Intent, Json, Millis, OpId,
    Outcome, Presence, PullPage, Scope, Theirs, Version, Wall, edit,
};
use crate::port::{HttpRequest, HttpResponse, Method, Timeouts};
use crate::protocol::instant::iso;
use crate::protocol::status::{self, Ask, LONGEST_WAIT};
use crate::protocol::{GZIP_FROM, Protocol, Push, http};

/// A backend that a profile describes, at one address.
#[derive(Debug, Clone)]
pub struct Rest {
    pub(super) profile: RestProfile,
    /// What precedes the paths.
    base_url: String,
    /// For one exchange.
    timeouts: Timeouts,
    /// The part of the server's data that an application without scopes asks for.
    scope: String,
    /// The device that pulls, as far as its pushes have told: some wires want to know.
    device: Cell<Option<DeviceId>>,
}

/// One request of a push.
enum Part<'a> {
    /// Several operations.
    Batch(Vec<&'a Departure>),
    /// One operation as a call of its own.
    Single(&'a Single, &'a Departure),
    /// A decision.
    Decision(&'a Resolve, usize, &'a Departure),
}

impl Rest {
    /// A backend below a base address.
    #[must_use]
    pub fn new(profile: RestProfile, base_url: impl Into<String>) -> Self {
        Self {
            timeouts: profile.timeouts,
            profile,
            base_url: base_url.into(),
            scope: String::new(),
            device: Cell::new(None),
        }
    }

    /// With another limit for one exchange.
    #[must_use]
    pub fn within(self, timeout: Millis) -> Self {
        Self { timeouts: Timeouts::within(timeout), ..self }
    }

    /// For an application that declares no scopes: the one that the backend needs to know.
    #[must_use]
    pub fn scoped(self, scope: impl Into<String>) -> Self {
        Self { scope: scope.into(), ..self }
    }

    /// What the profile says.
    #[must_use]
    pub fn profile(&self) -> &RestProfile {
        &self.profile
    }

    pub(super) fn device(&self) -> DeviceId {
        self.device.get().unwrap_or_else(|| DeviceId::from_bytes([0; 16]))
    }

    pub(super) fn scope_name<'a>(&'a self, scope: &'a Scope) -> &'a str {
        match scope.0.split_once(':') {
            Some((_, name)) => name,
            None if *scope == Scope::all() => &self.scope,
            None => &scope.0,
        }
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: String,
        body: Option<String>,
    ) -> HttpRequest {
        let url = http::join(&self.base_url, path.trim_start_matches('/'));
        let profile = &self.profile;
        HttpRequest {
            body,
            timeouts: self.timeouts,
            max_bytes: profile.answer_bytes,
            gzip_from: profile.gzip.then_some(GZIP_FROM),
            digest: profile.digest,
            ..HttpRequest::new(method, url)
        }
    }

    /// Whether a body is our server's: an answer has what an answer has, an error what errors have.
    pub(super) fn is_ours(&self, status: u16, body: &str, ours: &Ours) -> bool {
        is_ours(body, if status == 200 { ours } else { &self.profile.errors })
    }

    pub(super) fn device_text(&self, device: DeviceId) -> String {
        match self.profile.device {
            DeviceForm::Uuid => device.to_string(),
            DeviceForm::MillisAndLetters => millis_and_letters(device),
        }
    }

    /// Whether the server knows the record by a name.
    fn is_known(&self, departure: &Departure) -> bool {
        let made = departure.assumed.is_some() || departure.id != departure.own;
        match self.profile.ids {
            Ids::Client => made || !matches!(departure.intent, Intent::Create(_)),
            Ids::Text => made,
            Ids::Integer => {
                is_whole(&departure.id) && (made || !matches!(departure.intent, Intent::Create(_)))
            }
        }
    }

    fn id_json(&self, id: &str) -> String {
        match self.profile.ids {
            Ids::Integer if is_whole(id) => id.to_owned(),
            Ids::Client | Ids::Text | Ids::Integer => quote(id),
        }
    }

    /// A value of an operation, as JSON.
    pub(super) fn value(&self, departure: &Departure, slot: Slot) -> Option<String> {
        let known = self.is_known(departure);
        match slot {
            Slot::Op => Some(quote(&departure.op.to_string())),
            Slot::Seq => Some(departure.seq.0.to_string()),
            Slot::Own => Some(quote(&departure.own)),
            Slot::Id => Some(self.id_json(&departure.id)),
            Slot::ServerId => known.then(|| self.id_json(&departure.id)),
            Slot::Collection => Some(quote(&departure.collection)),
            Slot::Path => Some(quote(match self.profile.collection(&departure.collection) {
                Some((_, collection)) => &collection.path,
                None => &departure.collection,
            })),
            Slot::Action => {
                let [create, update, delete] = &self.profile.push.actions;
                Some(quote(match departure.intent {
                    Intent::Delete => delete,
                    Intent::Create(_) if !known => create,
                    Intent::Create(_)
                    | Intent::Change(_)
                    | Intent::Replace(_)
                    | Intent::Resolve(_) => update,
                }))
            }
            Slot::Version => match departure.assumed.as_ref()? {
                Version::Number(number) => Some(number.to_string()),
                Version::Stamp(text) | Version::Opaque(text) => Some(quote(text)),
            },
            Slot::Content => self.content(departure),
            Slot::Deleted => Some((departure.intent == Intent::Delete).to_string()),
            Slot::At => Some(quote(&iso(Wall(departure.stamp.millis)))),
            Slot::Force => is_blind(departure).then(|| "true".to_owned()),
            Slot::Token => departure.decides.as_deref().map(quote),
            Slot::Choice => Some(quote("merged")),
            Slot::Device => Some(quote(&self.device_text(departure.device))),
            Slot::Operations | Slot::ByCollection | Slot::Position | Slot::Page | Slot::Scope => {
                None
            }
        }
    }

    /// What is written, with numbers in references where the server has numbers.
    fn content(&self, departure: &Departure) -> Option<String> {
        let document = match &departure.intent {
            Intent::Create(document) | Intent::Replace(document) => document.clone(),
            Intent::Change(edits) => merge_patch(edits),
            Intent::Resolve(resolve) => match &resolve.chosen {
                Presence::Live(document) => document.clone(),
                Presence::Deleted => return None,
            },
            Intent::Delete => return None,
        };
        let collection = self.profile.collection(&departure.collection).map(|(_, it)| it);
        let references = collection.map(|it| &it.references).filter(|it| !it.is_empty());
        let Some(references) = references.filter(|_| self.profile.ids == Ids::Integer) else {
            return Some(document.text().to_owned());
        };
        let mut object = Object::new();
        for (name, value) in document.fields() {
            let refers = references.iter().any(|(field, _)| *field == name);
            let id = unquote(value.text()).filter(|it| refers && is_whole(it));
            object.member(&name, id.as_deref().unwrap_or(value.text()));
        }
        Some(object.end())
    }

    /// The requests that a batch is: few operations each as its own call, where the wire has such; else grouped by device, and by
    /// collection where each has an endpoint; what was told otherwise comes last.
    fn parts<'a>(&'a self, push: &Push<'a>) -> Vec<Part<'a>> {
        let wire = &self.profile.push;
        let all = &push.batch.operations;
        let decides = |it: &Departure| wire.resolve.as_ref().filter(|_| it.decides.is_some());
        let mut parts = Vec::new();
        let ordinary: Vec<&Departure> = all.iter().filter(|it| decides(it).is_none()).collect();
        match wire.single.as_ref() {
            Some(single) if single.takes(&ordinary) => {
                parts.extend(ordinary.into_iter().map(|it| Part::Single(single, it)));
            }
            Some(single) => {
                let (blind, rest): (Vec<&Departure>, Vec<&Departure>) =
                    ordinary.into_iter().partition(|it| is_blind(it));
                parts.extend(self.batches(&rest).into_iter().map(Part::Batch));
                parts.extend(blind.into_iter().map(|it| Part::Single(single, it)));
            }
            None => parts.extend(self.batches(&ordinary).into_iter().map(Part::Batch)),
        }
        for (index, departure) in all.iter().enumerate() {
            if let Some(resolve) = decides(departure) {
                parts.push(Part::Decision(resolve, index, departure));
            }
        }
        let otherwise = push.otherwise.iter().filter_map(|at| all.get(*at));
        parts.extend(otherwise.map(|it| Part::Batch(vec![it])));
        parts
    }

    /// Operations by request: of one device, of one collection where that has its own endpoint, no id twice, and not more than the
    /// server takes.
    fn batches<'a>(&self, operations: &[&'a Departure]) -> Vec<Vec<&'a Departure>> {
        let mut batches: Vec<Vec<&Departure>> = Vec::new();
        for departure in operations {
            let takes = |batch: &&mut Vec<&Departure>| {
                batch.len() < self.profile.operations
                    && batch.iter().all(|it| {
                        let together =
                            !self.profile.push.split || it.collection == departure.collection;
                        together && it.device == departure.device && it.id != departure.id
                    })
            };
            match batches.iter_mut().find(takes) {
                Some(batch) => batch.push(departure),
                None => batches.push(vec![departure]),
            }
        }
        if self.profile.push.split {
            let place = |batch: &Vec<&Departure>| {
                let first = batch.first().and_then(|it| self.profile.collection(&it.collection));
                first.map_or(usize::MAX, |(at, _)| at)
            };
            sort_by(&mut batches, |a, b| place(a) < place(b));
        }
        batches
    }

    fn batch_request(&self, batch: &[&Departure], cursor: Option<&Cursor>) -> HttpRequest {
        let wire = &self.profile.push;
        let written = |departure: &&Departure| {
            let deletes = departure.intent == Intent::Delete;
            let template = wire.deletion.as_ref().filter(|_| deletes).unwrap_or(&wire.operation);
            template.fill(&|slot| self.value(departure, slot)).unwrap_or_default()
        };
        let first = batch.first().copied();
        let values = |slot: Slot| match slot {
            Slot::Operations => Some(list(&batch.iter().map(written).collect::<Vec<_>>())),
            Slot::ByCollection => {
                let mut object = Object::new();
                for collection in &self.profile.collections {
                    let ours = batch.iter().filter(|it| it.collection == collection.name);
                    let ours: Vec<String> = ours.map(written).collect();
                    if !ours.is_empty() {
                        object.member(&collection.name, &list(&ours));
                    }
                }
                Some(object.end())
            }
            Slot::Position => {
                let position = self.position(cursor);
                first.and_then(|it| position.of(&it.collection)).map(str::to_owned)
            }
            Slot::Op
            | Slot::Seq
            | Slot::Own
            | Slot::Id
            | Slot::ServerId
            | Slot::Collection
            | Slot::Path
            | Slot::Action
            | Slot::Version
            | Slot::Content
            | Slot::Deleted
            | Slot::At
            | Slot::Force
            | Slot::Token
            | Slot::Choice
            | Slot::Device
            | Slot::Page
            | Slot::Scope => first.and_then(|it| self.value(it, slot)),
        };
        self.request(Method::Post, wire.path.fill(&values), wire.body.fill(&values))
    }

    fn call_request(&self, call: &Call, body: Option<&Template>, it: &Departure) -> HttpRequest {
        let values = |slot| self.value(it, slot);
        let body = body.and_then(|body| body.fill(&values));
        self.request(call.method, call.path.fill(&values), body)
    }

    fn hear_batch(
        &self,
        batch: &[&Departure],
        push: &mut Push<'_>,
        answer: &HttpResponse,
        now: Wall,
    ) {
        let wire = &self.profile.push;
        let ours = |body: &str| self.is_ours(answer.status, body, &wire.ours);
        let read =
            self.too_many(answer).and_then(|()| status::check(answer, Ask::Push, &ours, now));
        match read.and_then(|()| self.verdicts(batch, &answer.body)) {
            Ok(outcomes) => {
                push.reply.outcomes.extend(outcomes);
                let time = at(&answer.body, &wire.time).filter(|_| !wire.time.is_empty());
                push.reply.time = time.and_then(instant).or(push.reply.time);
                self.hear_delta(batch, push, &answer.body);
            }
            Err(Halt::Forbidden) if wire.pauses => {
                let later = Outcome::Retry { after: Some(LONGEST_WAIT) };
                push.reply.outcomes.extend(batch.iter().map(|it| (it.op, later.clone())));
            }
            Err(halt) => self.halted(batch, push, halt),
        }
    }

    /// Changes that come with verdicts. What cannot be read is asked for again by the next pull.
    fn hear_delta(&self, batch: &[&Departure], push: &mut Push<'_>, body: &str) {
        let earlier = push.reply.page.as_ref().map(|page| page.next.clone());
        let cursor = earlier.or_else(|| push.batch.cursor.clone());
        let (true, Some(first), Some(cursor)) = (self.profile.push.delta, batch.first(), cursor)
        else {
            return;
        };
        let Some(page) = self.delta(&first.collection, body, &cursor) else { return };
        match &mut push.reply.page {
            Some(known) => {
                known.changes.extend(page.changes);
                known.unreadable.extend(page.unreadable);
                known.next = page.next;
            }
            none => *none = Some(page),
        }
    }

    /// What new verdicts say to be there is in the lists from now on.
    fn list(&self, push: &mut Push<'_>, told: usize) {
        let all = &push.batch.operations;
        let of = |op: OpId| all.iter().find(|it| it.op == op);
        let new = push.reply.outcomes.iter().skip(told);
        let there: Vec<(&str, &str)> =
            new.filter_map(|(op, outcome)| there(of(*op)?, outcome)).collect();
        let earlier = push.reply.page.as_ref().map(|page| &page.next);
        let cursor = earlier.or(push.batch.cursor.as_ref());
        let Some(next) = cursor.and_then(|cursor| self.listed(cursor, &there)) else { return };
        match &mut push.reply.page {
            Some(page) => page.next = next,
            none => {
                let (changes, unreadable) = (Vec::new(), Vec::new());
                *none =
                    Some(PullPage { changes, unreadable, next, more: true, time: None, bytes: 0 });
            }
        }
    }

    /// A wire's own way to say that a request was too large.
    fn too_many(&self, answer: &HttpResponse) -> Result<(), Halt> {
        match &self.profile.too_many {
            Some((status, has))
                if u64::from(answer.status) == *status && at(&answer.body, has).is_some() =>
            {
                Err(Halt::TooLarge)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A request failed as a whole. To one that carried a single operation of several that is a refusal (R7); the others go on.
    fn halted(&self, about: &[&Departure], push: &mut Push<'_>, halt: Halt) {
        let (code, message) = match halt {
            Halt::TooLarge => ("too-large", "the server takes no request of this size"),
            Halt::BatchRefused => ("refused", "the server refused the request"),
            Halt::Unreachable
            | Halt::Foreign
            | Halt::Auth
            | Halt::Forbidden
            | Halt::Misconfigured
            | Halt::Later(_)
            | Halt::Expired
            | Halt::Protocol
            | Halt::Unreadable => {
                push.reply.halt = Some(halt);
                return;
            }
        };
        match about {
            [only] if push.batch.operations.len() > 1 => {
                let (code, message) = (code.to_owned(), message.to_owned());
                let outcome = Outcome::Rejected { code, message, last: true };
                push.reply.outcomes.push((only.op, outcome));
            }
            _ => push.reply.halt = Some(halt),
        }
    }

    fn hear_single(
        &self,
        wire: &Single,
        departure: &Departure,
        push: &mut Push<'_>,
        answer: &HttpResponse,
        now: Wall,
    ) {
        match self.single(wire, departure, answer, now) {
            Ok(outcome) => push.reply.outcomes.push((departure.op, outcome)),
            Err(halt) => self.halted(&[departure], push, halt),
        }
    }

    fn single(
        &self,
        wire: &Single,
        departure: &Departure,
        answer: &HttpResponse,
        now: Wall,
    ) -> Result<Outcome, Halt> {
        let body = &*answer.body;
        let json = http::is_json(&answer.content_type);
        let error = json && is_ours(body, &self.profile.errors);
        let verdicts = &self.profile.push.verdicts;
        match answer.status {
            200 | 201 if json && is_ours(body, &wire.ours) => {
                let told = self.told(&wire.record, body).ok_or(Halt::Protocol)?;
                if told.id.as_ref() != Some(&departure.id) || told.version.is_none() {
                    return Err(Halt::Protocol);
                }
                let collection = self.profile.collection(&departure.collection).map(|(_, it)| it);
                let document =
                    self.document(&wire.record, &told, collection).ok_or(Halt::Protocol)?;
                Ok(Outcome::Applied {
                    version: told.version,
                    presence: Some(Presence::Live(document)),
                    stamp: told.stamp,
                    assigned_id: None,
                })
            }
            204 if departure.intent == Intent::Delete => Ok(never_there()),
            409 if error => {
                let theirs = match at(body, &wire.theirs) {
                    Some(row) => Some(self.told(&wire.record, row).ok_or(Halt::Protocol)?),
                    None => None,
                };
                let theirs = self.theirs(&wire.record, theirs, departure).ok_or(Halt::Protocol)?;
                Ok(Outcome::Conflict { theirs, other: None, token: None })
            }
            400 | 404 | 422 if error => {
                let code = at(body, &verdicts.code).and_then(word);
                let message = at(body, &wire.message).and_then(unquote).unwrap_or_default();
                self.refusal(verdicts, departure, code, &message).ok_or(Halt::Protocol)
            }
            _ => match status::check(answer, Ask::Push, &|_| error, now) {
                Ok(()) => Err(Halt::Foreign),
                Err(halt) => Err(halt),
            },
        }
    }

    fn hear_decision(
        &self,
        wire: &Resolve,
        (index, departure): (usize, &Departure),
        push: &mut Push<'_>,
        answer: &HttpResponse,
        now: Wall,
    ) {
        let body = &*answer.body;
        let error = http::is_json(&answer.content_type) && is_ours(body, &self.profile.errors);
        match answer.status {
            // The server no longer knows the conflict: what was decided is an ordinary change then.
            404 if error => push.otherwise.push(index),
            409 if error => {
                let again = at(body, &wire.conflict)
                    .and_then(|entry| self.conflict(&self.profile.push.verdicts, departure, entry));
                match again {
                    Some(outcome) => push.reply.outcomes.push((departure.op, outcome)),
                    None => push.reply.halt = Some(Halt::Protocol),
                }
            }
            _ => {
                let ours = |body: &str| self.is_ours(answer.status, body, &wire.ours);
                let read = status::check(answer, Ask::Push, &ours, now)
                    .and_then(|()| self.decided(wire, departure, body).ok_or(Halt::Protocol));
                match read {
                    Ok(outcome) => push.reply.outcomes.push((departure.op, outcome)),
                    Err(halt) => self.halted(&[departure], push, halt),
                }
            }
        }
    }

    fn decided(&self, wire: &Resolve, departure: &Departure, body: &str) -> Option<Outcome> {
        let row = super::Row {
            version: wire.version.clone(),
            document: wire.document.clone(),
            ..super::Row::default()
        };
        let told = self.told(&row, body)?;
        told.version.as_ref()?;
        let collection = self.profile.collection(&departure.collection).map(|(_, it)| it);
        let said = at(body, &wire.document).filter(|_| !wire.document.is_empty());
        let presence = match said {
            Some(_) => Some(Presence::Live(self.document(&row, &told, collection)?)),
            None => None,
        };
        Some(Outcome::Applied { version: told.version, presence, stamp: None, assigned_id: None })
    }
}

impl Single {
    /// Whether operations leave as calls of their own. A deletion as a call is not guarded by a version, so one makes all of them
    /// a batch.
    fn takes(&self, operations: &[&Departure]) -> bool {
        operations.len() <= self.up_to && operations.iter().all(|it| it.intent != Intent::Delete)
    }
}

/// The record that a verdict says to be there.
fn there<'a>(departure: &'a Departure, outcome: &'a Outcome) -> Option<(&'a str, &'a str)> {
    let id = match outcome {
        Outcome::Applied { presence: Some(Presence::Deleted), .. } => return None,
        Outcome::Applied { assigned_id, .. } if departure.intent != Intent::Delete => {
            assigned_id.as_deref().unwrap_or(&departure.id)
        }
        Outcome::Conflict { theirs: Theirs::Live { .. }, .. } => &departure.id,
        Outcome::Applied { .. }
        | Outcome::Conflict { theirs: Theirs::Deleted { .. } | Theirs::Unknown, .. }
        | Outcome::Rejected { .. }
        | Outcome::Retry { .. } => return None,
    };
    Some((&departure.collection, id))
}

/// Whether an operation brings a record back whose version nobody told.
fn is_blind(departure: &Departure) -> bool {
    departure.assumed.is_none()
        && matches!(departure.intent, Intent::Replace(_) | Intent::Change(_))
}

impl Protocol for Rest {
    fn pulls_for(&self, device: DeviceId) {
        self.device.set(Some(device));
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            groups: false,
            whole_record: self.profile.updates == Updates::Whole,
            patches: self.profile.updates == Updates::Patch,
            weak_replay: self.profile.weak_replay,
            pull_first: self.profile.pull_first,
            versions: self.profile.versions != super::Versions::Opaque,
            times: self.profile.times,
        }
    }

    fn ask(&self, push: &Push<'_>) -> Option<HttpRequest> {
        Some(match self.parts(push).get(push.answered)? {
            Part::Batch(batch) => self.batch_request(batch, push.batch.cursor.as_ref()),
            Part::Single(single, departure) => {
                let call = match departure.intent {
                    Intent::Delete => &single.delete,
                    Intent::Create(_) if !self.is_known(departure) => &single.create,
                    Intent::Create(_)
                    | Intent::Change(_)
                    | Intent::Replace(_)
                    | Intent::Resolve(_) => &single.update,
                };
                let body = Some(&single.body).filter(|_| call.method != Method::Delete);
                self.call_request(call, body, departure)
            }
            Part::Decision(resolve, _, departure) => {
                let call = Call { method: Method::Post, path: resolve.path.clone() };
                self.call_request(&call, Some(&resolve.body), departure)
            }
        })
    }

    fn hear(&self, push: &mut Push<'_>, answer: &HttpResponse, now: Wall) {
        let mut parts = self.parts(push);
        if push.answered >= parts.len() {
            return;
        }
        let part = parts.swap_remove(push.answered);
        push.answered += 1;
        let told = push.reply.outcomes.len();
        match part {
            Part::Batch(batch) => self.hear_batch(&batch, push, answer, now),
            Part::Single(single, it) => self.hear_single(single, it, push, answer, now),
            Part::Decision(resolve, index, it) => {
                self.hear_decision(resolve, (index, it), push, answer, now);
            }
        }
        self.list(push, told);
    }

    fn encode_pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> HttpRequest {
        self.pull_request(scope, cursor)
    }

    fn decode_pull(
        &self,
        cursor: Option<&Cursor>,
        answer: &HttpResponse,
        now: Wall,
    ) -> Result<PullPage, Halt> {
        self.page(cursor, answer, now)
    }
}

/// Edits as the merge patch that comes closest: it cannot set `null`.
fn merge_patch(edits: &[Edit]) -> Document {
    let values: Vec<Edit> = edits
        .iter()
        .map(|edit| {
            Edit::to(edit.path().clone(), Some(edit.value().cloned().unwrap_or_else(Json::null)))
        })
        .collect();
    edit::apply(&Document::empty(), &values)
}

/// `device_1795168800000_k3x9q2ab`: the same device always has the same name, and nothing needs to be stored for it.
fn millis_and_letters(device: DeviceId) -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let number = u128::from_be_bytes(device.bytes());
    let mut rest = number & u128::from(u64::MAX);
    let mut letters = [b'0'; 8];
    for place in letters.iter_mut().rev() {
        let digit = usize::try_from(rest % 36).unwrap_or_default();
        *place = LETTERS.get(digit).copied().unwrap_or(b'0');
        rest /= 36;
    }
    let mut out = "device_".to_owned();
    out.push_str(&(number >> 80).to_string());
    out.push('_');
    out.extend(letters.iter().map(|it| char::from(*it)));
    out
}
