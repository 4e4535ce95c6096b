//! What changed at the server, read list by list. A profile of one list keeps its position as the cursor; one of several keeps all
//! their positions in one text.

use super::codec::Rest;
use super::template::Slot;
use super::text::{Object, Parts, at, elements, word};
use super::verdict::{entries, instant, sound_id, texts};
use super::{Collection, List, Paging, Step};
use crate::model::json::{quote, unquote};
use crate::model::{Cursor, EntityKey, Halt, Map, Presence, PullPage, RemoteChange, Scope, Wall};
use crate::port::{HttpRequest, HttpResponse};
use crate::protocol::instant::Form;
use crate::protocol::status::{self, Ask};

/// The longest position that a server gives.
const POSITION_BYTES: usize = 4_096;

/// The longest `ETag` that is kept.
const TAG_BYTES: usize = 256;

/// How far each list was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// The list that is asked for next, by its place.
    pub(super) at: usize,
    /// Its page.
    page: u64,
    /// By the name of the step, as JSON.
    known: Vec<(String, String)>,
}

impl Position {
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        self.known.iter().find(|(known, _)| known == name).map(|(_, json)| &**json)
    }

    pub(super) fn set(&mut self, name: &str, json: String) {
        match self.known.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = json,
            None => self.known.push((name.to_owned(), json)),
        }
    }

    fn forget(&mut self, name: &str) {
        self.known.retain(|(known, _)| known != name);
    }
}

/// What a page of a list says; nothing where the list is as it was.
#[derive(Default)]
struct Read {
    changes: Vec<RemoteChange>,
    unreadable: Vec<String>,
    /// The instant of the last row.
    last: Option<Wall>,
    /// Whether every row is of one instant.
    one_instant: bool,
}

impl Rest {
    /// Whether a position is the whole cursor, as the server gave it.
    fn is_plain(&self) -> bool {
        match &*self.profile.pull {
            [only] => matches!(only.paging, Paging::Cursor | Paging::Since),
            [] | [_, ..] => false,
        }
    }

    /// A cursor that is of another profile is none: everything is read again, and nothing is lost.
    pub(super) fn position(&self, cursor: Option<&Cursor>) -> Position {
        let mut position = Position { page: 1, ..Position::default() };
        let Some(cursor) = cursor else { return position };
        if self.is_plain() {
            let name = self.profile.pull.first().map_or("", |step| &step.name);
            position.set(name, quote(&cursor.0));
            return position;
        }
        let Some(parts) = Parts::read(&cursor.0) else { return position };
        let number = |raw: &str| raw.parse::<u64>().unwrap_or_default();
        for (name, raw) in parts.iter() {
            match *name {
                "at" => position.at = usize::try_from(number(raw)).unwrap_or_default(),
                "page" => position.page = number(raw).max(1),
                name => position.set(name, (*raw).to_owned()),
            }
        }
        if position.at >= self.profile.pull.len() {
            position.at = 0;
        }
        position
    }

    /// The text of a position; `at` is left out where the next pull begins anew.
    pub(super) fn cursor(&self, position: &Position, ends: bool) -> Cursor {
        if self.is_plain() {
            let only = position.known.first().map(|(_, json)| json);
            return Cursor(only.and_then(|json| word(json)).unwrap_or_default());
        }
        let mut object = Object::new();
        for (name, json) in &position.known {
            object.member(name, json);
        }
        if !ends {
            object.member("at", &position.at.to_string());
            if position.page > 1 {
                object.member("page", &position.page.to_string());
            }
        }
        Cursor(object.end())
    }

    fn step(&self, position: &Position) -> Option<(&Step, &List)> {
        let step = self.profile.pull.get(position.at)?;
        let first = step.first.as_ref().filter(|_| position.of(&step.name).is_none());
        Some((step, first.unwrap_or(&step.list)))
    }

