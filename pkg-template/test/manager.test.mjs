import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred, load, openFake, rejection, STATUS } from "./fake.mjs";

const { SyncManager, defineRemote, monotonic, standard } = await load("node.js");

/** Runs `body` and returns what it reported to the developer. */
async function reported(body) {
  const seen = [];
  const before = globalThis.reportError;
  globalThis.reportError = (error) => seen.push(error);
  try {
    await body();
  } finally {
    globalThis.reportError = before;
  }
  return seen;
}

test("open hands over complete, plain options", async () => {
  const { calls } = await openFake(
    {},
    {
      user: "u",
      remote: standard({ baseUrl: "http://localhost/api/", timeout: 5, gzip: true }),
      collections: {
        orders: {
          conflicts: { updateUpdate: "manual", deleteUpdate: "client-wins" },
          fields: { status: monotonic(["open", "paid"]), left: "counter", note: undefined },
          references: { customerId: "customers" },
          coalesce: false,
          priority: "high",
        },
        customers: {},
      },
    },
  );
  assert.deepEqual(calls[0][1], {
    name: "test",
    user: "u",
    remote: { baseUrl: "http://localhost/api", timeout: 5, gzip: true, digest: false },
    resolver: false,
    collections: [
      {
        name: "orders",
        conflicts: {
          updateUpdate: "manual",
          updateDelete: "merge",
          deleteUpdate: "client-wins",
          createCreate: "merge",
        },
        fields: [
          { name: "status", rule: "monotonic", steps: ["open", "paid"] },
          { name: "left", rule: "counter" },
        ],
        references: [{ field: "customerId", collection: "customers" }],
        coalesce: false,
        checked: false,
        priority: "high",
        indexes: [],
      },
      {
        name: "customers",
        conflicts: {
          updateUpdate: "merge",
          updateDelete: "merge",
          deleteUpdate: "merge",
          createCreate: "merge",
        },
        fields: [],
        references: [],
        coalesce: true,
        checked: false,
        priority: "normal",
        indexes: [],
      },
    ],
    relaxed: false,
    allowMemory: false,
  });
});

const good = {
  name: "n",
  remote: standard({ baseUrl: "http://h/a" }),
  collections: { orders: {} },
};
const remote = (options) => ({ ...good, remote: standard({ baseUrl: "http://h/a", ...options }) });
const collections = (given) => ({ ...good, collections: given });
const WRONG = [
  ["nothing", undefined, "options"],
  ["no name", { ...good, name: undefined }, "name"],
  ["an empty name", { ...good, name: "" }, "name"],
  ["a long name", { ...good, name: "n".repeat(65) }, "name"],
  ["a number as user", { ...good, user: 7 }, "user"],
  ["no collections", collections({}), "collections"],
  ["a name with a space", collections({ "my orders": {} }), "collections.my orders"],
  [
    "another policy",
    collections({ orders: { conflicts: "mine" } }),
    "collections.orders.conflicts",
  ],
  [
    "another policy of a kind",
    collections({ orders: { conflicts: { updateDelete: "mine" } } }),
    "collections.orders.conflicts.updateDelete",
  ],
  [
    "another kind of conflict",
    collections({ orders: { conflicts: { createDelete: "merge" } } }),
    "collections.orders.conflicts.createDelete",
  ],
  [
    "another rule",
    collections({ orders: { fields: { left: "sum" } } }),
    "collections.orders.fields.left",
  ],
  [
    "a rule without steps",
    collections({ orders: { fields: { status: monotonic([]) } } }),
    "collections.orders.fields.status",
  ],
  [
    "a step that comes twice",
    collections({ orders: { fields: { status: monotonic(["a", "b", "a"]) } } }),
    "collections.orders.fields.status",
  ],
  ["fields that are none", collections({ orders: { fields: 7 } }), "collections.orders.fields"],
  ["another priority", collections({ orders: { priority: 1 } }), "collections.orders.priority"],
  [
    "a reference to nothing",
    collections({ orders: { references: { c: "x" } } }),
    "collections.orders.references.c",
  ],
  ["a schema that is none", collections({ orders: { schema: {} } }), "collections.orders.schema"],
  ["another durability", { ...good, durability: "none" }, "durability"],
  ["a token for getToken", { ...good, getToken: "secret" }, "getToken"],
  ["a key for signRequest", { ...good, signRequest: "secret" }, "signRequest"],
  ["a word for onConflict", { ...good, onConflict: "defer" }, "onConflict"],
  ["no remote", { ...good, remote: undefined }, "remote"],
  ["half a remote", { ...good, remote: { kind: "custom", push() {} } }, "remote"],
  ["no address", remote({ baseUrl: undefined }), "remote.baseUrl"],
  ["a relative address without a page", remote({ baseUrl: "/api" }), "remote.baseUrl"],
  ["another protocol", remote({ baseUrl: "file:///x" }), "remote.baseUrl"],
  ["a password in the address", remote({ baseUrl: "http://u:secret@h/a" }), "remote.baseUrl"],
  ["a question in the address", remote({ baseUrl: "http://h/a?key=secret" }), "remote.baseUrl"],
  ["a negative timeout", remote({ timeout: -1 }), "remote.timeout"],
];
for (const [name, options, path] of WRONG) {
  test(`open refuses ${name}`, async () => {
    const error = await rejection(SyncManager.open(options));
    assert.equal(error.code, "invalid-options", error.message);
    assert.equal(error.path, path);
    assert.ok(!error.message.includes("secret"));
  });
}

