// A shop for the end-to-end tests: the reference server, and browsers with profiles that survive
// them. Everything a shop starts ends with it.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = process.env.HOLDFAST_ROOT ?? fileURLToPath(new URL("../..", import.meta.url));
const program = process.env.HOLDFAST_SERVER ?? path.join(root, "target/debug/holdfast-server");
const builtPage = process.env.HOLDFAST_WWW ?? path.join(root, "target/www");
const builtPackage = process.env.HOLDFAST_PKG ?? path.join(root, "pkg");
const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const { chromium } = createRequire(path.join(root, "tools/package.json"))("playwright-core");

const browserFlags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
];

/** How long a page may take for one step on a busy machine; a limit, never a measure. */
export const patience = 60_000;

/** Runs `test` in a shop of its own, and clears everything away afterwards. */
export async function inShop(options, test) {
  const folder = await mkdtemp(path.join(os.tmpdir(), "holdfast-e2e-"));
  const shop = new Shop(folder, options);
  try {
    await shop.start();
    await test(shop);
    assert.deepEqual(shop.violations, [], "the page broke its Content-Security-Policy");
    assert.deepEqual(shop.pageErrors, [], "the page threw");
  } catch (error) {
    await shop.photograph();
    throw error;
  } finally {
    await shop.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

class Shop {
  violations = [];
  pageErrors = [];
  #browsers = new Set();
  #server;
  #port = 0;

  constructor(folder, { rules = "pos", faults = [], seed = false, www } = {}) {
    this.folder = folder;
    this.database = path.join(folder, "shop.db");
    this.arguments = ["--rules", rules, ...faults.flatMap((fault) => ["--fault", fault])];
    if (seed) this.arguments.push("--seed");
    this.copyPage = www === "copy";
    this.www = this.copyPage ? path.join(folder, "www") : builtPage;
    this.empty = path.join(folder, "empty");
  }

  async start() {
    if (this.copyPage) await cp(builtPage, this.www, { recursive: true });
    await mkdir(this.empty);
    await writeFile(path.join(this.empty, "index.html"), "<!doctype html><title>empty</title>");
    await this.openServer();
  }

  /** Starts the server, again under the address it had. */
  async openServer(more = this.arguments) {
    const listen = ["--listen", `127.0.0.1:${this.#port}`, "--database", this.database];
    const page = ["--token", "demo", "--www", this.www];
    const bare = ["--www", `/pkg=${builtPackage}`, "--www", `/empty=${this.empty}`];
    this.#server = spawn(program, [...listen, ...page, ...bare, ...more], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = new Promise((_, fail) => {
      this.#server.once("error", fail);
      this.#server.once("exit", (code) => fail(new Error(`the server ended with ${code}`)));
    });
    // Expected later on, when we end it.
    ended.catch(() => undefined);
    const line = new Promise((settle) => {
      createInterface({ input: this.#server.stdout }).on("line", (text) => {
        if (text.startsWith("listening on ")) settle(text.slice("listening on ".length).trim());
      });
    });
    this.url = await Promise.race([line, ended]);
    this.#port = Number(new URL(this.url).port);
  }

  async closeServer() {
    await end(this.#server);
    this.#server = undefined;
  }

  /** What the server holds and did, from its own books. */
  async audit() {
    const { stdout } = await promisify(execFile)(program, ["audit", "--database", this.database]);
    return JSON.parse(stdout);
  }

  /** The server's records of a collection, as any client would pull them. */
  async records(collection = "orders") {
    const answer = await fetch(`${this.url}/api/pull`, {
      headers: { authorization: "Bearer demo" },
    });
    const { changes } = await answer.json();
    return changes.filter((change) => change.collection === collection && change.document !== null);
  }

  /** A browser on a profile; the same name again is the same profile. */
  async browser(profile = "a", { offline = false } = {}) {
    const folder = path.join(this.folder, `profile-${profile}`);
    const context = await chromium.launchPersistentContext(folder, {
      executablePath: chromiumPath,
      headless: true,
      timeout: 60_000,
      args: browserFlags,
      offline,
      viewport: { width: 1280, height: 800 },
      reducedMotion: "reduce",
    });
    context.setDefaultTimeout(patience);
    const browser = { context, folder };
    this.#browsers.add(browser);
    context.on("page", (page) => this.#watch(page));
    for (const page of context.pages()) this.#watch(page);
    return browser;
  }

  #watch(page) {
    page.on("pageerror", (error) => this.pageErrors.push(`${error.message}`));
    page.on("console", (message) => {
      if (/Content.Security.Policy/i.test(message.text())) this.violations.push(message.text());
    });
  }

  /** Opens a till in a tab and waits until it can sell. */
  async till(browser, { name = "1", signIn = true } = {}) {
    const blank = browser.context.pages().find((page) => page.url() === "about:blank");
    const page = blank ?? (await browser.context.newPage());
    await page.goto(`${this.url}/?till=${name}`);
    await ready(page, signIn);
    return page;
  }

  /** Opens an empty page beside the package, which `/pkg/index.js` is: for what the till has no button for. */
  async bare(browser) {
    const blank = browser.context.pages().find((page) => page.url() === "about:blank");
    const page = blank ?? (await browser.context.newPage());
    await page.goto(`${this.url}/empty/`);
    return page;
  }

  /** Kills the browser as a power cut would: at once, all its processes, nothing is said goodbye. */
  async kill(browser) {
    this.#browsers.delete(browser);
    const closed = new Promise((settle) => browser.context.once("close", settle));
    const pids = await processesOf(browser.folder);
    assert.ok(pids.length > 0, "the browser's processes were found");
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Gone with its parent.
      }
    }
    await closed;
    await until(
      "the killed browser is gone",
      async () => (await processesOf(browser.folder)).length === 0,
    );
  }

  async quit(browser) {
    this.#browsers.delete(browser);
    await browser.context.close();
  }

  /** Pictures of what was on screen when a test failed, where HOLDFAST_SHOTS says. */
  async photograph() {
    const folder = process.env.HOLDFAST_SHOTS;
    if (!folder) return;
    let count = 0;
    for (const { context } of this.#browsers) {
      for (const page of context.pages()) {
        count += 1;
        const name = path.join(folder, `failed-${path.basename(this.folder)}-${count}.png`);
        await page.screenshot({ path: name }).catch(() => undefined);
      }
    }
  }

  async close() {
    for (const browser of this.#browsers) await browser.context.close().catch(() => undefined);
    if (this.#server) await this.closeServer();
  }
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((settle) => child.once("exit", settle));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 5000);
  await gone;
  clearTimeout(late);
}