    pub(super) fn pull_request(&self, scope: &Scope, cursor: Option<&Cursor>) -> HttpRequest {
        let position = self.position(cursor);
        let Some((step, list)) = self.step(&position) else {
            return self.request(crate::port::Method::Get, String::new(), None);
        };
        let collection = step.collection.and_then(|at| self.profile.collections.get(at));
        let values = |slot: Slot| match slot {
            Slot::Position => position.of(&step.name).map(str::to_owned),
            Slot::Page => Some(position.page.to_string()),
            Slot::Scope => Some(quote(self.scope_name(scope))),
            Slot::Collection => collection.map(|it| quote(&it.name)),
            Slot::Path => collection.map(|it| quote(&it.path)),
            Slot::Operations => Some("[]".to_owned()),
            Slot::ByCollection => Some("{}".to_owned()),
            Slot::Device => Some(quote(&self.device_text(self.device()))),
            Slot::Op
            | Slot::Seq
            | Slot::Own
            | Slot::Id
            | Slot::ServerId
            | Slot::Action
            | Slot::Version
            | Slot::Content
            | Slot::Deleted
            | Slot::At
            | Slot::Force
            | Slot::Token
            | Slot::Choice => None,
        };
        let url = [list.path.fill(&values), list.query.query(&values)].concat();
        let body = list.body.as_ref().and_then(|body| body.fill(&values));
        let if_none_match = position.of(&step.tag()).and_then(unquote);
        HttpRequest { if_none_match, ..self.request(step.method, url, body) }
    }

    pub(super) fn page(
        &self,
        cursor: Option<&Cursor>,
        answer: &HttpResponse,
        now: Wall,
    ) -> Result<PullPage, Halt> {
        let mut position = self.position(cursor);
        let (step, list) = self.step(&position).ok_or(Halt::Misconfigured)?;
        let body = &*answer.body;
        let unchanged = answer.status == 304 && position.of(&step.tag()).is_some();
        let (read, more) = if unchanged {
            (Read::default(), false)
        } else {
            let ours = |body: &str| self.is_ours(answer.status, body, &list.ours);
            status::check(answer, Ask::Pull, &ours, now)?;
            let mut read = self.rows(step, list, body).ok_or(Halt::Protocol)?;
            let more = self.advance(step, body, &mut read, &mut position).ok_or(Halt::Protocol)?;
            tag(step, answer, &read, &mut position);
            (read, more)
        };
        let mut next = position;
        let ends = !more && next.at + 1 >= self.profile.pull.len();
        if !more {
            next.page = 1;
            next.at = if ends { 0 } else { next.at + 1 };
        }
        // A server whose clock comes with every page says "until here" while there is more, and its time at the end.
        let time = at(body, &step.time).filter(|_| !step.time.is_empty()).and_then(instant);
        let time = time.filter(|_| !more || step.paging == Paging::Cursor);
        let next = self.cursor(&next, ends);
        if more && cursor == Some(&next) || next.0.is_empty() {
            return Err(Halt::Protocol);
        }
        let Read { changes, unreadable, .. } = read;
        Ok(PullPage { changes, unreadable, next, more: !ends, time, bytes: 0 })
    }

    /// The changes that came with the answer to a push, and how far they reach. They end no pull.
    pub(super) fn delta(&self, collection: &str, body: &str, cursor: &Cursor) -> Option<PullPage> {
        let mut position = self.position(Some(cursor));
        let step = self.profile.pull.iter().find(|step| step.name == collection)?;
        let read = self.rows(step, &step.list, body)?;
        position.set(&step.name, at(body, &step.next)?.to_owned());
        let Read { changes, unreadable, .. } = read;
        let next = self.cursor(&position, is_at_rest(cursor));
        Some(PullPage { changes, unreadable, next, more: true, time: None, bytes: 0 })
    }

