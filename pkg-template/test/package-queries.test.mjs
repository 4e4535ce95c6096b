// Queries through the package: conditions, orders, pages, sums and live lists, over what is not sent yet, in two tabs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, serve, withPage } from "./browser.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** In the page: opens a till without a server. */
const open = async () => {
  const { SyncManager, standard } = await import("/pkg/index.js");
  globalThis.sync = await SyncManager.open({
    name: "till",
    remote: standard({ baseUrl: "/nowhere" }),
    collections: { orders: { indexes: ["status", "createdAt"] } },
  });
  globalThis.orders = sync.collection("orders");
};

/** In the page: a morning's sales. */
const sell = async () => {
  const hour = 3_600_000;
  const rows = [
    [
      "a",
      "open",
      9.2,
      1750,
      "Ada",
      [
        ["Soup", 2, 900],
        ["Tea", 1, 850],
      ],
    ],
    ["b", "paid", 9.7, 620, "Bo", [["Tea", 1, 620]]],
    [
      "c",
      "paid",
      11.1,
      1010,
      "Ada",
      [
        ["Soup", 1, 450],
        ["Cake", 1, 560],
      ],
    ],
    ["d", "served", 11.9, 30, "Ada", []],
  ];
  await Promise.all(
    rows.map(([id, status, at, total, staff, lines]) =>
      orders.create(
        {
          status,
          createdAt: Math.round(at * hour),
          total,
          guest: { name: staff },
          lines: lines.map(([name, qty, cents]) => ({ name, qty, cents })),
        },
        { id },
      ),
    ),
  );
};

// P11.
test("a till answers questions about what it has not sent yet", async (t) => {
  const server = await serve(t);
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open);
    await page.evaluate(sell);
    const found = await page.evaluate(async () => {
      const ids = async (query) => (await orders.list(query)).items.map(({ id }) => id).join("");
      return [
        await ids({ where: { status: { in: ["paid", "served"] } } }),
        await ids({ where: { createdAt: { gte: 39_000_000 } }, orderBy: "total" }),
        await ids({ where: { "guest.name": "Ada", $not: { status: "open" } } }),
        await ids({ where: { lines: { eq: [] } } }),
        await ids({ orderBy: ["guest.name", { field: "total", direction: "desc" }] }),
        await ids({ where: { $state: "pending" }, limit: 2, offset: 1 }),
        await ids({ where: { $state: "synced" } }),
      ];
    });
    assert.deepEqual(found, ["bcd", "dc", "cd", "d", "acdb", "bc", ""]);
    const sums = await page.evaluate(async () => {
      const paid = { status: { in: ["paid", "served"] } };
      const hours = { field: "createdAt", step: 3_600_000 };
      const [byHour, byItem] = await Promise.all([
        orders.aggregate({ where: paid, groupBy: hours, sum: "total", avg: "total" }),
        orders.aggregate({ where: paid, each: "lines", groupBy: "lines.name", sum: "lines.cents" }),
      ]);
      const line = ({ key, count, sum, avg }) =>
        [...Object.values(key), count, ...Object.values(sum), ...Object.values(avg ?? {})].join();
      return [...byHour.groups, ...byItem.groups].map(line).concat(byHour.complete);
    });
    assert.deepEqual(sums, [
      "32400000,1,620,620",
      "39600000,2,1040,520",
      "Cake,1,560",
      "Soup,1,450",
      "Tea,1,620",
      false,
    ]);
  });
});

test("a question that makes no sense is refused with its place", async (t) => {
  const server = await serve(t);
  await withPage(chrome, server, async (page) => {
    await page.evaluate(open);
    const refused = await page.evaluate(async () => {
      const told = (promise) => promise.then(String, ({ code, path }) => `${code} ${path}`);
      return [
        await told(orders.list({ where: { status: { like: "o%" } } })),
        await told(orders.list({ where: [] })),
        await told(orders.list({ orderBy: "total", after: "a" })),
        await told(orders.aggregate({ groupBy: { field: "total", step: 0 } })),
        await told(orders.aggregate({ median: "total" })),
      ];
    });
    assert.deepEqual(refused, [
      "invalid-value where.status.like",
      "invalid-value where",
      "invalid-value after",
      "invalid-value groupBy.step",
      "invalid-value median",
    ]);
  });
});

// P24, R28.
test("pages and live lists follow what another tab writes, and tell only what differs", async (t) => {
  const server = await serve(t);
  await withPage(chrome, server, async (page, _, context) => {
    const other = await context.newPage();
    await other.goto(`${server.origin}/`);
    for (const tab of [page, other]) await tab.evaluate(open);
    await page.evaluate(sell);
    const pages = await other.evaluate(async () => {
      const query = { orderBy: { field: "total", direction: "desc" }, limit: 3 };
      const first = await orders.list(query);
      const second = await orders.list({ ...query, after: first.next });
      return [first, second].map(({ items }) => items.map(({ id }) => id).join(""));
    });
    assert.deepEqual(pages, ["acb", "d"]);
    await other.evaluate(() => {
      globalThis.live = orders.live({ where: { status: "open" } });
      globalThis.seen = [];
      globalThis.changes = 0;
      sync.on("change", () => globalThis.changes++);
      live.subscribe((now) => {
        if (now.state === "ready") seen.push(now.items.map(({ id }) => id).join(""));
      });
    });
    await other.waitForFunction(() => seen.length === 1);
    // Not in the list: another snapshot of it is the same object.
    await page.evaluate(() => orders.patch("b", { total: 621 }));
    await other.waitForFunction(() => changes === 1);
    const same = await other.evaluate(async () => {
      const before = live.getSnapshot();
      await orders.list();
      return before === live.getSnapshot();
    });
    await page.evaluate(() => orders.patch("d", { status: "open" }));
    await other.waitForFunction(() => seen.length === 2);
    assert.deepEqual([same, await other.evaluate(() => seen)], [true, ["a", "ad"]]);
  });
});
