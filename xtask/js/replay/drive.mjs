// Takes a shop through a bad day, and says what device and server have at the end of it.
//
//   node drive.mjs JOB RESULT
//
// JOB is a file of `{address, token, pkg, profile, menu, orders, seed?, limit}`: `menu` and `orders` are lists
// of `{id, document}`, `pkg` the built package, `profile` a directory that is not there yet, `limit` in
// seconds. RESULT is written when the day is over, whatever it shows: to judge is for the caller. Where Chromium
// itself deleted the database, the day ends at once and RESULT is `{deletedByChromium}`, with its reason.
import { randomInt } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { start } from "../browser.mjs";
import { below, POLICY, TYPES } from "../files.mjs";
import { mulberry32 } from "../random.mjs";
import { serverRecords } from "../records.mjs";

/** Tills of the shop: how many sales are on their way to the disk at once. */
const ABREAST = 4;

const [jobFile, resultFile] = process.argv.slice(2);
const job = JSON.parse(readFileSync(jobFile, "utf8"));
const seed = job.seed ?? randomInt(2 ** 32);
const random = mulberry32(seed);
const files = new Map([
  ...below("/replay/", fileURLToPath(new URL(".", import.meta.url))),
  ...below("/pkg/", job.pkg),
]);

setTimeout(() => {
  console.error(`replay: not done after ${job.limit} s (seed ${seed})`);
  process.exit(1);
}, job.limit * 1000);

/** By id, what a page said it had stored: the operation that carries it. */
const receipts = new Map();
const lost = new Set();
const day = { kills: { writing: 0, draining: 0 }, pushes: 0, answered: 0 };
/** When the next kill is due: at so many sales stored (the smallest number last), or at a request. */
let killAt;
let browser;
let page;

const began = performance.now();
await open({ offline: false });
await say("write", "menu", job.menu, ABREAST);
await say("drain");
await browser.context.setOffline(true);
console.log(`  ${job.menu.length} menu items on the server; the network goes down`);

const writing = performance.now();
killAt = moments(1 + Math.floor(random() * 3), job.orders.length);
for (;;) {
  const known = [...receipts.keys()];
  const existing = await unlessKilled(say("write", "orders", job.orders, ABREAST));
  if (existing) {
    const there = new Set(existing);
    for (const id of known) {
      if (id.startsWith("orders/") && !there.has(id.slice("orders/".length))) lost.add(id);
    }
    break;
  }
  day.kills.writing += 1;
  console.log(`  killed after ${receipts.size - job.menu.length} sales`);
  await open({ offline: true });
}
const online = performance.now();
console.log(`  ${job.orders.length} sales on the device; the network comes back`);

killAt = { pushes: day.pushes + 1 + Math.floor((random() * job.orders.length) / 100) };
const drained = unlessKilled(say("drain"));
await unlessKilled(browser.context.setOffline(false));
let left = await drained;
if (!left) {
  day.kills.draining += 1;
  console.log(`  killed while sending, at request ${killAt.pushes}`);
  killAt = undefined;
  await open({ offline: false });
  left = await say("drain");
}
killAt = undefined;
const settled = performance.now();
console.log("  drained; the books are compared");

const server = await serverRecords(job.address, job.token);
const device = new Map();
for (const collection of ["menu", "orders"]) {
  for (const record of await say("documents", collection)) {
    device.set(`${collection}/${record.id}`, record);
  }
}
const given = new Map();
for (const collection of ["menu", "orders"]) {
  for (const { id, document } of job[collection]) given.set(`${collection}/${id}`, document);
}
// A sale whose receipt died with the browser has its operation's id from the server.
const opIds = [...given.keys()].flatMap((id) => receipts.get(id) ?? server.get(id)?.opId ?? []);
const result = {
  seed,
  kills: day.kills,
  pushes: day.pushes,
  unanswered: day.pushes - day.answered,
  device: figures(device),
  server: figures(server),
  lost: [...given.keys()].filter((id) => lost.has(id) || !device.has(id) || !server.has(id)),
  differing: [...given].flatMap(([id, document]) => (same(id, document) ? [] : [id])),
  notSynced: [...device.values()].filter(({ state }) => state !== "synced").length,
  otherOperation: [...receipts].filter(([id, opId]) => server.get(id)?.opId !== opId).length,
  receipts: await say("outcomes", opIds),
  drain: left,
  ...(await say("books")),
  seconds: {
    writing: seconds(writing, online),
    draining: seconds(online, settled),
    total: seconds(began, performance.now()),
  },
};
await browser.close();
writeFileSync(resultFile, JSON.stringify(result));
process.exit(0);

