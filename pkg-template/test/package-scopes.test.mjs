// Selective sync by the package in a browser (R24, R25; P3, P8, P13).
import assert from "node:assert/strict";
import { scenarios } from "./scenario.mjs";
import { steps } from "./scripted-server.mjs";

const scenario = scenarios();

/** Three orders in each of two buildings. */
function fill({ store }) {
  for (let n = 1; n <= 3; n++) {
    for (const building of [41, 42]) store.write("orders", `${building}-${n}`, { building, n });
  }
}

/** In the page. */
const ids = async (scope) => {
  const { items, complete } = await orders.list({ scope });
  return [items.map(({ id }) => id).join(), complete];
};

const ALL_42 = "42-1,42-2,42-3";

scenario(
  "only what was asked for is here, and says whether all of it is",
  async ({ server, page }) => {
    fill(server);
    await page.evaluate(async () => {
      await open({ scopes: ["building:42"] });
      await rest();
    });
    assert.deepEqual(await page.evaluate(ids), [ALL_42, true]);
    assert.deepEqual(await page.evaluate(ids, "building:42"), [ALL_42, true]);
    assert.deepEqual(await page.evaluate(ids, "building:41"), ["", false]);
    assert.ok(server.requests("pull").every(({ scope }) => scope === "building:42"));
    const seen = await page.evaluate(async () => {
      const told = [];
      const info = await sync.scopes.warm("building:41", { onProgress: (p) => told.push(p) });
      return { info, told, list: await sync.scopes.list() };
    });
    const { lastUse, lastPull, ...info } = seen.info;
    assert.deepEqual(info, {
      scope: "building:41",
      complete: true,
      done: 3,
      records: 3,
      bytes: 3 * '{"building":41,"n":1}'.length,
      leaving: false,
    });
    assert.ok(lastUse > 1e12 && lastPull >= lastUse);
    assert.ok(seen.told.length > 0 && seen.told.every((p) => p.scope === "building:41"));
    assert.deepEqual(
      seen.list.map(({ scope }) => scope),
      ["building:41", "building:42"],
    );
  },
  { closed: true },
);

scenario(
  "P3: what is not sent is never evicted, and goes when it is settled",
  async ({ server, page }) => {
    fill(server);
    await page.evaluate(async () => {
      await open({ scopes: ["building:41", "building:42"] });
      await rest();
    });
    server.both(steps.dropBefore);
    const report = await page.evaluate(async () => {
      await orders.patch("42-2", { n: 20 });
      await tried();
      return await sync.scopes.evict("building:42");
    });
    assert.deepEqual(report, { gone: 2, kept: 1 });
    assert.deepEqual(await page.evaluate(ids), ["41-1,41-2,41-3,42-2", true]);
    assert.deepEqual(
      await page.evaluate(async () => (await sync.outbox.list()).map(({ entityId }) => entityId)),
      ["42-2"],
    );
    server.both();
    const asked = server.requests("pull").length;
    const again = await page.evaluate(async () => {
      await rest();
      return await sync.scopes.evict("building:42");
    });
    assert.deepEqual(server.document("orders", "42-2"), { building: 42, n: 20 });
    assert.deepEqual(again, { gone: 1, kept: 0 });
    assert.ok(
      server
        .requests("pull")
        .slice(asked)
        .every(({ scope }) => scope === "building:41"),
    );
    const gone = await page.evaluate(async () => {
      const error = await sync.scopes.evict("building:42").catch((error) => error);
      return [error.code, error.path];
    });
    assert.deepEqual(gone, ["not-found", "scope"]);
  },
  { closed: true },
);

scenario(
  "P13: a download that is killed goes on where it was, and is remembered without being named",
  async ({ server, page, context }) => {
    fill(server);
    server.store.page = 1;
    server.pull.once(steps.answer);
    const held = server.pull.hold();
    await page.evaluate(() => open({ scopes: ["building:42"] }));
    const { cursor } = await held.arrived;
    assert.notEqual(cursor, null, "the first page is stored");
    await page.close();
    held.go(steps.dropBefore);
    const tab = await context.newPage();
    await tab.addInitScript(() => {
      globalThis.again = async () => {
        const { SyncManager, standard } = await import("/pkg/index.js");
        const sync = await SyncManager.open({
          name: "till",
          remote: standard({ baseUrl: "/api" }),
          collections: { orders: { conflicts: "manual" } },
          scopes: [],
        });
        Object.assign(globalThis, { sync, orders: sync.collection("orders") });
        await sync.sync();
      };
    });
    const before = server.requests("pull").length;
    await tab.goto(`${new URL(server.ledger[0].headers.referer).origin}/`);
    await tab.evaluate(() => again());
    assert.equal(server.requests("pull")[before].cursor, cursor);
    assert.deepEqual(await tab.evaluate(ids), [ALL_42, true]);
    assert.equal(await tab.evaluate(async () => (await sync.scopes.list())[0].done), 3);
  },
  { closed: true },
);

scenario(
  "P8: a scope that the server refuses stops no other, and the tab that sends hears of what another wants",
  async ({ server, page, another }) => {
    fill(server);
    await page.evaluate(async () => {
      await open({ scopes: [] });
      await until(({ leader }) => leader);
    });
    server.pull.always(
      steps.where(({ scope }) => scope === "building:41", steps.problem(403, "forbidden")),
    );
    const tab = await another();
    await tab.evaluate(async () => {
      await sync.close();
      await open({ scopes: [] });
      await sync.scopes.add("building:41");
      await sync.scopes.add("building:42");
    });
    await server.seen("pull", 1, ({ scope }) => scope === "building:42");
    await page.evaluate(() => until(({ reason }) => reason === "scope-refused"));
    assert.deepEqual(await tab.evaluate(ids, "building:42"), [ALL_42, true]);
    const refused = await page.evaluate(async () => {
      const [first] = await sync.scopes.list();
      return [first.scope, first.refused, first.complete];
    });
    assert.deepEqual(refused, ["building:41", "forbidden", false]);
    await page.evaluate(async () => {
      await sync.scopes.evict("building:41");
      await rest();
    });
  },
  { closed: true },
);

scenario("without scopes there are none to speak of", async ({ page }) => {
  const codes = await page.evaluate(async () => {
    await rest();
    const code = (asked) =>
      asked.then(
        () => "done",
        (error) => error.code,
      );
    return [
      await code(sync.scopes.add("building:42")),
      await code(sync.scopes.evict("all")),
      await code(sync.scopes.add("")),
      (await sync.scopes.list()).map(({ scope, complete }) => [scope, complete]),
    ];
  });
  assert.deepEqual(codes, ["invalid-options", "invalid-options", "invalid-value", [["all", true]]]);
});
