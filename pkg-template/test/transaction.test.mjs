// Several writes at once: what is recorded, what is refused before anything is stored, what crosses to the core.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openFake, rejection } from "./fake.mjs";

const stored = async (text) =>
  JSON.stringify(JSON.parse(text).map(({ id }, index) => ({ id, opId: `op-${index}` })));

const crossed = (calls) =>
  calls.filter(([name]) => name === "transaction").map(([, it]) => JSON.parse(it));

test("the writes cross in order, and come back as receipts", async () => {
  const { sync, calls } = await openFake({
    transaction: stored,
    outcome: async (opId) => JSON.stringify({ kind: "applied", version: opId }),
  });
  const order = { table: 7 };
  let id;
  const receipts = await sync.transaction((tx) => {
    id = tx.orders.create(order, { priority: "high" });
    tx.orders.patch("o1", { table: null });
    tx.customers.replace("c1", { name: "Ada" });
    tx.customers.remove("c2", { priority: "low" });
    order.table = 8;
  });
  assert.equal(id, "new-id");
  assert.deepEqual(crossed(calls), [
    [
      { collection: "orders", kind: "create", id, priority: "high", content: { table: 7 } },
      { collection: "orders", kind: "patch", id: "o1", content: { table: null } },
      { collection: "customers", kind: "replace", id: "c1", content: { name: "Ada" } },
      { collection: "customers", kind: "remove", id: "c2", priority: "low" },
    ],
  ]);
  assert.deepEqual(
    receipts.map((one) => [one.id, one.opId]),
    [
      ["new-id", "op-0"],
      ["o1", "op-1"],
      ["c1", "op-2"],
      ["c2", "op-3"],
    ],
  );
  assert.deepEqual(await receipts[3].synced, { kind: "applied", version: "op-3" });
});

test("a callback that throws or waits stores nothing", async () => {
  const { sync, calls } = await openFake({ transaction: stored });
  const cause = new Error("no table");
  const thrown = await rejection(
    sync.transaction((tx) => {
      tx.orders.create({});
      throw cause;
    }),
  );
  assert.deepEqual([thrown.code, thrown.cause], ["aborted", cause]);
  const waited = await rejection(
    sync.transaction(async (tx) => {
      tx.orders.create({});
      throw cause;
    }),
  );
  assert.deepEqual([waited.code, waited.path], ["invalid-value", "callback"]);
  const unknown = await rejection(sync.transaction((tx) => tx.tables.create({})));
  assert.equal(unknown.code, "aborted");
  const aborted = await rejection(sync.transaction(() => {}, { signal: AbortSignal.abort() }));
  assert.equal(aborted.code, "aborted");
  let kept;
  assert.deepEqual(
    await sync.transaction((tx) => {
      kept = tx;
    }),
    [],
  );
  assert.throws(() => kept.orders.create({}), { code: "invalid-value", path: "callback" });
  await sync.close();
  assert.equal((await rejection(sync.transaction((tx) => tx.orders.create({})))).code, "closed");
  assert.deepEqual(crossed(calls), []);
});

test("an error says which member it is about", async () => {
  const refusal = JSON.stringify({ code: "exists", message: "there", path: "members/1" });
  const { sync, calls } = await openFake({ transaction: () => Promise.reject(refusal) });
  const of = (write) =>
    rejection(
      sync.transaction((tx) => {
        tx.orders.create({});
        write(tx.orders);
      }),
    );
  for (const [write, path] of [
    [(orders) => orders.create({ lines: [Number.NaN] }), "members/1/lines[0]"],
    [(orders) => orders.create(undefined), "members/1"],
    [(orders) => orders.patch("o1", undefined), "members/1"],
    [(orders) => orders.create({}, { id: "" }), "members/1/id"],
    [(orders) => orders.remove(7), "members/1/id"],
  ]) {
    const error = await of(write);
    assert.deepEqual([error.code, error.path], ["invalid-value", path], String(write));
  }
  assert.deepEqual(crossed(calls), []);
  const error = await of((orders) => orders.create({}));
  assert.deepEqual([error.code, error.path], ["exists", "members/1"]);
});

test("ids within documents are those of the records", async () => {
  const collections = { orders: { idField: "id" }, customers: {} };
  const { sync, calls } = await openFake({ transaction: stored }, { collections });
  await sync.transaction((tx) => {
    tx.orders.create({ table: 1 });
    tx.orders.create({ id: "o1" });
    tx.orders.replace("o2", { table: 2 });
  });
  assert.deepEqual(
    crossed(calls)[0].map(({ id, content }) => [id, content.id]),
    [
      ["new-id", "new-id"],
      ["o1", "o1"],
      ["o2", "o2"],
    ],
  );
  const other = await rejection(sync.transaction((tx) => tx.orders.patch("o1", { id: "o2" })));
  assert.deepEqual([other.code, other.path], ["invalid-value", "members/0/id"]);
});

test("schemas see what the members before made of the record", async () => {
  const seen = [];
  const schema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: async (value) => {
        seen.push(value);
        return value.bad
          ? { issues: [{ message: "bad", path: ["bad"] }] }
          : { value: { ...value, v: 1 } };
      },
    },
  };
  const collections = { orders: { schema }, customers: {} };
  const entity = JSON.stringify({ id: "o9", document: { a: 9 }, meta: {} });
  const door = { transaction: stored, get: async (_, id) => (id === "o9" ? entity : undefined) };
  const { sync, calls } = await openFake(door, { collections });
  await sync.transaction((tx) => {
    tx.orders.create({ a: 1 }, { id: "o1" });
    tx.orders.patch("o1", { b: 2 });
    tx.orders.patch("o9", { b: 3 });
    tx.orders.patch("o8", { b: 4 });
    tx.customers.create({ bad: true });
  });
  assert.deepEqual(seen, [{ a: 1 }, { a: 1, v: 1, b: 2 }, { a: 9, b: 3 }]);
  const members = crossed(calls)[0];
  assert.deepEqual([members[0].content, members[1].content], [{ a: 1, v: 1 }, { b: 2 }]);
  const error = await rejection(
    sync.transaction((tx) => {
      tx.orders.create({});
      tx.orders.patch("o9", { bad: true });
    }),
  );
  assert.deepEqual([error.code, error.path], ["invalid-value", "members/1/bad"]);
  assert.equal(crossed(calls).length, 1);
});
