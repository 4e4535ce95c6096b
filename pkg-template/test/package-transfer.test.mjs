// Outbox files between two managers and a server, what is counted, and what the profiler sees.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";
import { load, openFake, rejection } from "./fake.mjs";
import { standardServer } from "./server.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** In the page: two devices of one user. */
const devices = async () => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  const open = (name, more = {}) =>
    SyncManager.open({
      name,
      remote: standard({ baseUrl: "/api", timeout: 1000 }),
      collections: { orders: { conflicts: "manual" }, customers: {} },
      ...more,
    });
  globalThis.open = open;
  globalThis.here = await open("here");
  globalThis.there = await open("there");
};

async function inPage(t, body) {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(devices);
    await body(page, backend);
  });
}

test("what is handed over is sent by the other device, once, under its old id (R18, P6)", async (t) => {
  await inPage(t, async (page) => {
    const seen = await page.evaluate(async () => {
      here.pause();
      there.pause();
      const orders = here.collection("orders");
      const sale = await orders.create({ table: 7, note: "é \u0000 \\ 1.10" }, { id: "order-1" });
      const file = await here.outbox.export({ handOver: true });
      const gone = await orders.get("order-1");
      const verdict = await sale.synced;
      const [parked] = await here.outbox.list();
      // As over a disk or a wire.
      const sent = JSON.parse(JSON.stringify(file));
      const first = await there.outbox.import(sent);
      const again = await there.outbox.import(sent);
      const arrived = await there.collection("orders").get("order-1");
      there.resume();
      const drained = await there.drain();
      const outcome = await there.outcome(sale.opId);
      here.resume();
      await here.sync();
      const echo = await here.outcome(sale.opId);
      return {
        gone,
        verdict,
        why: parked.why,
        first,
        again,
        document: arrived.document,
        drained,
        outcome: outcome.kind,
        echo: echo.kind,
        left: (await here.outbox.list()).length,
        back: (await orders.get("order-1")).document,
        audits: [await here.audit(), await there.audit()],
      };
    });
    const document = { table: 7, note: "é \u0000 \\ 1.10" };
    assert.equal(seen.gone, undefined);
    assert.deepEqual(seen.verdict, { kind: "handed-over" });
    assert.equal(seen.why, "handed-over");
    assert.deepEqual(seen.first, { imported: 1, known: 0 });
    assert.deepEqual(seen.again, { imported: 0, known: 1 });
    assert.deepEqual(seen.document, document);
    assert.deepEqual(seen.drained, { applied: 1, pending: 0, parked: 0 });
    assert.equal(seen.outcome, "applied");
    assert.equal(seen.echo, "applied", "an echo ends it where it came from too");
    assert.equal(seen.left, 0);
    assert.deepEqual(seen.back, document);
    for (const audit of seen.audits) assert.equal(audit.balanced, true, JSON.stringify(audit));
    assert.equal(seen.audits[1].imported, 1);
  });
});

test("a backup waits for a person, and a file that is not ours is refused (P21, P31)", async (t) => {
  await inPage(t, async (page) => {
    const seen = await page.evaluate(async () => {
      const code = (promise) =>
        promise.then(
          () => "done",
          ({ code, path }) => [code, path],
        );
      here.pause();
      there.pause();
      await here.collection("orders").create({ table: 7 }, { id: "order-1" });
      const file = await here.outbox.export();
      const waiting = (await here.outbox.list())[0].state;
      const parked = [];
      there.on("parked", (entry) => parked.push(entry.code));
      await there.outbox.import(file);
      const [entry] = await there.outbox.list({ state: "parked" });
      const receipt = await there.outbox.edit(entry.opId, { table: 8 });
      const edited = (await there.collection("orders").get(receipt.id)).document;
      const other = await open("here", { user: "bob" });
      const small = await open("small", { limits: { operations: 1 } });
      small.pause();
      await small.collection("orders").create({ table: 1 });
      const refusals = [
        await code(other.outbox.import(file)),
        await code(small.outbox.import(file)),
        await code(small.collection("orders").create({ table: 2 })),
        await code(there.outbox.import({ ...file, version: 2 })),
        await code(there.outbox.import({ ...file, operations: [7] })),
        await code(there.outbox.import(7)),
        await code(there.outbox.import(undefined)),
        await code(here.outbox.export({ operations: ["no-id"] })),
        await code(here.outbox.export({ operations: "some" })),
      ];
      await other.close();
      await small.close();
      return { waiting, parked, entry, edited, refusals };
    });
    assert.equal(seen.waiting, "queued");
    assert.deepEqual(seen.parked, ["imported"]);
    assert.equal(seen.entry.code, "imported");
    assert.deepEqual(seen.entry.snapshot, { table: 7 });
    assert.deepEqual(seen.edited, { table: 8 });
    assert.deepEqual(seen.refusals, [
      ["invalid-value", "owner"],
      ["outbox-full", undefined],
      ["outbox-full", undefined],
      ["invalid-value", "version"],
      ["invalid-value", "operations.0"],
      ["invalid-value", "file"],
      ["invalid-value", "file"],
      ["not-found", "operations"],
      ["invalid-value", "operations"],
    ]);
  });
});

