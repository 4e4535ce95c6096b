//! Outbox files in the world: backups, and operations that are handed over between devices (R18). A file is in its users' hands
//! until they import it; nobody gives what was handed over to two devices.

use std::rc::Rc;

use holdfast::layout::{file_text, read_file};
use holdfast::model::{
    EntityKey, Fate, OpId, OpState, Operation, OutboxFile, Owner, Parked, Selection,
};

use crate::oracle::{Call, Chain, Commit, Ledger, Oracle, follow};
use crate::world::{DEVICES, World};

/// Files that users keep. One that does not fit is lost; what was handed over with it can be written down again.
const FILES: usize = 6;

/// A file that was written.
#[derive(Debug)]
pub(crate) struct File {
    content: Rc<OutboxFile>,
    /// Where it was imported first, or is to be.
    to: Option<usize>,
}

/// What a call does with a file.
#[derive(Debug, Clone)]
pub(crate) enum Carry {
    Out,
    /// The second value says that it is of another user.
    In(Rc<OutboxFile>, bool),
}

pub(crate) fn is_handed_over(op: &Operation) -> bool {
    op.state == OpState::Parked(Parked::HandedOver)
}

/// Every id that an operation answers for.
fn ids(op: &Operation) -> impl Iterator<Item = OpId> {
    op.folded.iter().copied().chain([op.id])
}

/// The owner of everything on the devices.
pub(crate) fn owner() -> Owner {
    Owner { tenant: "t".to_owned(), user: "u".to_owned() }
}

impl World {
    pub(crate) fn carry(&mut self) {
        let device = self.pick(DEVICES);
        let Some(tab) = self.any_tab(device) else { return };
        if self.is_running(&["export", "import"]) {
            return;
        }
        match self.pick(4) {
            0 => self.export(device, tab, false),
            1 => self.export(device, tab, true),
            _ => self.import(device, tab),
        }
    }

    fn export(&mut self, device: usize, tab: u32, hand_over: bool) {
        let wanted = match self.pick(4) {
            0 => Selection::All,
            1 => Selection::Parked,
            2 => Selection::HandedOver,
            _ => {
                let place = self.shared.devices[device].borrow();
                let here = |op: &&Operation| !matches!(op.state, OpState::Acked { .. });
                let ops: Vec<OpId> =
                    place.mirror.ops.values().filter(here).map(|it| it.id).collect();
                if ops.is_empty() {
                    return;
                }
                Selection::Ids(vec![ops[self.pick(ops.len().min(256))]])
            }
        };
        let shared = Rc::clone(&self.shared);
        let engine = Rc::clone(&self.tabs[&tab].1);
        shared.oracle.say(|| {
            format!(
                "{} d{device} t{tab} writes {wanted:?} down, hands over {hand_over}",
                self.steps
            )
        });
        let task = self.spawn(tab, "export", async move {
            let Ok(file) = engine.export(&wanted, hand_over).await else { return };
            let read = file_text(&file).and_then(|text| read_file(&text));
            if read.as_ref() != Ok(&file) {
                shared.oracle.fail("R18 files", format!("{file:?} is read as {read:?}"));
            }
            let mut ledger = shared.oracle.ledger.borrow_mut();
            if ledger.files.len() < FILES && !file.operations.is_empty() {
                shared.oracle.note(if hand_over { "files handed over" } else { "backups" });
                ledger.files.push(File { content: Rc::new(file), to: None });
            }
        });
        self.call(task, Call { carry: Some(Carry::Out), ..Call::default() });
    }

    fn import(&mut self, device: usize, tab: u32) {
        let shared = Rc::clone(&self.shared);
        let content = {
            let mut ledger = shared.oracle.ledger.borrow_mut();
            if ledger.files.is_empty() {
                return;
            }
            let at = self.pick(ledger.files.len());
            if ledger.files[at].content.hand_over {
                let homes = homes(&ledger, &ledger.files[at].content);
                if homes.iter().any(|home| *home != device) {
                    return;
                }
                ledger.files[at].to = Some(device);
            }
            Rc::clone(&ledger.files[at].content)
        };
        // P31: now and then it is somebody else's.
        let foreign = self.pick(8) == 7;
        let engine = Rc::clone(&self.tabs[&tab].1);
        shared.oracle.say(|| format!("{} d{device} t{tab} imports {content:?}", self.steps));
        let given = Rc::clone(&content);
        let task = self.spawn(tab, "import", async move {
            let mut file = OutboxFile::clone(&given);
            if foreign {
                file.owner.user = "other".to_owned();
            }
            let imported = engine.import(&file).await;
            shared.oracle.ledger.borrow_mut().arriving.clear();
            if foreign && imported.is_ok() {
                shared.oracle.fail("P31 ownership", format!("{imported:?} of another user's file"));
            }
            if imported.is_ok_and(|it| it.imported > 0) {
                shared.oracle.note("files imported");
            }
        });
        self.call(task, Call { carry: Some(Carry::In(content, foreign)), ..Call::default() });
    }

