// The page itself: its policy, its tabs, its updates, its sizes.
import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { docket, inShop, orderState, reload, sell, show, status, until } from "./support.mjs";

test("the page keeps to its Content-Security-Policy, which is really in force", async () => {
  await inShop({}, async (shop) => {
    const till = await shop.till(await shop.browser());
    const id = await sell(till, ["fish-chips"]);
    await orderState(till, id, "synced");
    for (const view of ["sell", "orders", "outbox", "report"]) await show(till, view);
    assert.deepEqual(shop.violations, []);
    const tried = await till.evaluate(async () => {
      // The policy stands in the header and in the page, so each violation is told twice.
      const seen = new Set();
      const caught = new Promise((settle) => {
        document.addEventListener("securitypolicyviolation", (event) => {
          seen.add(event.effectiveDirective);
          if (seen.size === 2) settle();
        });
      });
      const script = document.createElement("script");
      script.textContent = "globalThis.inline = true";
      document.body.append(script);
      document.body.setAttribute("style", "color: red");
      await caught;
      return { seen: [...seen].sort(), inline: globalThis.inline ?? false };
    });
    assert.deepEqual(tried, { seen: ["script-src-elem", "style-src-attr"], inline: false });
    shop.violations.length = 0;
  });
});

// P11, P24.
test("the report adds up what this till and the others sold, sent or not", async () => {
  await inShop({}, async (shop) => {
    const browser = await shop.browser();
    const till = await shop.till(browser);
    const id = await sell(till, ["crab-roll", "greens"]);
    await orderState(till, id, "synced");
    await (await docket(till, id)).getByRole("button", { name: "Mark paid" }).click();
    await orderState(till, id, "synced");
    await show(till, "report");
    const figure = (name) =>
      till.locator(".figure").filter({ hasText: name }).locator("dd").innerText();
    await until("the takings are shown", async () => (await figure("Taken")) === "€20.70");
    assert.deepEqual(await Promise.all(["Orders", "Open tickets"].map(figure)), ["1", "0€0.00"]);
    assert.equal(await till.locator(".columns li").count(), 1);
    assert.deepEqual(await till.locator(".rows .row-label").allInnerTexts(), [
      "Crab roll",
      "Green leaves",
      await till.locator(".person-name").innerText(),
    ]);
    // Another ticket, open and not sent: the figures follow without a reload.
    await till.context().setOffline(true);
    await sell(till, ["water"]);
    await show(till, "report");
    await until("an order is not sent", async () => (await figure("Not sent yet")).startsWith("1"));
    assert.equal((await figure("Open tickets")).slice(0, 1), "1");
    if (process.env.HOLDFAST_SHOTS) {
      await till.screenshot({ path: path.join(process.env.HOLDFAST_SHOTS, "report.png") });
    }
  });
});

// P22, P23, P24.
test("two tabs of one till: one sends, both show, and the other takes over", async () => {
  await inShop({}, async (shop) => {
    const browser = await shop.browser();
    const first = await shop.till(browser);
    await status(first, "synced");
    // The second tab learns from the first who is signed in, and does not ask.
    const second = await shop.till(browser, { signIn: false });
    await status(second, "synced");
    const leads = async (page) => {
      await page.locator(".badge-box .badge").click();
      const panel = page.getByRole("dialog", { name: "Sync" });
      const text = await panel.innerText();
      await page.keyboard.press("Escape");
      await panel.waitFor({ state: "detached" });
      return text.includes("sends for all tabs of this till");
    };
    assert.deepEqual([await leads(first), await leads(second)], [true, false]);

    // Rung up in the tab that does not send.
    const id = await sell(second, ["crab-roll"]);
    await orderState(second, id, "synced");
    await orderState(first, id, "synced");

    await first.close();
    await until("the second tab leads", () => leads(second));
    const next = await sell(second, ["greens"]);
    await orderState(second, next, "synced");
    const { orders, maxEffects } = await shop.audit();
    assert.deepEqual(
      { orders, maxEffects },
      { orders: { live: 2, lines: 2, cents: 1620 + 450 }, maxEffects: 1 },
    );
  });
});

test("the till starts without a network after the first visit", async () => {
  await inShop({}, async (shop) => {
    const browser = await shop.browser();
    const till = await shop.till(browser);
    const id = await sell(till, ["water"]);
    await orderState(till, id, "synced");
    await till.evaluate(() => navigator.serviceWorker.ready);
    const kept = await till.evaluate(async () => {
      const names = await caches.keys();
      const requests = await Promise.all(
        names.map(async (name) => (await caches.open(name)).keys()),
      );
      return requests.flat().map((request) => new URL(request.url).pathname);
    });
    assert.ok(kept.some((name) => name.endsWith("holdfast_bg.wasm")));
    assert.deepEqual(
      kept.filter((name) => name.startsWith("/api")),
      [],
      "no answer of the server is kept",
    );

    await shop.closeServer();
    await browser.context.setOffline(true);
    await reload(till, { signIn: false });
    await orderState(till, id, "synced");
    // Another till in the same browser starts, too, though it was never opened before.
    const other = await shop.till(browser, { name: "9", signIn: false });
    const sold = await sell(other, ["apple"]);
    await orderState(other, sold, "pending");
    assert.equal(await (await docket(other, id)).count(), 0, "it has a database of its own");
  });
});

