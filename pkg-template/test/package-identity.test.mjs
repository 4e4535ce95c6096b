// A backend that gives records ids of its own: the application keeps the ids that it knows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** A backend of an application: two functions behind HTTP, ids of its own, each operation at most once. */
function numbering() {
  const rows = new Map();
  const done = new Map();
  const log = [];
  const sent = [];
  const work = {
    push({ operations }) {
      return {
        outcomes: operations.map((operation) => {
          const { opId, collection, kind, document, patch } = operation;
          if (done.has(opId)) return done.get(opId);
          sent.push(operation);
          const id =
            kind === "create" ? `${collection[0].toUpperCase()}-${log.length}` : operation.id;
          const row = rows.get(id) ?? { collection, id, version: 0 };
          row.version += 1;
          row.document = kind === "change" ? { ...row.document, ...patch } : document;
          rows.set(id, row);
          log.push(id);
          const verdict = { opId, kind: "applied", version: row.version, serverId: id };
          done.set(opId, verdict);
          return verdict;
        }),
      };
    },
    pull({ cursor }) {
      const ids = new Set(log.slice(cursor ?? 0));
      return { changes: [...ids].map((id) => rows.get(id)), cursor: log.length, more: false };
    },
  };
  const answer = ({ url }, text) => {
    const name = url.slice("/own/".length);
    return url.startsWith("/own/") ? { body: work[name](JSON.parse(text)) } : undefined;
  };
  return { rows, sent, answer };
}

/** In the page: opens the manager. */
const open = async () => {
  const { SyncManager, defineRemote } = await import("/pkg/index.js");
  const post = async (name, body) =>
    (await fetch(`/own/${name}`, { method: "POST", body: JSON.stringify(body) })).json();
  globalThis.sync = await SyncManager.open({
    name: "till",
    remote: defineRemote({
      capabilities: { versions: true },
      push: (batch) => post("push", batch),
      pull: (request) => post("pull", request),
    }),
    collections: { customers: {}, orders: { references: { customerId: "customers" } } },
  });
  globalThis.orders = sync.collection("orders");
  globalThis.customers = sync.collection("customers");
};

/** In the page: the two records, by the application's ids and by the server's. */
const look = async () => {
  const shown = async (records, id) => {
    const entity = await records.get(id);
    return entity && [entity.id, entity.meta.serverId, entity.document];
  };
  const byOwn = [await shown(customers, "ada"), await shown(orders, "sale")];
  const byServers = [await shown(customers, byOwn[0][1]), await shown(orders, byOwn[1][1])];
  const listed = [...(await customers.list()).items, ...(await orders.list()).items];
  return { byOwn, byServers, listed: listed.map(({ id }) => id) };
};

// R16.
test("records made offline get the server's ids, and are read by either after a restart, too", async (t) => {
  const backend = numbering();
  const server = await serve(t, { answer: backend.answer });
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open);
    const verdicts = await page.evaluate(async () => {
      sync.pause();
      const customer = await customers.create({ name: "Ada" }, { id: "ada" });
      const order = await orders.create({ table: 7, customerId: "ada" }, { id: "sale" });
      sync.resume();
      await sync.drain();
      return [await customer.synced, await order.synced];
    });
    assert.deepEqual(
      verdicts.map(({ kind, serverId }) => [kind, serverId]),
      [
        ["applied", "C-0"],
        ["applied", "O-1"],
      ],
    );
    assert.deepEqual(backend.rows.get("O-1").document, { table: 7, customerId: "C-0" });
    const both = [
      ["ada", "C-0", { name: "Ada" }],
      ["sale", "O-1", { table: 7, customerId: "ada" }],
    ];
    const expected = { byOwn: both, byServers: both, listed: ["ada", "sale"] };
    assert.deepEqual(await page.evaluate(look), expected);

    await page.reload();
    await page.evaluate(open);
    assert.deepEqual(await page.evaluate(look), expected);
    const changed = await page.evaluate(async () => {
      const receipt = await orders.patch("O-1", { table: 8, customerId: "C-0" });
      const verdict = await receipt.synced;
      await sync.sync();
      return { id: receipt.id, kind: verdict.kind, audit: await sync.audit() };
    });
    assert.deepEqual([changed.id, changed.kind, changed.audit.balanced], ["sale", "applied", true]);
    assert.equal(backend.sent.at(-1).id, "O-1");
    assert.deepEqual(backend.rows.get("O-1").document, { table: 8, customerId: "C-0" });
    both[1][2].table = 8;
    assert.deepEqual(await page.evaluate(look), expected);
  });
});