/** Opens the shop: the browser on its profile, the page, the database. */
async function open({ offline }) {
  browser = await start(job.profile);
  const { context } = browser;
  await context.setOffline(offline);
  // The page itself comes from here in any weather, as it would from a service worker.
  await context.route(`${job.address}/{replay,pkg}/**`, serve);
  await context.exposeBinding("accepted", (_source, collection, id, opId) => {
    receipts.set(`${collection}/${id}`, opId);
    if (killAt?.receipts?.at(-1) <= receipts.size - job.menu.length) {
      killAt.receipts.pop();
      kill();
    }
  });
  await context.exposeBinding("deleted", (_source, deletedByChromium) => {
    writeFileSync(resultFile, JSON.stringify({ deletedByChromium }));
    process.exit(0);
  });
  page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", (error) => console.error(`  page: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    // Of every request that finds no network Chromium itself says so.
    if (message.type() === "error" && !text.includes("net::ERR_")) console.error(`  page: ${text}`);
  });
  page.on("request", (request) => {
    if (!request.url().endsWith("/api/push")) return;
    day.pushes += 1;
    if (killAt?.pushes === day.pushes) kill();
  });
  page.on("requestfinished", (request) => {
    if (request.url().endsWith("/api/push")) day.answered += 1;
  });
  await page.goto(`${job.address}/replay/page.html`);
  await page.waitForFunction(() => "till" in globalThis);
  await say("open", job.token);
}

function say(what, ...words) {
  return page.evaluate(([what, words]) => globalThis.till[what](...words), [what, words]);
}

function serve(route) {
  const { pathname } = new URL(route.request().url());
  const body = files.get(pathname);
  if (body === undefined) return route.fulfill({ status: 404 });
  return route.fulfill({
    body,
    contentType: TYPES[pathname.split(".").at(-1)],
    headers: { "content-security-policy": POLICY },
  });
}

/** What the promise gives; `undefined` if the browser was killed meanwhile. */
async function unlessKilled(promise) {
  try {
    const value = await promise;
    // Done before the blow fell: it falls all the same, and the profile has to bear it.
    if (browser.killing === undefined) return value;
  } catch (error) {
    if (browser.killing === undefined) throw error;
  }
  await browser.killing;
}

/** Kills it a moment from now, so that the moment is not always the same one of a write. */
function kill() {
  const { kill } = browser;
  const delay = random() * 20;
  browser.killing ??= new Promise((resolve) => setTimeout(resolve, delay)).then(kill);
}

/** So many different numbers of sales, the smallest last. */
function moments(count, sales) {
  const receipts = new Set();
  while (receipts.size < Math.min(count, sales - 1)) {
    receipts.add(1 + Math.floor(random() * (sales - 1)));
  }
  return { receipts: [...receipts].sort((a, b) => b - a) };
}

function figures(records) {
  const sum = { menu: 0, orders: 0, lines: 0, cents: 0 };
  for (const [id, { document }] of records) {
    if (id.startsWith("menu/")) {
      sum.menu += 1;
    } else {
      sum.orders += 1;
      sum.lines += document.lines.length;
      for (const line of document.lines) sum.cents += line.cents;
    }
  }
  return sum;
}

function same(id, document) {
  return [device, server].every((side) => isDeepStrictEqual(side.get(id)?.document, document));
}

function seconds(from, to) {
  return Math.round((to - from) / 100) / 10;
}