    /// The cursor with records in the lists that are read whole: what a verdict says to be there may leave its list before that
    /// has named it, and is known to be gone then like all the others.
    pub(super) fn listed(&self, cursor: &Cursor, there: &[(&str, &str)]) -> Option<Cursor> {
        let mut position = self.position(Some(cursor));
        let mut grown = false;
        for (collection, id) in there {
            let place = self.profile.collection(collection).map(|(at, _)| at);
            let step = self.profile.pull.iter().find(|it| it.is_list() && it.collection == place);
            let Some(step) = step else { continue };
            let known = position.of(&step.name).and_then(elements).unwrap_or_default();
            let mut ids: Vec<String> = known.into_iter().filter_map(unquote).collect();
            if ids.iter().all(|known| known != id) {
                ids.push((*id).to_owned());
                position.set(&step.name, texts(&ids));
                // The list may be again what it was before the record came: that is a change since then.
                position.forget(&step.tag());
                grown = true;
            }
        }
        grown.then(|| self.cursor(&position, is_at_rest(cursor)))
    }

    /// Moves the position; whether there is more of the list.
    fn advance(
        &self,
        step: &Step,
        body: &str,
        read: &mut Read,
        position: &mut Position,
    ) -> Option<bool> {
        let says_more = match &*step.more {
            "" => false,
            path => matches!(at(body, path)?, "true"),
        };
        match step.paging {
            Paging::Cursor => {
                let next = at(body, &step.next)?;
                let long = next.len() > POSITION_BYTES;
                position.set(&step.name, word(next).filter(|_| !long).map(|_| next.to_owned())?);
                Some(says_more)
            }
            Paging::Since => {
                let next = at(body, &step.next)?;
                let reached = instant(next)?;
                let json = if says_more && step.form == Form::Millis {
                    // As it came: a text of another form would be another instant to the server.
                    next.to_owned()
                } else if says_more {
                    step.form.json(reached)
                } else {
                    step.form.json(before(reached, step.overlap))
                };
                position.set(&step.name, json);
                Some(says_more)
            }
            Paging::PageRestart => {
                let page: u64 = at(body, &step.page)?.parse().ok()?;
                let pages: u64 = at(body, &step.pages)?.parse().ok()?;
                let more = page < pages;
                let asked = position.of(&step.name).and_then(instant);
                let Some(last) = read.last else {
                    // A page without rows and more behind it would be asked for without end.
                    return (!more).then_some(false);
                };
                let second = |at: Wall| at.0 / 1_000;
                if !more {
                    position.set(&step.name, step.form.json(before(last, step.overlap)));
                } else if read.one_instant && asked.map(second) == Some(second(last)) {
                    position.page = page + 1;
                } else {
                    position.page = 1;
                    position.set(&step.name, step.form.json(last));
                }
                Some(more)
            }
            Paging::Whole => {
                let ids: Vec<String> = read.changes.iter().map(|it| it.key.id.clone()).collect();
                // With a row that cannot be read nobody knows which record it is of: that is no deletion (R2).
                if step.is_list() && read.unreadable.is_empty() {
                    self.vanished(step, &ids, position, read);
                    position.set(&step.name, texts(&ids));
                }
                Some(false)
            }
        }
    }

    /// What was in the list the last time, and is no more, was deleted.
    fn vanished(&self, step: &Step, ids: &[String], position: &Position, read: &mut Read) {
        let Some(collection) = step.collection.and_then(|at| self.profile.collections.get(at))
        else {
            return;
        };
        let known = position.of(&step.name).and_then(elements).unwrap_or_default();
        let gone = known.into_iter().filter_map(unquote).filter(|id| !ids.contains(id));
        read.changes.extend(gone.map(|id| deletion(collection, id)));
    }

