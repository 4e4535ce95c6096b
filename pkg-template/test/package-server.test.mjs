// What a server may answer instead of an answer: each shows as a typed state, and nothing is lost.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";
import { standardServer } from "./server.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** In the page: opens a manager and keeps it for the steps that follow. */
const open = async (more = {}) => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  globalThis.events = [];
  const sync = await SyncManager.open({
    name: "till",
    remote: standard({ baseUrl: "/api", timeout: 1000 }),
    collections: { orders: { conflicts: "manual" } },
    ...more,
  });
  for (const name of ["conflict", "parked", "auth-required", "fatal"]) {
    sync.on(name, (payload) => globalThis.events.push([name, payload]));
  }
  globalThis.sync = sync;
  globalThis.orders = sync.collection("orders");
};

/** In the page: a sale is written and a cycle is tried. */
const sellAndSync = async () => {
  sync.pause();
  await orders.create({ table: 7 }, { id: "order-1" });
  sync.resume();
  const failure = await sync.sync().then(
    (report) => ({ report }),
    (error) => ({ code: error.code, name: error.name }),
  );
  const { kind, reason } = sync.status.getSnapshot();
  const entry = (await sync.outbox.list())[0];
  return {
    ...failure,
    kind,
    reason,
    waiting: entry?.state,
    document: (await orders.get("order-1"))?.document,
  };
};

const json = { "content-type": "application/json" };
const problem = (status, code) => ({
  status,
  headers: { "content-type": "application/problem+json" },
  body: { holdfast: 1, type: "about:blank", title: code, status, code, end: true },
});
const html = (status) => ({
  status,
  headers: { "content-type": "text/html" },
  body: "<h1>Welcome to the hotel</h1>",
});
const whole = JSON.stringify({
  holdfast: 1,
  changes: [],
  cursor: "1",
  more: false,
  epoch: "e",
  end: true,
});

const ANSWERS = [
  ["a page", () => html(200), "unreachable", "offline", "foreign-response"],
  [
    "JSON of somebody else",
    () => ({ body: { ok: true } }),
    "unreachable",
    "offline",
    "foreign-response",
  ],
  [
    "half a body",
    () => ({ headers: json, body: whole.slice(0, -9) }),
    "unreachable",
    "offline",
    "foreign-response",
  ],
  [
    "a body that breaks off",
    () => (response) => {
      response.writeHead(200, { ...json, "content-length": whole.length });
      response.write(whole.slice(0, 20));
      setTimeout(() => response.destroy(), 20);
    },
    "unreachable",
    "offline",
    "unreachable",
  ],
  ["nothing", () => (response) => response.destroy(), "unreachable", "offline", "unreachable"],
  ["silence", () => () => {}, "unreachable", "offline", "unreachable"],
  ["401", () => problem(401, "unauthorized"), "auth-required", "auth-required", undefined],
  ["403", () => problem(403, "forbidden"), undefined, "blocked-by-server", "forbidden"],
  ["404", () => problem(404, "not-found"), undefined, "blocked-by-server", "misconfigured"],
  ["500", () => problem(500, "internal"), undefined, undefined, undefined],
  ["503 of a gateway", () => html(503), undefined, undefined, undefined],
];
for (const [name, answer, code, kind, reason] of ANSWERS) {
  // A1, A2, A9 to A12, P3, P36.
  test(`a server that answers ${name}: a typed state, and nothing is lost`, async (t) => {
    // A1, A2, A9 to A12
    const backend = standardServer();
    const server = await serve(t, { answer: backend.answer });
    await withPage(chrome, server, async (page) => {
      backend.spoil = answer;
      await page.evaluate(open);
      const bad = await page.evaluate(sellAndSync);
      const shown = JSON.stringify(bad);
      assert.equal(bad.name, "HoldfastError", shown);
      if (code) assert.equal(bad.code, code, shown);
      if (kind) assert.equal(bad.kind, kind, shown);
      if (reason) assert.equal(bad.reason, reason, shown);
      assert.equal(bad.waiting, "queued", shown);
      assert.deepEqual(bad.document, { table: 7 }, shown);
      backend.spoil = undefined;
      const good = await page.evaluate(async () => {
        sync.authenticated();
        const drained = await sync.drain({ signal: AbortSignal.timeout(20_000) });
        return {
          drained,
          audit: await sync.audit(),
          outbox: await sync.outbox.list(),
          events: globalThis.events,
        };
      });
      assert.equal(good.drained.applied, 1, JSON.stringify(good));
      assert.ok(good.audit.balanced);
      assert.deepEqual(good.outbox, []);
      assert.equal(backend.effects, 1);
      assert.equal(
        good.events.some(([event]) => event === "auth-required"),
        name === "401",
      );
    });
  });
}