test("a write crosses as text and resolves with its receipt", async () => {
  const { sync, calls } = await openFake({
    outcome: async () => '{"kind":"applied","version":"1"}',
  });
  const orders = sync.collection("orders");
  const receipt = await orders.create(
    { table: 7, note: undefined },
    { id: "order-1", priority: "high" },
  );
  assert.deepEqual(calls.at(-1), ["create", "orders", "order-1", '{"table":7}', "high"]);
  assert.deepEqual([receipt.id, receipt.opId], ["order-1", "op-1"]);
  await orders.patch("order-1", { note: null });
  assert.deepEqual(calls.at(-1), ["patch", "orders", "order-1", '{"note":null}', undefined]);
  await orders.replace("order-1", { table: null });
  assert.deepEqual(calls.at(-1), ["replace", "orders", "order-1", '{"table":null}', undefined]);
  await orders.remove("order-1", { priority: "low" });
  assert.deepEqual(calls.at(-1), ["remove", "orders", "order-1", "low"]);
  assert.ok(
    !calls.some(([name]) => name === "outcome"),
    "the verdict is asked for only when somebody looks",
  );
  assert.deepEqual(await receipt.synced, { kind: "applied", version: "1" });
  assert.equal(receipt.synced, receipt.synced);
  assert.equal(calls.filter(([name]) => name === "outcome").length, 1);
});

test("a verdict that nobody waits for rejects quietly", async () => {
  const { sync } = await openFake({
    outcome: async () => Promise.reject('{"code":"storage-lost","message":"m"}'),
  });
  const unhandled = [];
  const listen = (error) => unhandled.push(error);
  process.on("unhandledRejection", listen);
  const receipt = await sync.collection("orders").create({});
  void receipt.synced;
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  process.off("unhandledRejection", listen);
  assert.deepEqual(unhandled, []);
  assert.equal((await rejection(receipt.synced)).code, "storage-lost");
});

test("the document is taken as it is at the call", async () => {
  const { sync, calls } = await openFake();
  const document = { lines: [1] };
  const writing = sync.collection("orders").create(document);
  document.lines.push(2);
  await writing;
  assert.equal(calls.at(-1)[3], '{"lines":[1]}');
});

