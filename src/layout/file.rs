//! The text of an outbox file: operations and conflicts as their rows are, in an envelope that says whose they are (R18). A file
//! comes from anywhere: what is not as it must be is refused with its place, and nothing of it is taken.

use super::read::{self, Read};
use super::write::{self, Out, text_of};
use crate::model::scan::Reader;
use crate::model::{Carried, Code, Document, FILE_VERSION, OutboxFile, SyncError, Wall};

/// The greatest file that is written or read.
pub const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

/// A file as its text.
///
/// # Errors
/// `too-large` where the text would be greater than any that is read.
pub fn file_text(file: &OutboxFile) -> Result<String, SyncError> {
    let text = text_of(file, written);
    if text.len() > MAX_FILE_BYTES { Err(too_large()) } else { Ok(text) }
}

fn written(out: &mut Out, file: &OutboxFile) {
    out.open();
    out.text("holdfast", "outbox");
    out.number("version", FILE_VERSION.into());
    out.number("at", file.at.0);
    if let Some(device) = &file.device {
        out.id("device", device);
    }
    out.some("owner", Some(&file.owner), write::owner);
    out.number("schema", file.schema.into());
    out.flag("handOver", file.hand_over);
    out.list("operations", &file.operations, carried);
    out.list("conflicts", &file.conflicts, write::conflict);
    out.close();
}

fn carried(out: &mut Out, it: &Carried) {
    out.open();
    out.some("operation", Some(&it.op), write::operation);
    out.some("serverId", it.server_id.as_ref(), write::string);
    out.some("snapshot", it.snapshot.as_ref(), write::document);
    out.close();
}

fn too_large() -> SyncError {
    SyncError::new(Code::TooLarge, "an outbox file has at most 64 MiB").at("file")
}

fn wrong(path: &str, message: &'static str) -> SyncError {
    SyncError::new(Code::InvalidValue, message).at(path)
}

/// The envelope: every member as its text. An unknown version is told from a broken file before anything else is looked at.
struct Envelope<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut members = Vec::new();
        Reader::whole(text, |from| {
            from.object(&[], &mut |from, name| {
                members.push((name, from.raw()?));
                Some(())
            })
        })?;
        Some(Self(members))
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    fn member<T>(&self, name: &str, read: Read<T>) -> Result<T, SyncError> {
        let value = self.raw(name).and_then(|text| Reader::whole(text, read));
        value.ok_or_else(|| wrong(name, "not what an outbox file says there"))
    }

    fn list<T>(&self, name: &str, read: Read<T>) -> Result<Vec<T>, SyncError> {
        let mut found = Vec::new();
        let all = self.raw(name).and_then(|text| {
            Reader::whole(text, |from| {
                from.list(&mut |from| {
                    found.push(read(from)?);
                    Some(())
                })
            })
        });
        match all {
            Some(()) => Ok(found),
            None => {
                let path = [name, ".", &found.len().to_string()].concat();
                Err(wrong(&path, "not what an outbox file says there"))
            }
        }
    }
}

/// What a text holds.
///
/// # Errors
/// `invalid-value` and `too-large`, with the place.
pub fn read_file(text: &str) -> Result<OutboxFile, SyncError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let file = Envelope::read(text).ok_or_else(|| wrong("file", "not an outbox file"))?;
    if file.member("holdfast", read::string)? != "outbox" {
        return Err(wrong("holdfast", "not an outbox file"));
    }
    if file.member("version", |from| from.small())? != FILE_VERSION {
        return Err(wrong("version", "another release wrote the file"));
    }
    let device = file.raw("device").map(|_| file.member("device", read::device_id));
    Ok(OutboxFile {
        at: Wall(file.member("at", |from| from.number())?),
        device: device.transpose()?,
        owner: file.member("owner", read::owner)?,
        schema: file.member("schema", |from| from.small())?,
        hand_over: file.member("handOver", |from| from.flag())?,
        operations: file.list("operations", read_carried)?,
        conflicts: file.list("conflicts", read::conflict)?,
    })
}

fn read_carried(from: &mut Reader<'_>) -> Option<Carried> {
    let (mut op, mut server_id, mut snapshot) = (None, None, None);
    from.object(&["operation"], &mut |from, name| {
        match name {
            "operation" => op = Some(read::operation(from)?),
            "serverId" => server_id = from.maybe(read::string)?,
            "snapshot" => snapshot = from.maybe(Document::read)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(Carried { op: op?, server_id, snapshot })
}
