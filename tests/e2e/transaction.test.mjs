// Several writes at once, by the package itself against the reference server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inShop } from "./support.mjs";

/** In the page: opens a manager that sends nothing yet. */
const open = async () => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  globalThis.sync = await SyncManager.open({
    name: "till",
    remote: standard({ baseUrl: "/api" }),
    getToken: () => "demo",
    collections: { orders: { references: { customerId: "customers" } }, customers: {} },
  });
  sync.pause();
  globalThis.orders = sync.collection("orders");
  globalThis.customers = sync.collection("customers");
};

const documents = async (shop, collection) =>
  (await shop.records(collection)).map(({ id, document }) => [id, document]);

// R14, P1.
test("the members of a transaction are stored all or none, and applied all or none", async () => {
  await inShop({}, async (shop) => {
    const browser = await shop.browser();
    const page = await shop.bare(browser);
    await page.evaluate(open);
    const refused = await page.evaluate(async () => {
      const ends = [];
      const order = { lines: [], total: 0 };
      const tried = (callback) =>
        sync.transaction(callback).catch(({ code, path }) => ends.push([code, path]));
      await tried((tx) => {
        tx.customers.create({ name: "Ada" }, { id: "c1" });
        throw new Error("no");
      });
      await tried((tx) => {
        tx.customers.create({ name: "Ada" }, { id: "c1" });
        tx.orders.patch("nobody", { total: 1 });
      });
      await tried((tx) => {
        tx.customers.create({ name: "Ada" }, { id: "c1" });
        tx.orders.create({ ...order, at: new Date() }, { id: "o1" });
      });
      const left = [await customers.get("c1"), (await sync.outbox.list()).length];
      return { ends, left, accepted: (await sync.audit()).accepted };
    });
    assert.deepEqual(refused, {
      ends: [
        ["aborted", undefined],
        ["not-found", "members/1"],
        ["invalid-value", "members/1/at"],
      ],
      left: [undefined, 0],
      accepted: 0,
    });

    const stored = await page.evaluate(async () => {
      const receipts = await sync.transaction((tx) => {
        const customerId = tx.customers.create({ name: "Ada" }, { id: "c1" });
        tx.orders.create({ lines: [], total: 0, customerId }, { id: "o1" });
        tx.orders.create({ lines: [], total: 0, customerId }, { id: "o2" });
      });
      return receipts.map(({ id }) => id);
    });
    assert.deepEqual(stored, ["c1", "o1", "o2"]);
    assert.equal((await shop.audit()).operations, 0, "nothing has left yet");
    // All of it is there after a restart.
    await page.reload();
    await page.evaluate(open);
    const sent = await page.evaluate(async () => {
      const waiting = (await sync.outbox.list()).map(({ entityId }) => entityId);
      const batches = [];
      const real = globalThis.fetch;
      globalThis.fetch = async (request, options) => {
        const asked = new Request(request, options);
        if (asked.method === "POST")
          batches.push(JSON.parse(await asked.clone().text()).operations.map(({ group }) => group));
        return real(asked);
      };
      sync.resume();
      const drained = await sync.drain();
      return { waiting, applied: drained.applied, batches, audit: await sync.audit() };
    });
    assert.deepEqual(sent.waiting, ["c1", "o1", "o2"]);
    assert.equal(sent.applied, 3, JSON.stringify(sent));
    assert.equal(sent.batches.length, 1, "in one request");
    const [group] = sent.batches[0];
    assert.equal(group.size, 3);
    assert.deepEqual(sent.batches[0], [group, group, group]);
    assert.ok(sent.audit.balanced);
    assert.deepEqual(await documents(shop, "customers"), [["c1", { name: "Ada" }]]);
    assert.equal((await shop.records("orders")).length, 2);
    const { operations, applied, maxEffects } = await shop.audit();
    assert.deepEqual([operations, applied, maxEffects], [3, 3, 1]);
  });
});

// R14, P10, P21.
test("a member that the server refuses is parked and holds the others, until a person has decided", async () => {
  await inShop({}, async (shop) => {
    const browser = await shop.browser();
    const page = await shop.bare(browser);
    await page.evaluate(open);
    const seen = await page.evaluate(async () => {
      sync.resume();
      await sync.transaction((tx) => {
        const customerId = tx.customers.create({ name: "Ada" }, { id: "c1" });
        tx.orders.create({ lines: [{ cents: 5 }], total: 4, customerId }, { id: "o1" });
      });
      await sync.drain();
      const entries = await sync.outbox.list();
      const alone = await customers.create({ name: "Bo" }, { id: "c2" });
      return { entries, alone: await alone.synced, audit: await sync.audit() };
    });
    const shown = JSON.stringify(seen.entries);
    const entry = (id) => seen.entries.find(({ entityId }) => entityId === id);
    assert.deepEqual([entry("o1").state, entry("o1").why], ["parked", "rejected"], shown);
    assert.equal(entry("o1").code, "validation", shown);
    assert.equal(entry("c1").state, "queued", shown);
    assert.equal(seen.alone.kind, "applied", "what is not in the transaction goes on");
    assert.ok(seen.audit.balanced);
    assert.deepEqual(await documents(shop, "customers"), [["c2", { name: "Bo" }]]);
    assert.deepEqual(await documents(shop, "orders"), []);

    const decided = await page.evaluate(async () => {
      const [entry] = await sync.outbox.list({ state: "parked" });
      const receipt = await sync.outbox.edit(entry.opId, { total: 5 });
      const verdict = await receipt.synced;
      await sync.drain();
      return { verdict, left: (await sync.outbox.list()).length, audit: await sync.audit() };
    });
    assert.equal(decided.verdict.kind, "applied", JSON.stringify(decided));
    assert.equal(decided.left, 0);
    assert.ok(decided.audit.balanced);
    const order = { lines: [{ cents: 5 }], total: 5, customerId: "c1" };
    assert.deepEqual(await documents(shop, "orders"), [["o1", order]]);
    assert.equal((await shop.records("customers")).length, 2);
  });
});