// P35.
test("what is no JSON never reaches the core", async () => {
  const { sync, calls } = await openFake();
  const orders = sync.collection("orders");
  for (const write of [
    () => orders.create({ at: new Date() }),
    () => orders.patch("a", { n: [undefined] }),
    () => orders.replace("a", []),
    () => orders.create({}, { id: 7 }),
    () => orders.create({}, { id: "" }),
    () => orders.create({}, { id: "x".repeat(129) }),
    () => orders.create({}, { id: "a\ud800" }),
    () => orders.patch(7, {}),
    () => orders.replace(undefined, {}),
    () => orders.remove({ id: "a" }),
    () => orders.get(null),
    () => orders.list({ limit: 0 }),
    () => sync.outbox.list({ state: "none" }),
    () => sync.outbox.retry(5),
    () => sync.conflicts.resolve("c", { keep: "both" }),
    () => sync.conflicts.resolve("c", { fields: { a: "his" } }),
    () => sync.conflicts.resolve("c", undefined),
    () => sync.conflicts.resolve("c", { fields: null }),
    () => sync.conflicts.restore(""),
    () => sync.conflicts.resolve("c", { merged: { at: new Date() } }),
    () => sync.outcome(undefined),
  ]) {
    assert.equal((await rejection(write())).code, "invalid-value", write.toString());
  }
  assert.deepEqual(
    calls.map(([name]) => name),
    ["open", "status"],
  );
});

test("an unknown collection throws, also one that every object has", async () => {
  const { sync } = await openFake();
  for (const name of ["sales", "constructor", "__proto__", undefined]) {
    assert.throws(() => sync.collection(name), { code: "unknown-collection" });
  }
});

test("an error of the core arrives typed", async () => {
  const { sync } = await openFake({
    create: async () => Promise.reject('{"code":"exists","message":"there is one","opId":"op-9"}'),
  });
  const error = await rejection(sync.collection("orders").create({}, { id: "a" }));
  assert.deepEqual([error.code, error.opId, error.retryable], ["exists", "op-9", false]);
});

// P26.
test("after close every call rejects, and what waits ends", async () => {
  const { sync, calls } = await openFake({
    outcome: () => deferred().promise,
    drain: () => deferred().promise,
  });
  const waiting = [rejection(sync.drain()), rejection(sync.outcome("op-1"))];
  await sync.close();
  await sync.close();
  for (const error of await Promise.all(waiting)) assert.equal(error.code, "closed");
  assert.equal(calls.filter(([name]) => name === "close").length, 1);
  const before = calls.length;
  for (const call of [
    () => sync.collection("orders").create({}),
    () => sync.collection("orders").get("a"),
    () => sync.sync(),
    () => sync.audit(),
    () => sync.outbox.list(),
    () => sync.conflicts.list(),
    () => sync.conflicts.restore("c"),
  ]) {
    assert.equal((await rejection(call())).code, "closed");
  }
  sync.pause();
  sync.poke();
  assert.equal(calls.length, before);
});

test("await using closes", async () => {
  const { sync, calls } = await openFake();
  if (Symbol.asyncDispose === undefined) return assert.ok(typeof sync.close === "function");
  await sync[Symbol.asyncDispose]();
  assert.equal(calls.at(-1)[0], "close");
});

test("a call that was given up does not start", async () => {
  const { sync, calls } = await openFake();
  const signal = AbortSignal.abort();
  for (const call of [
    () => sync.sync({ signal }),
    () => sync.drain({ signal }),
    () => sync.outcome("op", { signal }),
    () => sync.collection("orders").create({}, { signal }),
    () => sync.collection("orders").list({ signal }),
    () => sync.outbox.discard("op", { signal }),
    () => sync.conflicts.list({ signal }),
  ]) {
    assert.equal((await rejection(call())).code, "aborted");
  }
  assert.equal(calls.length, 2);
});

test("opening that was given up is closed when it succeeds after all", async () => {
  const opening = deferred();
  const closed = deferred();
  globalThis.openFake = () => opening.promise;
  const controller = new AbortController();
  const error = rejection(SyncManager.open({ ...good, signal: controller.signal }));
  controller.abort();
  assert.equal((await error).code, "aborted");
  opening.resolve({ status: () => STATUS, close: async () => closed.resolve() });
  await closed.promise;
});

