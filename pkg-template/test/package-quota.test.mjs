// R27, P27: the quota of a real browser is reached with operations in the outbox. It drains all the same, and recovers.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { serve } from "./browser.mjs";
import { standardServer } from "./server.mjs";

/** A profile on the disk: that is where quotas are. */
async function withProfile(server, body) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-quota-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const page = await context.newPage();
    await page.goto(`${server.origin}/`);
    const devtools = await context.newCDPSession(page);
    /** In bytes; as the browser has it without. */
    const quota = (quotaSize) =>
      devtools.send("Storage.overrideQuotaForOrigin", {
        origin: server.origin,
        ...(quotaSize === undefined ? {} : { quotaSize }),
      });
    return await body(page, quota);
  } finally {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In the page: opens a manager and keeps it. */
const open = async () => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  const sync = await SyncManager.open({
    name: "till",
    remote: standard({ baseUrl: "/api", timeout: 5000 }),
    collections: { orders: {}, stock: { coalesce: false } },
  });
  globalThis.storage = [];
  sync.on("storage", ({ kind }) => globalThis.storage.push(kind));
  globalThis.becomes = (holds) =>
    new Promise((go) => {
      const look = () => holds(sync.status.getSnapshot()) && go();
      sync.status.subscribe(look);
      look();
    });
  globalThis.sync = sync;
  globalThis.orders = sync.collection("orders");
  globalThis.stock = sync.collection("stock");
};

/** In the page: a sale in every shape, while nothing gets through; how many operations wait. */
const sell = async () => {
  for (let n = 0; n < 40; n += 1)
    await orders.create({ table: 20 + n, note: "x".repeat(200) }, { id: `o${n}` });
  await orders.patch("before", { paid: true });
  await stock.create({ left: 5 }, { id: "s1" });
  await stock.patch("s1", { left: 4 });
  await stock.patch("s1", { left: 3 });
  return (await sync.outbox.list()).length;
};

/** In the page: takes what is left of the quota, with another database. */
const fill = async () => {
  const opened = indexedDB.open("filler");
  const db = await new Promise((go, stop) => {
    opened.onupgradeneeded = () =>
      opened.result.createObjectStore("filler", { autoIncrement: true });
    opened.onsuccess = () => go(opened.result);
    opened.onerror = () => stop(opened.error);
  });
  const put = (size) =>
    new Promise((go) => {
      const transaction = db.transaction("filler", "readwrite", { durability: "strict" });
      transaction.objectStore("filler").add("x".repeat(size));
      transaction.oncomplete = () => go(true);
      transaction.onabort = () => go(false);
    });
  for (const size of [100_000, 10_000, 1_000, 100, 1]) while (await put(size));
  db.close();
};

/** In the page: gives it back. */
const empty = () =>
  new Promise((go, stop) => {
    const deleted = indexedDB.deleteDatabase("filler");
    deleted.onsuccess = () => go();
    deleted.onerror = () => stop(deleted.error);
  });

/** In the page: what the browser says of its space. It gives no exact account of it. */
const says = ({ usage, quota }) => {
  navigator.storage.estimate = async () => ({ usage, quota });
};

const refused = () =>
  orders.create({ table: 99 }, { id: "late" }).then(
    () => "taken",
    (error) => error.code,
  );

const waiting = () => sync.outbox.list().then((entries) => entries.length);

test("R27, P27: at full quota the outbox drains, over a reload in its middle, and recovers", async (t) => {
  const backend = standardServer();
  let down = false;
  let pushes = 0;
  backend.spoil = ({ url }, text) => {
    if (down) return (response) => response.destroy();
    if (!url.endsWith("/push")) return undefined;
    pushes += 1;
    const { operations } = JSON.parse(text);
    // A server that takes little at a time, so that there is a middle.
    if (operations.length > 10)
      return {
        status: 413,
        body: { holdfast: 1, error: { code: "too-large", message: "ten at most" }, end: true },
      };
    return undefined;
  };
  const server = await serve(t, { answer: backend.answer });
  await withProfile(server, async (page, quota) => {
    // Before the browser has looked for the first time: it goes by what it saw for half a minute.
    await quota(4_000_000);
    await page.evaluate(open);
    await page.evaluate(async () => {
      await (await orders.create({ table: 1 }, { id: "before" })).synced;
      await sync.sync();
    });
    down = true;
    const queued = await page.evaluate(sell);
    assert.equal(queued, 44);
    await page.evaluate(fill);
    assert.equal(await page.evaluate(refused), "storage-full", "P4");
    assert.equal(await page.evaluate(waiting), queued, "nothing is evicted");

    // The page is gone when some of it has gone through.
    const before = backend.effects;
    down = false;
    await page.evaluate(() => sync.sync().catch(() => {}));
    while (backend.effects === before) await new Promise((go) => setTimeout(go, 20));
    await page.reload();
    // A browser may tidy up its files at a reload, and have space again.
    await page.evaluate(fill);
    await page.evaluate(open);
    await page.evaluate(() => becomes(({ outbox }) => outbox.pending === 0));
    assert.equal(await page.evaluate(waiting), 0, "P27: the outbox is empty");
    await page.evaluate(fill);
    assert.equal(await page.evaluate(refused), "storage-full", "and nothing can be written");
    assert.equal(await page.evaluate(() => sync.status.getSnapshot().kind), "storage-full");
    const ledger = new Map();
    for (const { opId } of backend.log) ledger.set(opId, (ledger.get(opId) ?? 0) + 1);
    assert.equal(ledger.size, queued + 1);
    assert.ok(
      [...ledger.values()].every((count) => count === 1),
      "P6: one effect each",
    );
    assert.deepEqual(backend.records.get("stock/s1").document, { left: 3 }, "P7: in order");

    // There is space again.
    await quota(undefined);
    await page.evaluate(empty);
    const recovered = await page.evaluate(async () => {
      await sync.sync().catch(() => {});
      await becomes(({ kind }) => kind === "synced");
      const { id } = await orders.create({ table: 7 }, { id: "after" });
      await sync.drain();
      const { items } = await orders.list();
      return { id, items: items.length, audit: await sync.audit(), told: globalThis.storage };
    });
    assert.equal(recovered.items, 42, "40, the one before and the one after");
    const { audit } = recovered;
    assert.equal(audit.pending + audit.parked + audit.blocked, 0);
    assert.equal(audit.accepted, queued + 2);
    assert.equal(audit.applied, queued + 2, "R10");
    assert.deepEqual(recovered.told, ["full", "restored"]);
    assert.ok(pushes > 4);
  });
});

test("P27: pulls stop before the quota is reached, and writes go on", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withProfile(server, async (page) => {
    await page.evaluate(open);
    await page.evaluate(async () => {
      await (await orders.create({ table: 1 }, { id: "before" })).synced;
      await sync.sync();
    });
    backend.write("orders", "theirs", { table: 2 });
    await page.evaluate(says, { usage: 80, quota: 100 });
    const cramped = await page.evaluate(async () => {
      await sync.sync();
      const receipt = await orders.create({ table: 3 }, { id: "mine" });
      const { kind } = await receipt.synced;
      return [kind, sync.status.getSnapshot().kind, await orders.get("theirs")];
    });
    assert.deepEqual(cramped, ["applied", "storage-full", undefined]);
    await page.evaluate(says, { usage: 8, quota: 100 });
    const after = await page.evaluate(async () => {
      await sync.sync();
      await becomes(({ kind }) => kind === "synced");
      return (await orders.get("theirs")).document;
    });
    assert.deepEqual(after, { table: 2 });
  });
});