// A16, P21.
test("413 for one operation alone is its refusal: it is parked with its content, and edit sends it again", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    backend.spoil = ({ url }) => (url.endsWith("/push") ? problem(413, "too-large") : undefined);
    await page.evaluate(open);
    const parked = await page.evaluate(async () => {
      const receipt = await orders.create({ table: 7 }, { id: "order-1" });
      const verdict = await receipt.synced;
      return { verdict, entries: await sync.outbox.list({ state: "parked" }) };
    });
    assert.equal(parked.verdict.kind, "rejected", JSON.stringify(parked));
    assert.deepEqual(parked.entries[0].snapshot, { table: 7 });
    backend.spoil = undefined;
    const applied = await page.evaluate(async () => {
      const [entry] = await sync.outbox.list({ state: "parked" });
      const receipt = await sync.outbox.edit(entry.opId, { table: 8 });
      return [receipt.id, await receipt.synced];
    });
    assert.deepEqual(applied, ["order-1", { kind: "applied", version: "1" }]);
    assert.deepEqual(backend.records.get("orders/order-1"), { version: 1, document: { table: 8 } });
  });
});

// A1, P6.
test("an answer that is lost after the work was done is asked for again, with one effect", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    let lost = 0;
    backend.spoil = ({ url }) => {
      if (!url.endsWith("/push") || lost > 1) return undefined;
      lost += 1;
      return Object.assign((response) => response.destroy(), { after: true });
    };
    await page.evaluate(open);
    const verdict = await page.evaluate(
      async () => (await orders.create({ table: 7 }, { id: "order-1" })).synced,
    );
    assert.deepEqual(verdict, { kind: "applied", version: "1" });
    assert.equal(lost, 2);
    assert.equal(backend.effects, 1);
  });
});

// P10, P21: told once, with all that it was.
test("a refused sale is told, shown with its reason, and leaves when it is discarded", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open);
    const seen = await page.evaluate(async () => {
      const receipt = await orders.create({ table: 13 }, { id: "order-1" });
      const verdict = await receipt.synced;
      const [entry] = await sync.outbox.list();
      const again = await orders.create({ table: 1 }, { id: "order-2" });
      await again.synced;
      const { outbox } = sync.status.getSnapshot();
      const discarded = await sync.outbox.discard(entry.opId);
      return {
        verdict,
        entry,
        outbox,
        discarded: discarded.map((one) => one.opId),
        after: [
          await sync.outcome(receipt.opId),
          (await sync.outbox.list()).length,
          await orders.get("order-1"),
        ],
        events: globalThis.events,
      };
    });
    assert.deepEqual(seen.verdict, {
      kind: "rejected",
      code: "validation",
      message: "no such table",
    });
    assert.deepEqual(seen.entry.snapshot, { table: 13 });
    assert.equal(seen.outbox.parked, 1, "it did not hold up the next one");
    assert.deepEqual(seen.discarded, [seen.entry.opId]);
    assert.deepEqual(seen.after, [{ kind: "discarded" }, 0, undefined]);
    assert.deepEqual(
      seen.events.map(([name, entry]) => [name, entry.why]),
      [["parked", "rejected"]],
    );
  });
});