// P37.
test("a snapshot of the status is the same object until it changes", async () => {
  const { sync, emit } = await openFake();
  const { subscribe, getSnapshot } = sync.status;
  const first = getSnapshot();
  assert.equal(getSnapshot(), first);
  const seen = [];
  const stop = subscribe((status) => seen.push(status));
  const next = { ...STATUS, kind: "pending" };
  emit("status", next);
  assert.equal(getSnapshot(), next);
  stop();
  stop();
  emit("status", STATUS);
  assert.deepEqual(seen, [next]);
});

// P26.
test("a listener that throws is reported once and disturbs nobody", async () => {
  const { sync, emit } = await openFake();
  const heard = [];
  const broken = new Error("listener");
  sync.on("cycle", () => {
    throw broken;
  });
  sync.on("cycle", (report) => heard.push(report));
  sync.status.subscribe(() => {
    throw broken;
  });
  const seen = await reported(() => {
    emit("cycle", '{"applied":1}');
    emit("status", STATUS);
  });
  assert.deepEqual(seen, [broken, broken]);
  assert.deepEqual(heard, [{ applied: 1 }]);
});

test("a listener may leave while it is called, and the same one may come twice", async () => {
  const { sync, emit } = await openFake();
  const heard = [];
  const listener = () => heard.push("twice");
  const first = sync.on("cycle", () => stop());
  const stop = sync.on("cycle", () => heard.push("gone"));
  sync.on("cycle", listener);
  sync.on("cycle", listener);
  emit("cycle", "{}");
  first();
  assert.deepEqual(heard, ["twice", "twice"]);
  assert.throws(() => sync.on("progres", () => {}), { code: "invalid-options" });
});

test("progress goes to the caller of sync while it runs", async () => {
  const cycle = deferred();
  const { sync, emit } = await openFake({ sync: () => cycle.promise });
  const seen = [];
  const running = sync.sync({ onProgress: (progress) => seen.push(progress.done) });
  emit("progress", '{"phase":"push","done":1}');
  cycle.resolve('{"applied":1}');
  assert.deepEqual(await running, { applied: 1 });
  emit("progress", '{"phase":"push","done":2}');
  assert.deepEqual(seen, [1]);
});

// P26: status `crashed`.
test("a panic is one fatal event, ends what waits, and later calls say crashed", async () => {
  const { sync, calls } = await openFake({ drain: () => deferred().promise });
  const fatal = [];
  sync.on("fatal", (error) => fatal.push(error.code));
  const waiting = rejection(sync.drain());
  globalThis.fakePanic("index out of bounds");
  globalThis.fakePanic("again");
  assert.equal((await waiting).code, "crashed");
  assert.deepEqual(fatal, ["crashed"]);
  assert.equal(sync.status.getSnapshot().kind, "crashed");
  assert.equal((await rejection(sync.collection("orders").create({}))).code, "crashed");
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(calls.filter(([name]) => name === "close").length, 1, "it lets go of the lead");
  await sync.close();
  assert.equal(calls.filter(([name]) => name === "close").length, 1);
  const { sync: again } = await openFake();
  assert.equal(await again.collection("orders").get("a"), undefined, "opening again works");
});

test("a trap without a panic reads as crashed too", async () => {
  const { sync } = await openFake({
    audit: () => {
      throw new WebAssembly.RuntimeError("unreachable");
    },
  });
  const fatal = [];
  sync.on("fatal", (error) => fatal.push(error.code));
  assert.equal((await rejection(sync.audit())).code, "crashed");
  assert.deepEqual(fatal, ["crashed"]);
});

test("events that come while open still runs are not lost", async () => {
  globalThis.openFake = async (_, callbacks) => {
    callbacks.emit("status", { ...STATUS, kind: "offline" });
    return { status: () => STATUS, close: async () => {} };
  };
  const sync = await SyncManager.open(good);
  assert.equal(sync.status.getSnapshot().kind, "offline");
});

