// P29: a browser that lost the database is noticed, told, and cured by nothing but a full pull under a new device id.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";
import { standardServer } from "./server.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** In the page: opens a manager and keeps it, with what it says of its storage. */
const open = async () => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  const sync = await SyncManager.open({
    name: "till",
    remote: standard({ baseUrl: "/api", timeout: 2000 }),
    collections: { orders: {} },
  });
  globalThis.storage = [];
  sync.on("storage", ({ kind }) => globalThis.storage.push(kind));
  globalThis.hears = (kind) =>
    new Promise((go) => {
      if (globalThis.storage.includes(kind)) go();
      sync.on("storage", (event) => event.kind === kind && go());
    });
  globalThis.becomes = (kind) =>
    new Promise((go) => {
      const look = () => sync.status.getSnapshot().kind === kind && go();
      sync.status.subscribe(look);
      look();
    });
  globalThis.sync = sync;
  globalThis.orders = sync.collection("orders");
  return sync.status.getSnapshot().kind;
};

const lose = async () => {
  await sync.close();
  await new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase("holdfast/till//");
    Object.assign(request, { onsuccess: resolve, onerror: reject, onblocked: reject });
  });
};

test("P29: a database that is gone is noticed and told, and everything is pulled under a new id", async (t) => {
  const backend = standardServer();
  let down = false;
  const devices = [];
  backend.spoil = ({ url }, text) => {
    if (down) return (response) => response.destroy();
    if (url.endsWith("/push")) devices.push(JSON.parse(text).device);
    return undefined;
  };
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    assert.notEqual(await page.evaluate(open), "storage-lost", "it is new");
    await page.evaluate(async () => {
      await (await orders.create({ table: 1 }, { id: "sent" })).synced;
    });
    down = true;
    await page.evaluate(async () => void (await orders.create({ table: 2 }, { id: "unsent" })));
    await page.evaluate(lose);
    assert.equal(await page.evaluate(open), "storage-lost");
    const lost = await page.evaluate(async () => {
      await globalThis.hears("lost");
      const { id } = await orders.create({ table: 3 }, { id: "new" });
      await sync.sync().catch(() => {});
      return [id, globalThis.storage, sync.status.getSnapshot().kind];
    });
    assert.deepEqual(lost, ["new", ["lost"], "storage-lost"], "writes are accepted meanwhile");

    // A restart does not make it forgotten, and the mark is the new database's.
    await page.reload();
    assert.equal(await page.evaluate(open), "storage-lost");
    down = false;
    const found = await page.evaluate(async () => {
      await sync.sync();
      await globalThis.hears("restored");
      await sync.drain();
      await globalThis.becomes("synced");
      const { items } = await orders.list();
      return [items.map(({ id }) => id), globalThis.storage, sync.status.getSnapshot().kind];
    });
    assert.deepEqual(found, [["new", "sent"], ["lost", "restored"], "synced"]);
    assert.equal(new Set(devices).size, 2, "the new database has another id than the lost one");

    await page.reload();
    assert.equal(await page.evaluate(open), "synced", "it is told once");
  });
});

test("P29: the browser's own word is enough, and a cleared mark means nothing", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open);
    await page.evaluate(async () => {
      await (await orders.create({ table: 1 }, { id: "sent" })).synced;
      await sync.sync();
      localStorage.clear();
    });
    await page.reload();
    assert.equal(await page.evaluate(open), "synced", "the data is there");
    assert.equal(await page.evaluate(() => localStorage.length), 1, "it is marked again");
    await page.evaluate(lose);
    await page.evaluate(() => localStorage.clear());
    await page.reload();
    await page.evaluate(() =>
      Object.defineProperty(IDBVersionChangeEvent.prototype, "dataLoss", { get: () => "total" }),
    );
    assert.equal(await page.evaluate(open), "storage-lost");
  });
});