    fn rows(&self, step: &Step, list: &List, body: &str) -> Option<Read> {
        let rows = match &*list.rows {
            "" => vec![(None, body)],
            path => entries(body, path)?,
        };
        let fixed = step.collection.and_then(|at| self.profile.collections.get(at));
        let mut read =
            Read { changes: Vec::new(), unreadable: Vec::new(), last: None, one_instant: true };
        let mut place: Map<EntityKey, usize> = Map::new();
        let mut first: Option<Wall> = None;
        for (group, entry) in rows {
            let change = at(entry, &list.item)
                .and_then(|row| self.change(list, fixed, group.as_deref(), row));
            let Some(change) = change else {
                read.unreadable.push(entry.to_owned());
                continue;
            };
            let when = change.stamp.map(|it| Wall(it.millis));
            read.one_instant &= first.is_none() || first == when;
            first = first.or(when);
            read.last = when.or(read.last);
            // The feed names a record once; of a server that names it twice, the later row is the newer.
            match place.get(&change.key).and_then(|at| read.changes.get_mut(*at)) {
                Some(earlier) => *earlier = change,
                None => {
                    place.insert(change.key.clone(), read.changes.len());
                    read.changes.push(change);
                }
            }
        }
        if let (false, Some(collection)) = (step.deletes.is_empty(), fixed) {
            for (_, raw) in entries(body, &step.deletes)? {
                let Some(id) = word(raw).filter(|id| sound_id(id)) else {
                    read.unreadable.push(raw.to_owned());
                    continue;
                };
                let deletion = deletion(collection, id);
                // A record that was made again is in both lists: deletions have no time.
                if !place.contains_key(&deletion.key) {
                    read.changes.push(deletion);
                }
            }
        }
        Some(read)
    }

    fn change(
        &self,
        list: &List,
        fixed: Option<&Collection>,
        group: Option<&str>,
        text: &str,
    ) -> Option<RemoteChange> {
        let told = self.told(&list.row, text)?;
        let named = told.collection.as_deref().or(group);
        let collection = match (named, fixed) {
            (Some(name), _) => name,
            (None, Some(fixed)) => &fixed.name,
            (None, None) => return None,
        };
        let known = self.profile.collection(collection).map(|(_, it)| it);
        let presence = if told.deleted {
            Presence::Deleted
        } else {
            Presence::Live(self.document(&list.row, &told, known)?)
        };
        let versioned = list.row.version.is_empty() || told.version.is_some();
        let id = told.id.filter(|_| versioned && !collection.is_empty())?;
        Some(RemoteChange {
            key: EntityKey::new(collection, id),
            presence,
            version: told.version,
            stamp: told.stamp,
            op: told.op,
            own: told.own,
        })
    }
}

impl Step {
    /// Whether its rows are all the records that there are of a collection.
    fn is_list(&self) -> bool {
        self.paging == Paging::Whole && self.collection.is_some() && !self.list.rows.is_empty()
    }

    /// The name of its `ETag` in a cursor.
    fn tag(&self) -> String {
        [&*self.name, ".etag"].concat()
    }
}

/// Remembers what an unchanged list need not be sent again for. One with rows that cannot be read is read again.
fn tag(step: &Step, answer: &HttpResponse, read: &Read, position: &mut Position) {
    let told = answer.etag.as_ref().filter(|tag| tag.len() <= TAG_BYTES);
    match told.filter(|_| step.etag && read.unreadable.is_empty()) {
        Some(told) => position.set(&step.tag(), quote(told)),
        None => position.forget(&step.tag()),
    }
}

/// Whether a pull of several lists is not in the middle.
fn is_at_rest(cursor: &Cursor) -> bool {
    Parts::read(&cursor.0).is_some_and(|it| it.at("at").is_none())
}

fn before(at: Wall, overlap: u64) -> Wall {
    Wall(at.0.saturating_sub(overlap))
}

fn deletion(collection: &Collection, id: String) -> RemoteChange {
    RemoteChange {
        key: EntityKey::new(&*collection.name, id),
        presence: Presence::Deleted,
        version: None,
        stamp: None,
        op: None,
        own: None,
    }
}
