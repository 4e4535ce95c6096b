import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";
import { scriptedServer } from "./scripted-server.mjs";

/** In every page: `open` a manager and keep it, `until` its status is so, `rest` until there is nothing more to do. */
function tools() {
  globalThis.open = async (more = {}) => {
    const { SyncManager, standard } = await import("/pkg/index.js");
    const sync = await SyncManager.open({
      name: "till",
      remote: standard({ baseUrl: "/api", timeout: 20_000 }),
      collections: {
        orders: { conflicts: "manual" },
        notes: { conflicts: "merge" },
        menu: { conflicts: "server-wins" },
        customers: { conflicts: "manual" },
        visits: { conflicts: "manual", references: { customer: "customers" } },
      },
      ...more,
    });
    globalThis.events = [];
    for (const name of ["conflict", "parked", "auth-required", "fatal"]) {
      sync.on(name, (payload) => globalThis.events.push([name, payload]));
    }
    globalThis.cycles = [];
    sync.on("cycle", (report) => globalThis.cycles.push(report));
    Object.assign(globalThis, { sync, orders: sync.collection("orders") });
  };
  globalThis.until = (is) =>
    new Promise((resolve) => {
      let stop;
      const look = () => {
        if (!is(sync.status.getSnapshot())) return;
        stop?.();
        resolve(sync.status.getSnapshot());
      };
      stop = sync.status.subscribe(look);
      look();
    });
  globalThis.tried = () =>
    sync.sync().then(
      (report) => report.halted ?? "done",
      (error) => error.code,
    );
  globalThis.rest = async () => {
    await tried();
    await until(({ kind }) => kind === "synced");
  };
}

/**
 * Gives what declares a test with a scripted server, one page of it, and whatever more it opens in the same browser profile. With
 * `closed` the page opens its manager itself.
 */
export function scenarios() {
  let chrome;
  before(async () => {
    chrome = await browser();
  });
  after(() => chrome?.close());
  return (name, body, { init, closed = false } = {}) => {
    test(name, async (t) => {
      const server = scriptedServer();
      const site = await serve(t, { answer: server.answer, close: true });
      await withPage(
        chrome,
        site,
        async (page, log, context) => {
          const another = async () => {
            const tab = await context.newPage();
            await tab.addInitScript(tools);
            await tab.goto(`${site.origin}/`);
            await tab.evaluate(() => globalThis.open());
            return tab;
          };
          if (!closed) await page.evaluate(() => globalThis.open());
          await body({ server, page, another, context, log });
          const { balanced } = await context
            .pages()
            .at(-1)
            .evaluate(() => sync.audit());
          assert.ok(balanced, "R10");
          for (const { opId } of server.store.log) {
            if (opId) assert.equal(server.effectsOf(opId), 1, "P6");
          }
        },
        { init: [tools, init] },
      );
    });
  };
}

/** In the page: an order that the server has. */
export const known = async (id) => {
  await (await orders.create({ table: 7 }, { id })).synced;
  await rest();
};
