// The till of the replay: what an application does with the package, and no more.
import { isHoldfastError, SyncManager, standard } from "/pkg/index.js";

let sync;

// Chromium deletes a database that it finds corrupt, and says so where one looks: LevelDB goes on writing behind a
// record that a SIGKILL tore, and cannot read it at the start after next. That is a loss, but none of ours.
const open = IDBFactory.prototype.open;
IDBFactory.prototype.open = function (...words) {
  const request = open.apply(this, words);
  request.addEventListener("upgradeneeded", ({ dataLoss, dataLossMessage }) => {
    if (dataLoss === "total") globalThis.deleted(dataLossMessage);
  });
  return request;
};

globalThis.till = {
  async open(token) {
    sync = await SyncManager.open({
      name: "replay",
      remote: standard({ baseUrl: "/api" }),
      getToken: () => token,
      collections: { menu: {}, orders: {} },
    });
  },

  /**
   * Creates every record, `abreast` of them at a time. `accepted` hears of each one that is stored
   * durably the moment it is; the result names those that were there already.
   */
  async write(name, records, abreast) {
    const collection = sync.collection(name);
    const existing = [];
    const left = records.values();
    const clerk = async () => {
      for (const { id, document } of left) {
        try {
          const receipt = await collection.create(document, { id });
          globalThis.accepted(name, id, receipt.opId);
        } catch (error) {
          if (!isHoldfastError(error) || error.code !== "exists") throw error;
          existing.push(id);
        }
      }
    };
    await Promise.all(Array.from({ length: abreast }, clerk));
    return existing;
  },

  /** Until the outbox is empty, or nothing in it can leave without a person. */
  async drain() {
    let report;
    do {
      report = await sync.drain();
    } while (report.pending > 0 && report.parked === 0);
    // What was applied stays in the outbox until a pull has shown it.
    const cycle = await sync.sync();
    return { ...report, halted: cycle.halted };
  },

  async documents(name) {
    const collection = sync.collection(name);
    const all = [];
    let after;
    do {
      const page = await collection.list({ limit: 1000, after });
      for (const { id, document, meta } of page.items)
        all.push({ id, document, state: meta.state });
      after = page.next;
    } while (after !== undefined);
    return all;
  },

  /** How many operations ended in which way. */
  async outcomes(opIds) {
    const kinds = {};
    for (let from = 0; from < opIds.length; from += 100) {
      const some = await Promise.all(
        opIds.slice(from, from + 100).map((opId) => sync.outcome(opId)),
      );
      for (const { kind } of some) kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    return kinds;
  },

  async books() {
    return {
      audit: await sync.audit(),
      outbox: await sync.outbox.list(),
      conflicts: (await sync.conflicts.list({ resolved: true })).length,
      status: sync.status.getSnapshot(),
    };
  },
};