/** The browser on a profile and all its children: whatever names the profile, and what they started. */
async function processesOf(profile) {
  const children = new Map();
  const roots = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = await readFile(`/proc/${name}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z") continue;
      children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)]);
      const command = await readFile(`/proc/${name}/cmdline`, "utf8");
      if (command.includes(`--user-data-dir=${profile}`)) roots.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  const all = new Set();
  const visit = (pid) => {
    if (all.has(pid)) return;
    all.add(pid);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  roots.forEach(visit);
  return [...all];
}

/** For what no event tells us: asks again until it holds. */
export async function until(what, holds) {
  const end = Date.now() + patience;
  for (;;) {
    if (await holds()) return;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await sleep(50);
  }
}

// ---- what a cashier does

async function ready(page, signIn) {
  await page.locator(".badge[data-status]:not([data-status=opening])").waitFor();
  const dialog = page.getByRole("dialog", { name: "Who is at the till?" });
  if (!(await dialog.isVisible())) return;
  if (signIn) {
    await dialog.getByLabel("Name").fill("Mia");
    await dialog.getByRole("button", { name: "Sign in" }).click();
  } else {
    await dialog.getByRole("button", { name: "Sell without" }).click();
  }
  await dialog.waitFor({ state: "detached" });
}

/** Waits until the page has been loaded again and can sell. */
export async function reload(page, { signIn = true } = {}) {
  await page.reload();
  await ready(page, signIn);
}

/** Rings up items and sends the ticket; gives the short id of the order. */
export async function sell(page, items, { table } = {}) {
  await page.goto(`${page.url().split("#")[0]}#sell`);
  for (const item of items) await page.locator(`[data-sku="${item}"]`).click();
  if (table) await page.getByLabel("Table", { exact: true }).fill(table);
  const ticket = page.getByRole("complementary", { name: "Ticket" });
  // The ticket knows the id that its order will have; people use the last five characters.
  const id = await ticket.getAttribute("data-order");
  await ticket.getByRole("button", { name: "Send" }).click();
  await page.getByText("Nothing rung up yet.").waitFor();
  return id.slice(-5).toUpperCase();
}

export async function show(page, view) {
  await page.locator(`.views a[href="#${view}"]`).click();
}

/** The docket of an order on the page, whatever view is shown. */
export async function docket(page, id) {
  await page.goto(`${page.url().split("#")[0]}#orders`);
  return page.locator(".docket").filter({ has: page.getByRole("link", { name: `Order ${id}` }) });
}

/** Waits until the page shows an order in a state. */
export async function orderState(page, id, state) {
  await (await docket(page, id)).locator(`.state[data-state=${state}]`).waitFor();
}

/**
 * Waits until the page shows an order that the server has not confirmed. When a tab dies in the
 * middle of a request, its operations count as on their way until the next request.
 */
export async function stillHere(page, id) {
  const state = ".state:is([data-state=pending], [data-state=syncing])";
  await (await docket(page, id)).locator(state).waitFor();
}

export async function status(page, kind) {
  await page.locator(`.badge[data-status="${kind}"]`).waitFor();
}

/** Opens the sync panel, presses a button of it and closes it. */
export async function sync(page, button) {
  await page.locator(".badge-box .badge").click();
  const panel = page.getByRole("dialog", { name: "Sync" });
  await panel.getByRole("button", { name: button, exact: true }).click();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
}