test("a custom remote speaks objects, its failures are words", async () => {
  const { signal } = new AbortController();
  const seen = [];
  let token = async ({ reason }) => `t-${reason}`;
  let answer = () => ({ outcomes: [{ opId: "o", kind: "applied" }] });
  const { callbacks, calls } = await openFake(
    {},
    {
      getToken: (request) => token(request),
      remote: defineRemote({
        capabilities: { groups: true },
        push: async (...args) => {
          seen.push(args);
          return answer();
        },
        pull: async () => ({ changes: [], cursor: "c", more: false }),
      }),
    },
  );
  assert.deepEqual(calls[0][1].remote, {
    groups: true,
    wholeRecord: false,
    versions: false,
    times: false,
  });
  assert.equal(
    await callbacks.push('{"deviceId":"d"}', "refused", signal),
    '{"outcomes":[{"opId":"o","kind":"applied"}]}',
  );
  assert.deepEqual(seen, [[{ deviceId: "d" }, { token: "t-refused", signal }]]);
  token = () => undefined;
  await callbacks.push("{}", "initial", signal);
  assert.deepEqual(seen[1][1], { signal });
  assert.equal(
    await callbacks.pull("{}", "initial", signal),
    '{"changes":[],"cursor":"c","more":false}',
  );
  token = () => 7;
  const told = await reported(async () =>
    assert.equal(await callbacks.push("{}", "initial", signal), '{"halt":"no-token"}'),
  );
  assert.deepEqual([told.length, seen.length], [1, 2], "P32: nothing is sent");
  token = () => undefined;
  answer = () => {
    throw { halt: "later", after: 3 };
  };
  assert.equal(await callbacks.push("{}", "initial", signal), '{"halt":"later","after":3}');
  const warnings = [];
  const warn = console.warn;
  console.warn = (...args) => warnings.push(args);
  answer = () => {
    throw new TypeError("Failed to fetch");
  };
  assert.equal(await callbacks.push("{}", "initial", signal), '{"halt":"unreachable"}');
  assert.equal(await callbacks.push("{}", "initial", signal), '{"halt":"unreachable"}');
  console.warn = warn;
  assert.equal(warnings.length, 1);
  for (const nonsense of [undefined, 7, [], { outcomes: [{ version: Number.NaN }] }]) {
    answer = () => nonsense;
    const reports = await reported(async () =>
      assert.equal(await callbacks.push("{}", "initial", signal), '{"halt":"protocol"}'),
    );
    assert.equal(reports.length, 1);
  }
});

test("scopes and times cross as they are given, checked", async () => {
  const { calls, sync } = await openFake(
    { scopes: async () => '[{"scope":"building:42","complete":true}]' },
    { scopes: ["building:42"], evictAfter: 5, syncEvery: 7 },
  );
  const { scopes, evictAfter, syncEvery } = calls[0][1];
  assert.deepEqual([scopes, evictAfter, syncEvery], [["building:42"], 5, 7]);
  await sync.scopes.add("building:43");
  assert.deepEqual(calls.at(-1), ["add_scope", "building:43"]);
  assert.equal((await sync.scopes.list())[0].complete, true);
  for (const [given, path] of [
    [{ scopes: "building:42" }, "scopes"],
    [{ scopes: ["ok", ""] }, "scopes[1]"],
    [{ scopes: [7] }, "scopes[0]"],
    [{ evictAfter: 0 }, "evictAfter"],
    [{ syncEvery: 1.5 }, "syncEvery"],
  ]) {
    const error = await rejection(openFake({}, given));
    assert.deepEqual([error.code, error.path], ["invalid-options", path]);
  }
  for (const asked of [
    () => sync.scopes.add(""),
    () => sync.scopes.evict(7),
    () => sync.scopes.warm("x".repeat(129)),
    () => sync.collection("orders").list({ scope: "" }),
  ]) {
    const error = await rejection(asked());
    assert.deepEqual([error.code, error.path], ["invalid-value", "scope"]);
  }
});