// A14, P17, P19.
test("a conflict is shown with all sides; a decision on what has changed meanwhile is asked again", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open);
    await page.evaluate(async () => {
      await (await orders.create({ table: 1, note: "a" }, { id: "order-1" })).synced;
      await sync.sync();
      sync.pause();
      await orders.patch("order-1", { table: 2 });
    });
    backend.write("orders", "order-1", { table: 3, note: "b" });
    const found = await page.evaluate(async () => {
      sync.resume();
      await sync.drain();
      const [conflict] = await sync.conflicts.list();
      return {
        conflict,
        view: await orders.get("order-1"),
        status: sync.status.getSnapshot().conflicts,
      };
    });
    const { conflict } = found;
    assert.deepEqual(
      [conflict.kind, conflict.entityId, conflict.fields],
      ["update-update", "order-1", ["table"]],
    );
    assert.deepEqual([conflict.mine.table, conflict.theirs], [2, { table: 3, note: "b" }]);
    assert.deepEqual(
      [found.view.meta.state, found.view.document.table, found.status],
      ["conflict", 2, 1],
    );
    backend.write("orders", "order-1", { table: 4, note: "b" });
    const settled = await page.evaluate(async (id) => {
      await sync.sync();
      const first = await sync.conflicts.resolve(id, { keep: "mine" });
      await orders.patch("order-1", { note: "c" });
      const edited = await sync.conflicts.resolve(id, { keep: "theirs" });
      const second = await sync.conflicts.resolve(id, { fields: { table: "mine" } });
      const third = await sync.conflicts.resolve(id, { keep: "mine" }).catch((error) => error.code);
      await sync.drain();
      return {
        first,
        edited,
        second,
        third,
        open: await sync.conflicts.list(),
        all: await sync.conflicts.list({ resolved: true }),
      };
    }, conflict.id);
    assert.equal(settled.first.kind, "moved", JSON.stringify(settled.first));
    assert.equal(settled.first.conflict.theirs.table, 4);
    assert.equal(settled.edited.kind, "moved", "an edit that nobody was shown is not given up");
    assert.deepEqual(settled.edited.conflict.mine, { table: 2, note: "c" });
    assert.deepEqual([settled.second, settled.third], [{ kind: "resolved" }, "already-resolved"]);
    assert.equal(settled.open.length, 0);
    assert.equal(settled.all[0].resolved.by, "person");
    assert.deepEqual(backend.records.get("orders/order-1").document, { table: 2, note: "b" });
  });
});

// R1, R4, P18: both tills sold, one paid, and nobody is asked.
test("a counter and a status that goes forward settle themselves", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(async () => {
      const { SyncManager, monotonic, standard } = await import("/pkg/index.js");
      globalThis.sync = await SyncManager.open({
        name: "till",
        remote: standard({ baseUrl: "/api", timeout: 1000 }),
        collections: {
          orders: {
            conflicts: { updateUpdate: "server-wins", updateDelete: "client-wins" },
            fields: { left: "counter", status: monotonic(["open", "paid", "served"]), tags: "set" },
          },
        },
      });
      globalThis.orders = sync.collection("orders");
      const first = { left: 5, status: "open", tags: ["a"], note: "" };
      await (await orders.create(first, { id: "order-1" })).synced;
      await sync.sync();
      sync.pause();
      await orders.patch("order-1", { left: 4, status: "served", tags: ["a", "b"] });
      await orders.patch("order-1", { left: 3, note: "ours" });
    });
    backend.write("orders", "order-1", { left: 9, status: "paid", tags: ["z"], note: "theirs" });
    const end = await page.evaluate(async () => {
      sync.resume();
      await sync.drain();
      return {
        document: (await orders.get("order-1"))?.document,
        open: await sync.conflicts.list(),
        kept: await sync.conflicts.list({ resolved: true }),
      };
    });
    const settled = { left: 7, status: "served", tags: ["z", "b"], note: "theirs" };
    assert.deepEqual(end.document, settled);
    assert.deepEqual(backend.records.get("orders/order-1").document, settled);
    assert.equal(end.open.length, 0);
    assert.deepEqual(
      end.kept.map(({ resolved, mine, fields }) => [
        resolved.by,
        resolved.choice,
        mine.note,
        fields,
      ]),
      [["policy", "fields", "ours", ["note"]]],
    );
  });
});