test("metrics count, and the profiler sees the spells", async (t) => {
  await inPage(t, async (page) => {
    const seen = await page.evaluate(async () => {
      there.pause();
      const orders = here.collection("orders");
      for (let n = 0; n < 150; n += 1)
        await orders.patch((await orders.create({ n })).id, { n: -1 });
      await here.drain();
      await here.sync();
      const names = ["cycle", "push", "pull", "commit"];
      const measures = names.map((name) =>
        performance.getEntriesByName(`holdfast:${name}`, "measure"),
      );
      return {
        metrics: await here.metrics(),
        quiet: await there.metrics(),
        counts: measures.map((entries) => entries.length),
        sane: measures.flat().every((entry) => entry.duration >= 0 && entry.startTime > 0),
      };
    });
    const { metrics, quiet } = seen;
    assert.equal(metrics.writes.succeeded, 300);
    assert.equal(metrics.applied + metrics.conflicts["update-update"], metrics.applied);
    assert.ok(metrics.applied >= 150, JSON.stringify(metrics));
    assert.ok(metrics.cycles.succeeded >= 1);
    assert.equal(
      metrics.cycles.classes.reduce((sum, count) => sum + count),
      metrics.cycles.succeeded + metrics.cycles.failed,
    );
    assert.equal(metrics.cycles.classes.length, metrics.classesMs.length + 1);
    assert.ok(metrics.bytesUp > 1000 && metrics.bytesDown > 1000);
    assert.ok(metrics.outbox.length >= 1 && metrics.outbox.some(({ most }) => most > 0));
    assert.equal(quiet.writes.succeeded, 0);
    const [cycles, pushes, pulls, commits] = seen.counts;
    assert.ok(cycles >= 1 && pushes >= 1 && pulls >= 1, String(seen.counts));
    assert.ok(commits >= 50 && commits <= 100, `bounded: ${commits}`);
    assert.ok(seen.sane);
  });
});

test("where there is no measure nothing happens, and a spell that never ends is forgotten", async () => {
  const { Spells } = await load("spells.js");
  const { measure } = performance;
  try {
    performance.measure = undefined;
    const spells = new Spells();
    spells.began("push 1");
    spells.ended("push 1");
  } finally {
    performance.measure = measure;
  }
  const spells = new Spells();
  for (let n = 0; n < 1000; n += 1) spells.began(`pull ${n}`);
  for (let n = 0; n < 1000; n += 1) spells.ended(`pull ${n}`);
  assert.ok(performance.getEntriesByName("holdfast:pull").length <= 102);
  performance.clearMeasures("holdfast:pull");
});

test("a drain that is given up says so; what needs a person does not hold it", async (t) => {
  await inPage(t, async (page, backend) => {
    backend.spoil = () => ({ status: 503, body: { holdfast: 1, end: true } });
    const given = await page.evaluate(async () => {
      there.pause();
      const orders = here.collection("orders");
      await orders.create({ table: 7 }, { id: "order-1" });
      const giveUp = new AbortController();
      const drain = here.drain({ signal: giveUp.signal });
      setTimeout(() => giveUp.abort(), 50);
      const code = await drain.catch((error) => error.code);
      return { code, still: (await here.outbox.list()).length };
    });
    assert.deepEqual(given, { code: "aborted", still: 1 });
    backend.spoil = undefined;
    const seen = await page.evaluate(async () => {
      const orders = here.collection("orders");
      // A table that the server does not know: refused for good.
      await orders.create({ table: 13 }, { id: "order-2" });
      await here.sync();
      const drained = await here.drain();
      await new Promise((resolve) => {
        const look = () => here.status.getSnapshot().kind !== "syncing" && resolve();
        here.status.subscribe(look);
        look();
      });
      const { kind, outbox } = here.status.getSnapshot();
      return { drained, kind, parked: outbox.parked, pending: outbox.pending };
    });
    assert.deepEqual(seen.drained, { applied: 1, pending: 0, parked: 1 });
    assert.deepEqual(
      [seen.kind, seen.parked, seen.pending],
      ["pending", 1, 0],
      "P37: not synced while something needs a person",
    );
  });
});

test("a verdict is known in a second tab, after the first was closed", async (t) => {
  await inPage(t, async (page) => {
    const seen = await page.evaluate(async () => {
      here.pause();
      const second = await open("here");
      const { opId } = await here.collection("orders").create({ table: 7 }, { id: "order-1" });
      const early = second.outcome(opId);
      await here.close();
      const verdict = await early;
      await second.close();
      const third = await open("here");
      const later = await third.outcome(opId);
      await third.close();
      return [verdict.kind, later.kind];
    });
    assert.deepEqual(seen, ["applied", "applied"]);
  });
});

test("options and arguments are checked before the core", async () => {
  const { sync, calls } = await openFake(
    {
      export_file: async () => "{}",
      import_file: async () => "{}",
      metrics: () => '{"applied":1}',
    },
    { limits: { operations: 5 } },
  );
  assert.equal(calls[0][1].maxOperations, 5);
  assert.equal("maxBytes" in calls[0][1], false);
  await sync.outbox.export({ operations: ["a", "b"], handOver: true });
  assert.deepEqual(calls.at(-1), ["export_file", '["a","b"]', true]);
  await sync.outbox.export();
  assert.deepEqual(calls.at(-1), ["export_file", "all", false]);
  await sync.outbox.import({ a: 1 });
  assert.deepEqual(calls.at(-1), ["import_file", '{"a":1}']);
  assert.deepEqual(await sync.metrics(), { applied: 1 });
  assert.equal((await rejection(sync.outbox.export({ operations: [7] }))).path, "operations.0");
  const loop = {};
  loop.loop = loop;
  assert.equal((await rejection(sync.outbox.import(loop))).path, "file");
  for (const limits of [7, null, { operations: 0 }, { bytes: 1.5 }]) {
    assert.equal((await rejection(openFake({}, { limits }))).code, "invalid-options");
  }
});