test("warm tells of its own scope alone", async () => {
  const going = deferred();
  const { sync, emit, calls } = await openFake(
    { warm_scope: () => going.promise, evict_scope: async () => '{"gone":2,"kept":1}' },
    { scopes: [] },
  );
  const told = [];
  const warming = sync.scopes.warm("a", { onProgress: (progress) => told.push(progress.done) });
  await new Promise((resolve) => setImmediate(resolve));
  for (const [scope, done] of [
    ["a", 1],
    ["b", 2],
    [undefined, 3],
    ["a", 4],
  ])
    emit("progress", JSON.stringify({ phase: "pull", scope, done }));
  going.resolve('{"scope":"a","complete":true}');
  assert.equal((await warming).complete, true);
  emit("progress", JSON.stringify({ phase: "pull", scope: "a", done: 5 }));
  assert.deepEqual(told, [1, 4]);
  assert.deepEqual(await sync.scopes.evict("a"), { gone: 2, kept: 1 });
  assert.deepEqual(calls.at(-1), ["evict_scope", "a"]);
  await sync.collection("orders").list({ scope: "a", limit: 5 });
  assert.deepEqual(calls.at(-1), ["list", "orders", '{"scope":"a","limit":5}']);
});

test("a live list reads when somebody looks, again after a change, once for many", async () => {
  const reads = [];
  const { sync, emit } = await openFake({
    list: () => {
      const read = deferred();
      reads.push(read);
      return read.promise;
    },
  });
  const live = sync.collection("orders").live();
  assert.deepEqual(live.getSnapshot(), { state: "loading" });
  assert.equal(reads.length, 0);
  const seen = [];
  const step = () => new Promise((resolve) => setImmediate(resolve));
  const stop = live.subscribe((list) => seen.push(list));
  await step();
  assert.equal(reads.length, 1);
  const change = (collection) => emit("change", JSON.stringify([{ collection, ids: ["a"] }]));
  for (let n = 0; n < 5; n += 1) change("orders");
  change("customers");
  await step();
  assert.equal(reads.length, 1, "one read at a time");
  reads[0].resolve('{"items":[],"complete":false}');
  await step();
  assert.equal(reads.length, 2, "one more for five changes");
  reads[1].resolve('{"items":[{"id":"a","document":{},"meta":{}}],"complete":true}');
  await step();
  assert.deepEqual(
    seen.map((list) => list.items.length),
    [0, 1],
  );
  assert.equal(live.getSnapshot(), seen[1]);
  change("customers");
  await step();
  assert.equal(reads.length, 2);
  change("orders");
  await step();
  reads[2].reject('{"code":"storage-lost","message":"m"}');
  await step();
  assert.equal(live.getSnapshot().error.code, "storage-lost");
  stop();
  change("orders");
  await step();
  assert.equal(reads.length, 3, "nobody looks any more");
});

const orderSchema = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) =>
      typeof value.table === "number"
        ? { value: { status: "open", ...value } }
        : { issues: [{ message: "a table is needed", path: ["lines", 0, { key: "table" }] }] },
  },
};

test("a schema checks before anything is stored, and fills in", async () => {
  const { sync, calls } = await openFake(
    { get: async () => '{"id":"a","document":{"table":1,"note":"x"},"meta":{}}' },
    { collections: { orders: { schema: orderSchema } } },
  );
  const orders = sync.collection("orders");
  await orders.create({ table: 1 });
  assert.equal(calls.at(-1)[3], '{"status":"open","table":1}');
  for (const write of [
    () => orders.create({}),
    () => orders.replace("a", {}),
    () => orders.patch("a", { table: null }),
    () => orders.patch("a", { table: "x" }),
  ]) {
    const error = await rejection(write());
    assert.deepEqual([error.code, error.path], ["invalid-value", "lines[0].table"]);
  }
  await orders.patch("a", { note: null });
  assert.equal(calls.at(-1)[3], '{"note":null}');
});