// R20.
test("the last write cannot win where nobody knows when it was", async (t) => {
  const server = await serve(t, { answer: standardServer().answer });
  await withPage(chrome, server, async (page) => {
    const refused = await page.evaluate(async () => {
      const { SyncManager, defineRemote } = await import("/pkg/index.js");
      const open = (times, rules) =>
        SyncManager.open({
          name: `till-${times}`,
          remote: defineRemote({
            capabilities: { times },
            push: async () => ({ outcomes: [] }),
            pull: async () => ({ changes: [], cursor: 0, more: false }),
          }),
          collections: { orders: rules },
        }).then(
          (sync) => sync.close(),
          ({ code, path }) => [code, path],
        );
      return [
        await open(false, { conflicts: "last-write-wins" }),
        await open(false, { fields: { note: "lww" } }),
        await open(true, { conflicts: "last-write-wins" }),
      ];
    });
    assert.deepEqual(refused, [
      ["invalid-options", "collections.orders.conflicts"],
      ["invalid-options", "collections.orders.fields.note"],
      undefined,
    ]);
  });
});

// P32.
test("the token is asked for, and asked for again when it is refused", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    backend.spoil = ({ headers }) =>
      headers.authorization === "Bearer new" ? undefined : problem(401, "unauthorized");
    const reasons = await page.evaluate(async () => {
      const { SyncManager, standard } = await import("/pkg/index.js");
      const reasons = [];
      const sync = await SyncManager.open({
        name: "till",
        remote: standard({ baseUrl: "/api" }),
        getToken: ({ reason, signal }) => {
          reasons.push([reason, signal instanceof AbortSignal]);
          return reason === "refused" ? "new" : "old";
        },
        collections: { orders: {} },
      });
      await (await sync.collection("orders").create({ table: 1 })).synced;
      return reasons.slice(0, 2);
    });
    assert.deepEqual(reasons, [
      ["initial", true],
      ["refused", true],
    ]);
    assert.equal(backend.effects, 1);
  });
});

// P22, P24.
test("two tabs: every tab writes, one sends, both know", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page, _log, context) => {
    const other = await context.newPage();
    await other.goto(`${server.origin}/`);
    await page.evaluate(open);
    await other.evaluate(open);
    await other.evaluate(() => {
      globalThis.list = orders.live();
      globalThis.list.subscribe(() => {});
    });
    const verdicts = await Promise.all(
      [page, other].map((tab, n) =>
        tab.evaluate(
          async (id) => (await (await orders.create({ table: 1 }, { id })).synced).kind,
          `order-${n}`,
        ),
      ),
    );
    assert.deepEqual(verdicts, ["applied", "applied"]);
    await other.waitForFunction(() => globalThis.list.getSnapshot().items?.length === 2);
    const leaders = await Promise.all(
      [page, other].map((tab) => tab.evaluate(() => sync.status.getSnapshot().leader)),
    );
    assert.deepEqual(leaders.sort(), [false, true]);
    assert.equal((await other.evaluate(() => sync.sync())).halted, undefined);
    assert.equal(backend.effects, 2);
  });
});

