// An application that decides conflicts by itself, and brings back what lost (R26; P18, P19, P20, P26).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";
import { standardServer } from "./server.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** In the page: opens a manager whose resolver does as `handlers` says, by the record's id. */
const open = async (conflicts) => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  globalThis.asked = [];
  globalThis.events = [];
  globalThis.reported = [];
  globalThis.aborted = [];
  globalThis.ended = Promise.withResolvers();
  globalThis.reportError = (error) => globalThis.reported.push(String(error.message ?? error));
  const handlers = {
    mine: () => ({ keep: "mine" }),
    slow: async (c) => {
      // An answer that is not there at once.
      await orders.get("slow");
      return { merged: { ...c.theirs, note: `${c.mine.note}+${c.theirs.note}` } };
    },
    fields: () => ({ fields: { "at.shelf": "mine", note: "theirs" } }),
    throws: () => {
      throw new Error("no idea");
    },
    rejects: () => Promise.reject(new Error("no idea")),
    nonsense: () => ({ keep: "both" }),
    defers: () => "defer",
    edits: async (c) => {
      // Once: what it is asked about the second time has the edit in it.
      if (c.mine.extra === undefined) await orders.patch("edits", { extra: 1 });
      return { keep: "mine" };
    },
    // Last in the order of questions: it never answers.
    zz: (_, { signal }) => {
      signal.addEventListener("abort", () => {
        globalThis.aborted.push(signal.reason?.name);
        globalThis.ended.resolve();
      });
      return new Promise(() => {});
    },
  };
  const sync = await SyncManager.open({
    name: "till",
    remote: standard({ baseUrl: "/api", timeout: 1000 }),
    collections: { orders: { conflicts } },
    onConflict: (conflict, context) => {
      globalThis.asked.push(conflict);
      return handlers[conflict.entityId](conflict, context);
    },
  });
  sync.on("conflict", (conflict) => globalThis.events.push(conflict));
  globalThis.sync = sync;
  globalThis.orders = sync.collection("orders");
};

/** Both sides change the note of each of these records. */
async function contradict(page, backend, ids) {
  await page.evaluate(async (ids) => {
    for (const id of ids) {
      await orders.create({ note: "a", at: { shelf: 1, row: 1 } }, { id });
    }
    await sync.drain();
    await sync.sync();
    sync.pause();
    for (const id of ids) await orders.patch(id, { note: "mine", at: { shelf: 2 } });
  }, ids);
  for (const id of ids) {
    backend.write("orders", id, { note: "theirs", at: { shelf: 3, row: 1 } });
  }
  await page.evaluate(() => sync.resume());
}

test("R26 P19 P20 P26: the application decides, and what it does not decide goes to a person", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open, "callback");
    const decided = ["mine", "slow", "fields", "edits"];
    const left = ["throws", "rejects", "nonsense", "defers"];
    await contradict(page, backend, [...decided, ...left]);
    const seen = await page.evaluate(async () => {
      const report = await sync.drain();
      const all = await sync.conflicts.list({ resolved: true });
      return { report, all, asked, events, reported, audit: await sync.audit() };
    });
    const at = (id) => backend.records.get(`orders/${id}`).document;
    assert.deepEqual(at("mine"), { note: "mine", at: { shelf: 2, row: 1 } });
    assert.deepEqual(at("slow"), { note: "mine+theirs", at: { shelf: 3, row: 1 } });
    assert.deepEqual(at("fields"), { note: "theirs", at: { shelf: 2, row: 1 } });
    assert.deepEqual(at("edits"), { note: "mine", at: { shelf: 2, row: 1 }, extra: 1 });
    const by = Object.fromEntries(seen.all.map((it) => [it.entityId, it.resolved?.by]));
    for (const id of decided) assert.equal(by[id], "callback", id);
    for (const id of left) assert.equal(by[id], undefined, id);
    assert.deepEqual([seen.report.pending, seen.report.parked], [0, left.length]);
    // Each is told once, when it is known who decides, and what went wrong is reported once.
    const told = seen.events.map((it) => it.entityId).sort();
    assert.deepEqual(told, [...decided, ...left].sort());
    assert.equal(seen.reported.length, 3, seen.reported.join());
    const shown = seen.asked.find((it) => it.entityId === "mine");
    assert.deepEqual(
      [shown.kind, shown.base.note, shown.mine.note, shown.theirs.note, shown.fields],
      ["update-update", "a", "mine", "theirs", ["note", "at.shelf"]],
    );
    assert.equal(seen.asked.filter((it) => it.entityId === "edits").length, 2);
    assert.ok(seen.audit.balanced);
  });
});

test("P20 R26: a resolver that never answers holds nobody, and is told when nobody listens any more", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open, "merge");
    await contradict(page, backend, ["zz"]);
    await page.waitForFunction(() => asked.length === 1);
    const seen = await page.evaluate(async () => {
      const sale = await (await orders.create({ note: "b" }, { id: "other" })).synced;
      await sync.sync();
      const open = await sync.conflicts.list();
      // Somebody else decides: its answer is not waited for.
      const decided = await sync.conflicts.resolve(open[0].id, { keep: "theirs" });
      const { document } = await orders.get("zz");
      await sync.close();
      await globalThis.ended.promise;
      return { sale, open, decided, document, asked: asked.length, events, aborted };
    });
    assert.equal(seen.sale.kind, "applied");
    assert.deepEqual([seen.open.length, seen.asked, seen.events.length], [1, 1, 0]);
    assert.deepEqual([seen.decided.kind, seen.document.note], ["resolved", "theirs"]);
    assert.deepEqual(seen.aborted, ["AbortError"]);
  });
});

test("R26: after a restart the application is asked again", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open, "callback");
    await contradict(page, backend, ["zz"]);
    await page.waitForFunction(() => asked.length === 1);
    await page.reload();
    await page.evaluate(open, "callback");
    await page.waitForFunction(() => asked.length === 1);
    assert.equal(await page.evaluate(() => sync.status.getSnapshot().conflicts), 1);
  });
});

test("P18: what lost a conflict is brought back over what the record is by now", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open, "manual");
    await contradict(page, backend, ["one"]);
    const early = await page.evaluate(async () => {
      await sync.drain();
      const [{ id }] = await sync.conflicts.list();
      const open = await sync.conflicts.restore(id).catch((error) => error.code);
      const nobody = await sync.conflicts.restore("nobody").catch((error) => error.code);
      await sync.conflicts.resolve(id, { keep: "theirs" });
      return { id, open, nobody, asked: asked.length };
    });
    assert.deepEqual([early.open, early.nobody], ["pending-work", "not-found"]);
    assert.equal(early.asked, 0, "manual never asks it");
    backend.write("orders", "one", { note: "later", at: { shelf: 3, row: 9 }, more: true });
    const restored = await page.evaluate(async (id) => {
      await sync.sync();
      const receipt = await sync.conflicts.restore(id);
      return { receipt, outcome: await receipt.synced, now: (await orders.get("one")).document };
    }, early.id);
    assert.deepEqual([restored.receipt.id, restored.outcome.kind], ["one", "applied"]);
    const expected = { note: "mine", at: { shelf: 2, row: 9 }, more: true };
    assert.deepEqual(restored.now, expected);
    assert.deepEqual(backend.records.get("orders/one").document, expected);
  });
});