test("a schema sees what a person decides, too", async () => {
  const conflict = { id: "c1", collection: "orders" };
  const entry = { opId: "op-7", collection: "orders", why: "rejected", snapshot: { table: 1 } };
  const { sync, calls, callbacks } = await openFake(
    {
      conflicts: async () => JSON.stringify([conflict]),
      outbox: async () => JSON.stringify([entry]),
      resolve: async () => '{"kind":"resolved"}',
      edit: async () => '{"id":"a","opId":"op-8"}',
    },
    {
      collections: { orders: { schema: orderSchema }, customers: {} },
      onConflict: () => ({ merged: { note: "no table" } }),
    },
  );
  await sync.conflicts.resolve("c1", { merged: { table: 2 } });
  assert.deepEqual(calls.at(-1), ["resolve", "c1", '{"merged":{"status":"open","table":2}}']);
  for (const resolution of [{ keep: "mine" }, { merged: null }, { fields: { table: "mine" } }]) {
    await sync.conflicts.resolve("c1", resolution);
    assert.deepEqual(JSON.parse(calls.at(-1)[2]), resolution);
  }
  await sync.outbox.edit("op-7", { note: "x" });
  assert.deepEqual(calls.at(-1), ["edit", "op-7", '{"note":"x"}']);
  const before = calls.filter(([name]) => name === "edit" || name === "resolve").length;
  for (const decide of [
    () => sync.conflicts.resolve("c1", { merged: { note: "x" } }),
    () => sync.outbox.edit("op-7", { table: null }),
  ]) {
    const error = await rejection(decide());
    assert.deepEqual([error.code, error.path], ["invalid-value", "lines[0].table"]);
  }
  assert.equal(
    calls.filter(([name]) => name === "edit" || name === "resolve").length,
    before,
    "nothing that is refused reaches the core",
  );
  const { signal } = new AbortController();
  const seen = await reported(async () =>
    assert.equal(await callbacks.conflict(JSON.stringify(conflict), signal), null),
  );
  assert.equal(seen[0].code, "invalid-value", "a person decides instead");
  // What is not there any more, the core refuses.
  await sync.conflicts.resolve("gone", { merged: { note: "x" } });
  await sync.outbox.edit("gone", { note: "x" });
  assert.equal(calls.at(-1)[1], "gone");
});

test("a schema names what it refuses of a page that was pulled, in one report", async () => {
  const throws = {
    "~standard": { ...orderSchema["~standard"], validate: () => Promise.reject(7) },
  };
  const { calls, callbacks } = await openFake(
    {},
    { collections: { orders: { schema: orderSchema }, odd: { schema: throws }, free: {} } },
  );
  assert.deepEqual(
    calls[0][1].collections.map(({ checked }) => checked),
    [true, true, false],
  );
  const check = (...pulled) => callbacks.check(JSON.stringify(pulled));
  const order = (id, document) => ({ collection: "orders", id, document });
  const none = await reported(async () =>
    assert.equal(await check(order("a", { table: 1 }), order("b", { table: 2 })), "[]"),
  );
  assert.deepEqual(none, []);
  const seen = await reported(async () =>
    assert.equal(
      await check(
        order("a", { table: 1 }),
        order("b", { table: "x" }),
        { collection: "odd", id: "c", document: {} },
        { collection: "free", id: "d", document: {} },
        order("e", {}),
      ),
      "[1,2,4]",
    ),
  );
  assert.deepEqual(
    seen.map(({ code, path }) => [code, path]),
    [["invalid-value", "orders/b/lines[0].table"]],
  );
  const thrown = await reported(async () =>
    assert.equal(await check({ collection: "odd", id: "c", document: {} }), "[0]"),
  );
  assert.deepEqual([thrown[0].path, thrown[0].cause], ["odd/c", 7]);
});

