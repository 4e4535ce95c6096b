//! The browser deletes a device's database (P29): what had not been sent is gone, and nobody can bring it back. Everything else goes
//! on, under another name for servers.

use holdfast::model::EntityKey;

use crate::oracle::Chain;
use crate::server::GIVEN;
use crate::world::{DEVICES, World};

impl World {
    pub(crate) fn evict(&mut self) {
        let device = self.pick(DEVICES);
        // The mark beside a database is written once something is stored.
        if self.shared.devices[device].borrow().mirror.meta.device.is_none() {
            return;
        }
        for tab in self.tabs_of(device) {
            self.drop_tab(tab);
        }
        self.shared.oracle.say(|| format!("{} d{device} loses its database", self.steps));
        self.shared.oracle.note("evictions");
        self.write_off(device);
        self.shared.devices[device].borrow_mut().lose();
    }

    /// What the lost database knew of its writes. Whoever goes on there is somebody else to what it had begun.
    fn write_off(&mut self, device: usize) {
        let ledger = &self.shared.oracle.ledger;
        let here = |id: &_| {
            let (at, chain) = self.whereabouts(&ledger.borrow(), *id);
            (at == device).then_some((*id, chain))
        };
        let known = ledger.borrow().writes.keys().copied().collect::<Vec<_>>();
        let lost: Vec<_> = known.iter().filter_map(here).collect();
        let mut ledger = ledger.borrow_mut();
        let own = ledger.writes.values().filter(|it| it.device == device);
        let (count, keys): (u64, Vec<EntityKey>) =
            own.fold((0, Vec::new()), |(count, mut keys), it| {
                keys.push(it.key.clone());
                (count + 1, keys)
            });
        ledger.accepted_before.insert(device, count);
        for (id, chain) in lost {
            if matches!(chain, Chain::Outbox(_)) {
                let key = ledger.writes[&id].key.clone();
                ledger.vague.insert(key);
            }
            ledger.evicted.insert(id, (device, chain));
        }
        // The names that the server gave are forgotten here, and nobody makes a second customer of a first one's id.
        let named = |key: &EntityKey| key.collection == "customers" && !key.id.starts_with(GIVEN);
        self.banned.extend(keys.iter().filter(|key| named(key)).cloned());
        ledger.shared.extend(keys);
    }
}