    /// On which device a write is by now, and what became of it there.
    pub(crate) fn whereabouts(&self, ledger: &Ledger, id: OpId) -> (usize, Chain) {
        self.whereabouts_from(ledger, ledger.writes[&id].device, id)
    }

    pub(crate) fn whereabouts_from(
        &self,
        ledger: &Ledger,
        device: usize,
        id: OpId,
    ) -> (usize, Chain) {
        if let Some(known) = ledger.evicted.get(&id) {
            return known.clone();
        }
        let (mut device, mut id) = (device, id);
        for _ in 0..100 {
            let place = self.shared.devices[device].borrow();
            let chain = follow(&place.mirror, id);
            let away = match &chain {
                Chain::Outbox(op) => place.mirror.op(*op).is_some_and(is_handed_over),
                Chain::Ended(_, fate) => *fate == Fate::HandedOver,
                // Handed over before the database was lost.
                Chain::Lost(_) => place.lives > 0,
            };
            let (Chain::Outbox(op) | Chain::Ended(op, _) | Chain::Lost(op)) = &chain;
            match ledger.carried.get(op).filter(|to| away && **to != device) {
                Some(to) => (device, id) = (*to, *op),
                None => return (device, chain),
            }
        }
        (device, Chain::Lost(id))
    }
}

/// The devices that have, or may get, something of a file that was handed over.
fn homes(ledger: &Ledger, file: &OutboxFile) -> Vec<usize> {
    let has = |other: &OutboxFile| {
        other.operations.iter().any(|it| file.operations.iter().any(|own| own.op.id == it.op.id))
    };
    let given = ledger.files.iter().filter(|it| it.content.hand_over && has(&it.content));
    let here = file.operations.iter().filter_map(|it| ledger.carried.get(&it.op.id).copied());
    here.chain(given.filter_map(|it| it.to)).collect()
}

impl Oracle {
    /// Keeps the world's own book of what goes from device to device.
    pub(crate) fn carry(&self, c: &Commit<'_>, ledger: &mut Ledger, carry: &Carry) {
        match carry {
            Carry::Out => {
                for op in c.set.ops.values().filter(|op| is_handed_over(op)) {
                    ledger.travelled.extend(ids(op));
                    ledger.shared.insert(op.key.clone());
                    for id in ids(op) {
                        ledger.carried.remove(&id);
                    }
                    // What was written down before is of another time: nobody uses it any more.
                    let has = |it: &File| it.content.operations.iter().any(|it| it.op.id == op.id);
                    ledger.files.retain(|it| !(it.content.hand_over && has(it)));
                }
            }
            Carry::In(_, true) => {
                self.fail("P31 ownership", "another user's file changes something");
            }
            Carry::In(file, false) => {
                for it in &file.operations {
                    let here = |mirror: &crate::mirror::Mirror| {
                        mirror.ops.values().find(|op| op.id == it.op.id).cloned()
                    };
                    let Some(op) = here(c.is).filter(|op| here(c.was).as_ref() != Some(op)) else {
                        continue;
                    };
                    ledger.by_file.insert(op.id);
                    // A backup of some operations alone may name what is nowhere: whoever sends it then says so.
                    let unknown = |key: &&EntityKey| {
                        let key = c.is.own(key);
                        !c.is.records.contains_key(&key)
                    };
                    ledger.dangling.extend(op.refs.iter().filter(unknown).cloned());
                    ledger.dangling.extend(it.op.refs.iter().filter(unknown).cloned());
                    ledger.arriving.insert(op.id);
                    ledger.shared.extend([it.op.key.clone(), op.key.clone()]);
                    // Its user may have made the record again meanwhile: then the later create sets what it counts (R6).
                    if op.is_create() {
                        ledger.vague.insert(op.key.clone());
                        ledger.brought.insert(op.key.clone());
                    }
                    for id in ids(&op) {
                        // Brought a second time, by a device that has lost the first: that may have gone on with it.
                        let again = file.hand_over && ledger.carried.insert(id, c.device).is_some();
                        if again || !file.hand_over {
                            ledger.copies.insert((c.device, id));
                            // It comes back as a copy, and may be alive elsewhere.
                            if ledger.travelled.contains(&id) {
                                ledger.vague.insert(op.key.clone());
                            }
                        }
                    }
                }
            }
        }
    }

    /// Whether a customer's create was carried to another device: it may have been made again under the same id of its maker's then,
    /// and each of the two devices means its own.
    pub(crate) fn is_twice(&self, customer: &str) -> bool {
        self.ledger.borrow().shared.contains(&EntityKey::new("customers", customer))
    }

    /// Whether a backup brought an operation to a second device.
    pub(crate) fn is_copied(&self, id: OpId) -> bool {
        self.ledger.borrow().copies.iter().any(|(_, it)| *it == id)
    }

    /// Whether more than one device may write a record, by its name or by what its operations did.
    pub(crate) fn is_alone(&self, key: &EntityKey) -> bool {
        crate::oracle::is_private(key) && !self.ledger.borrow().shared.contains(key)
    }
}