test("with idField the id is in the document, and the same in both places", async () => {
  const { sync, calls } = await openFake({}, { collections: { orders: { idField: "key" } } });
  const orders = sync.collection("orders");
  await orders.create({ table: 1 });
  assert.deepEqual(calls.at(-1).slice(1, 4), ["orders", "new-id", '{"table":1,"key":"new-id"}']);
  await orders.create({ key: "own" });
  assert.deepEqual(calls.at(-1).slice(1, 4), ["orders", "own", '{"key":"own"}']);
  await orders.create({}, { id: "own" });
  assert.deepEqual(calls.at(-1).slice(1, 4), ["orders", "own", '{"key":"own"}']);
  await orders.replace("own", { a: 1 });
  assert.equal(calls.at(-1)[3], '{"a":1,"key":"own"}');
  for (const write of [
    () => orders.create({ key: "a" }, { id: "b" }),
    () => orders.create({ key: 7 }),
    () => orders.replace("b", { key: "a" }),
    () => orders.patch("b", { key: "a" }),
    () => orders.patch("b", { key: null }),
  ]) {
    assert.equal((await rejection(write())).code, "invalid-value");
  }
});

test("resolutions cross as one of three shapes", async () => {
  const { sync, calls } = await openFake({ resolve: async () => '{"kind":"resolved"}' });
  const say = async (resolution) => {
    assert.deepEqual(await sync.conflicts.resolve("c1", resolution), { kind: "resolved" });
    return calls.at(-1)[2];
  };
  assert.equal(await say({ keep: "mine" }), '{"keep":"mine"}');
  assert.equal(await say({ merged: { a: -0 } }), '{"merged":{"a":0}}');
  assert.equal(await say({ merged: null }), '{"merged":null}');
  assert.equal(await say({ fields: { "a.b": "theirs" } }), '{"fields":{"a.b":"theirs"}}');
});

test("what a handler says crosses as a resolution, and everything else as nothing", async () => {
  const conflict = { id: "c1", collection: "orders", mine: { a: 1 }, theirs: null };
  const { signal } = new AbortController();
  const answered = async (onConflict) => {
    const { callbacks, calls } = await openFake({}, { onConflict });
    assert.equal(calls[0][1].resolver, onConflict !== undefined);
    let answer;
    const seen = await reported(async () => {
      answer = await callbacks.conflict(JSON.stringify(conflict), signal);
    });
    return [answer, seen.length];
  };
  assert.deepEqual(await answered(undefined), [null, 0]);
  assert.deepEqual(await answered(() => "defer"), [null, 0]);
  assert.deepEqual(await answered(async () => ({ keep: "theirs" })), ['{"keep":"theirs"}', 0]);
  assert.deepEqual(await answered(() => ({ merged: null })), ['{"merged":null}', 0]);
  assert.deepEqual(await answered((c) => ({ merged: c.mine })), ['{"merged":{"a":1}}', 0]);
  const shown = [];
  await answered((c, context) => {
    shown.push(c, context.signal);
    return { fields: { a: "mine" } };
  });
  assert.deepEqual(shown, [conflict, signal]);
  // Each is told to the developer, once.
  for (const wrong of [
    () => {
      throw new Error("no");
    },
    () => Promise.reject(new Error("no")),
    () => undefined,
    () => "mine",
    () => ({ keep: "both" }),
    () => ({ fields: null }),
    () => ({ merged: { at: new Date() } }),
  ]) {
    assert.deepEqual(await answered(wrong), [null, 1], String(wrong));
  }
});

test("restoring gives a receipt", async () => {
  const { sync, calls } = await openFake({
    restore: async () => '{"id":"o1","opId":"op-9"}',
    outcome: async () => '{"kind":"applied","version":"4"}',
  });
  const receipt = await sync.conflicts.restore("c1");
  assert.deepEqual([receipt.id, receipt.opId, calls.at(-1)], ["o1", "op-9", ["restore", "c1"]]);
  assert.equal((await receipt.synced).kind, "applied");
});
