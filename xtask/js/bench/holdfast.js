// The package as an application uses it, with its defaults.
import { SyncManager, standard } from "/pkg/index.js";

export async function open({ base, durability }) {
  const sync = await SyncManager.open({
    name: "bench",
    remote: standard({ baseUrl: base }),
    collections: { orders: {} },
    durability,
  });
  // What is measured decides when something leaves.
  sync.pause();
  const orders = sync.collection("orders");
  return {
    write: ({ id, document }) => orders.create(document, { id }),
    writeAll: (records) =>
      Promise.all(records.map(({ id, document }) => orders.create(document, { id }))),
    async pull() {
      sync.resume();
      const { halted } = await sync.sync();
      if (halted !== undefined) throw new Error(`pull: ${halted}`);
    },
    async push() {
      sync.resume();
      const { pending, parked } = await sync.drain();
      if (pending + parked > 0) throw new Error(`push: ${pending} pending, ${parked} parked`);
    },
    async queueLength() {
      const { pending, inFlight, parked } = sync.status.getSnapshot().outbox;
      return pending + inFlight + parked;
    },
    get: async (id) => (await orders.get(id))?.document,
  };
}