test("a new version waits for the cashier and then takes over", async () => {
  await inShop({ www: "copy" }, async (shop) => {
    const browser = await shop.browser();
    const till = await shop.till(browser);
    await till.evaluate(() => navigator.serviceWorker.ready);
    await till.reload();
    await till.waitForFunction(() => navigator.serviceWorker.controller !== null);
    const before = await till.evaluate(() => caches.keys());
    assert.equal(before.length, 1);
    assert.equal(await till.locator("[data-notice=update]").count(), 0);

    const file = path.join(shop.www, "sw.js");
    const version = before[0].split("-").at(-1);
    const next = "0".repeat(version.length);
    const worker = await readFile(file, "utf8");
    assert.ok(worker.includes(version));
    await writeFile(file, worker.replaceAll(`"${version}"`, `"${next}"`));
    await till.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
    const notice = till.locator("[data-notice=update]");
    await notice.waitFor();

    const loaded = till.waitForEvent("load");
    await notice.getByRole("button", { name: "Reload" }).click();
    await loaded;
    await until("only the new shell is kept", async () => {
      const names = await till.evaluate(() => caches.keys());
      return names.length === 1 && names[0].endsWith(next);
    });
    assert.equal(await till.locator("[data-notice=update]").count(), 0);
  });
});

test("it fits a phone, a tablet and a desk, and every target can be touched", async () => {
  await inShop({}, async (shop) => {
    const till = await shop.till(await shop.browser());
    const id = await sell(till, ["noodles"]);
    await orderState(till, id, "synced");
    for (const [width, height] of [
      [390, 844],
      [1024, 768],
      [1440, 900],
    ]) {
      await till.setViewportSize({ width, height });
      for (const view of ["sell", "orders", "outbox"]) {
        await show(till, view);
        await till.locator(`main.${view}`).waitFor();
        const { wide, small } = await till.evaluate(() => {
          const targets = [...document.querySelectorAll("button, a, input")].filter((one) =>
            one.checkVisibility(),
          );
          const small = targets.filter((one) => {
            const { width, height } = one.getBoundingClientRect();
            const grown = getComputedStyle(one, "::after").position === "absolute";
            return !grown && Math.min(width, height) < 43.5;
          });
          return {
            wide: document.documentElement.scrollWidth - innerWidth,
            small: small.map((one) => one.outerHTML.slice(0, 80)),
          };
        });
        assert.ok(wide <= 0, `${view} at ${width} is ${wide}px too wide`);
        assert.deepEqual(small, [], `${view} at ${width}`);
      }
    }
  });
});

// P1: nothing is accepted that would be lost.
test("without lasting storage the till says so and takes no order it could lose", async () => {
  await inShop({}, async (shop) => {
    const browser = await shop.browser();
    await browser.context.addInitScript(() => {
      Object.defineProperty(globalThis, "indexedDB", { value: undefined });
    });
    const till = await shop.till(browser);
    await till.getByRole("alert").getByText("no-durable-storage").waitFor();
    await till.locator('[data-sku="knot"]').click();
    assert.ok(await till.locator(".ticket").getByRole("button", { name: "Send" }).isDisabled());
  });
});

test("without the wasm file the till opens all the same, from the copy in its script", async () => {
  await inShop({ www: "copy" }, async (shop) => {
    const files = await readdir(shop.www, { recursive: true });
    const wasm = files.filter((name) => name.endsWith(".wasm"));
    assert.equal(wasm.length, 1);
    await rm(path.join(shop.www, wasm[0]));
    const till = await shop.till(await shop.browser());
    const id = await sell(till, ["chips"]);
    await orderState(till, id, "synced");
  });
});

test("a long sync shows a bar, and selling goes on meanwhile", async () => {
  await inShop({ faults: ["delay:1500@push"] }, async (shop) => {
    const browser = await shop.browser();
    const till = await shop.till(browser);
    await status(till, "synced");
    await browser.context.setOffline(true);
    await status(till, "offline");
    const ids = [await sell(till, ["chips"]), await sell(till, ["slaw"])];
    await browser.context.setOffline(false);
    const bar = till.getByRole("progressbar");
    await bar.waitFor();
    ids.push(await sell(till, ["greens"]));
    await status(till, "synced");
    await bar.waitFor({ state: "detached" });
    for (const id of ids) await orderState(till, id, "synced");
    assert.equal((await shop.audit()).orders.cents, 420 + 350 + 450);
  });
});