test("an application's own remote: verdicts, failures and pages in plain objects", async (t) => {
  const server = await serve(t);
  await withPage(chrome, server, async (page) => {
    const seen = await page.evaluate(async () => {
      const { SyncManager, defineRemote } = await import("/pkg/index.js");
      const batches = [];
      const pulls = [];
      const outcome = new Map();
      let failing = true;
      let changes = [];
      const sync = await SyncManager.open({
        name: "custom",
        getToken: ({ reason }) => `token-${reason}`,
        remote: defineRemote({
          capabilities: { versions: true },
          async push(batch, { token, signal }) {
            batches.push({ batch, token, signal: signal instanceof AbortSignal });
            if (failing) throw { halt: "later", after: 0 };
            return {
              outcomes: batch.operations.map(({ opId, id, kind, document }) => ({
                opId,
                ...(outcome.get(id) ?? {
                  kind: "applied",
                  version: kind === "create" ? 1 : 2,
                  document,
                }),
              })),
            };
          },
          async pull({ scope, cursor, limit }) {
            pulls.push({ scope, cursor, limit });
            const page = { changes, cursor: { at: pulls.length }, more: false };
            changes = [];
            return page;
          },
        }),
        collections: { orders: { conflicts: "manual" } },
      });
      const orders = sync.collection("orders");
      const first = await orders.create({ table: 1, a: { b: 1 } }, { id: "one" });
      await sync.sync().catch(() => {});
      failing = false;
      const applied = await first.synced;
      const changed = await orders.patch("one", { table: 2, a: { b: null } });
      await changed.synced;
      outcome.set("two", { kind: "rejected", code: "validation", message: "no" });
      const rejected = await (await orders.create({}, { id: "two" })).synced;
      changes = [
        { collection: "orders", id: "three", version: 1, document: { table: 3 } },
        { collection: "orders", id: "bad", version: 1, document: [] },
      ];
      await sync.sync();
      outcome.set("three", { kind: "conflict", version: 5, document: null });
      const conflict = await (await orders.patch("three", { table: 4 })).synced;
      const [open] = await sync.conflicts.list();
      const audit = await sync.audit();
      const three = (await orders.get("three"))?.document;
      await sync.close();
      return { batches, pulls, applied, rejected, conflict, open, audit, three };
    });
    assert.deepEqual(seen.applied, { kind: "applied", version: "1" });
    const [first] = seen.batches;
    assert.deepEqual([first.token, first.signal], ["token-initial", true]);
    const [create] = first.batch.operations;
    assert.deepEqual(
      [
        create.collection,
        create.id,
        create.kind,
        create.document,
        create.assumedVersion,
        create.sends,
      ],
      ["orders", "one", "create", { table: 1, a: { b: 1 } }, null, 1],
    );
    assert.match(first.batch.deviceId, /^[0-9a-f-]{36}$/);
    const change = seen.batches
      .flatMap(({ batch }) => batch.operations)
      .find(({ kind }) => kind === "change");
    assert.deepEqual([change.patch, change.assumedVersion], [{ table: 2, a: { b: null } }, 1]);
    assert.deepEqual(change.edits, [{ set: ["table"], value: 2 }, { remove: ["a", "b"] }]);
    assert.deepEqual(seen.rejected, { kind: "rejected", code: "validation", message: "no" });
    assert.deepEqual(seen.pulls[0], { scope: "all", cursor: null, limit: 1000 });
    assert.deepEqual(seen.pulls[1].cursor, { at: 1 });
    assert.equal(seen.conflict.kind, "conflict");
    assert.deepEqual(
      [seen.open.kind, seen.open.theirs, seen.three],
      ["update-delete", null, { table: 4 }],
    );
    assert.ok(seen.audit.balanced);
  });
});

// P26.
test("listeners may call back into the manager, and close it", async (t) => {
  const backend = standardServer();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page, log) => {
    await page.evaluate(open);
    const seen = await page.evaluate(async () => {
      let writes = 0;
      let looks = 0;
      sync.status.subscribe(() => {
        // Pausing changes the status itself: without an end this would be the listener's own endless loop.
        if (looks++ > 10) return;
        sync.pause();
        sync.resume();
        sync.poke();
        sync.status.getSnapshot();
      });
      sync.on("change", () => {
        if (writes < 5) void orders.create({ table: writes++ });
        void orders.list();
        void sync.outbox.list();
      });
      sync.on("progress", () => void sync.audit());
      sync.on("cycle", () => looks++ < 20 && void sync.sync().catch(() => {}));
      await orders.create({ table: 1 }, { id: "first" });
      while ((await sync.audit()).applied < 6)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await sync.drain();
      const audit = await sync.audit();
      const closed = new Promise((resolve) => {
        sync.on("change", () => void sync.close().then(resolve));
      });
      const last = await orders.create({ table: 9 }).catch((error) => error.code);
      await closed;
      const after = await orders.list().catch((error) => error.code);
      return { audit, last, after, events: globalThis.events };
    });
    assert.deepEqual([seen.audit.applied, seen.audit.balanced], [6, true]);
    assert.ok(seen.last === "closed" || typeof seen.last === "object", JSON.stringify(seen.last));
    assert.equal(seen.after, "closed");
    assert.deepEqual(seen.events, []);
    assert.deepEqual(
      log.filter((line) => !/Failed to load/.test(line)),
      [],
    );
    await page.evaluate(open);
    const count = await page.evaluate(async () => (await orders.list()).items.length);
    assert.equal(count, 7, "what was written before the end is there after it");
  });
});
