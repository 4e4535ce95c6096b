import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { browser, PKG, serve, withPage } from "./browser.mjs";
import { compile, OUT, rejection } from "./fake.mjs";

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** In the page: opens a manager from an entry, writes, reads, and says what happened. */
const sell = async ({ entry = "/pkg/index.js", more = {}, id = "order-1" } = {}) => {
  const { SyncManager, standard } = await import(entry);
  try {
    const sync = await SyncManager.open({
      name: "till",
      remote: standard({ baseUrl: "/nowhere" }),
      collections: { orders: {} },
      ...more,
    });
    const orders = sync.collection("orders");
    let written;
    try {
      written = (await orders.create({ table: 7, lines: [{ cents: 875 }] }, { id })).id;
    } catch (error) {
      written = error.code;
    }
    const entity = await orders.get(id);
    const { items } = await orders.list();
    const { storage } = sync.status.getSnapshot();
    await sync.close();
    return {
      written,
      document: entity?.document,
      state: entity?.meta.state,
      count: items.length,
      storage,
    };
  } catch (error) {
    return { code: error.code, message: error.message };
  }
};

const SOLD = { table: 7, lines: [{ cents: 875 }] };

test("a page with only script-src 'self' 'wasm-unsafe-eval' works, and keeps the order over a reload", async (t) => {
  const server = await serve(t);
  await withPage(chrome, server, async (page, log) => {
    const first = await page.evaluate(sell);
    assert.deepEqual(
      [first.written, first.document, first.state, first.count],
      ["order-1", SOLD, "pending", 1],
      JSON.stringify(first),
    );
    assert.equal(first.storage.durability, "strict");
    await page.reload();
    const second = await page.evaluate(sell);
    assert.deepEqual(
      [second.written, second.document, second.count],
      ["exists", SOLD, 1],
      JSON.stringify(second),
    );
    assert.deepEqual(
      log.filter((line) => !/Failed to load resource/.test(line)),
      [],
    );
  });
});

test("a page whose policy forbids WebAssembly is told which word is missing", async (t) => {
  const server = await serve(t, { csp: "script-src 'self'" });
  await withPage(chrome, server, async (page) => {
    const result = await page.evaluate(sell);
    assert.equal(result.code, "wasm-load");
    assert.match(result.message, /wasm-unsafe-eval/);
  });
});

for (const [name, given] of [
  ["is not there", { status: 404, body: "" }],
  ["is a page", { headers: { "content-type": "text/html" }, body: "<!doctype html>" }],
  ["breaks off", (response) => response.destroy()],
]) {
  test(`where the wasm file ${name}, the inlined copy is used and one warning says so`, async (t) => {
    const server = await serve(t, {
      answer: ({ url }) => (url.endsWith(".wasm") ? given : undefined),
    });
    await withPage(chrome, server, async (page, log) => {
      const result = await page.evaluate(sell);
      assert.equal(result.written, "order-1", JSON.stringify(result));
      assert.equal(
        log.filter((line) => line.startsWith("warning: holdfast")).length,
        1,
        log.join("\n"),
      );
    });
  });
}

test("a wasm file that is none is refused where no copy is at hand", async (t) => {
  const server = await serve(t);
  await withPage(chrome, server, async (page) => {
    const result = await page.evaluate(async () => {
      const { init, SyncManager, standard } = await import("/pkg/slim.js");
      const code = async (promise) =>
        promise.then(
          () => "fine",
          (error) => error.code,
        );
      const options = {
        name: "till",
        remote: standard({ baseUrl: "/x" }),
        collections: { orders: {} },
      };
      return [
        await code(SyncManager.open(options)),
        await code(init("/page.html")),
        await code(init(Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0]))),
        await code(init("/pkg/dist/holdfast_bg.wasm")),
        await code(SyncManager.open(options)),
      ];
    });
    assert.deepEqual(result, ["wasm-load", "wasm-load", "wasm-load", "fine", "fine"]);
  });
});

test("a page fetches the one wasm file that its backend needs", async (t) => {
  const asked = [];
  const server = await serve(t, {
    answer: ({ url }) => {
      if (url.endsWith(".wasm")) asked.push(url);
    },
  });
  await withPage(chrome, server, async (page) => {
    const result = await page.evaluate(sell);
    assert.equal(result.written, "order-1", JSON.stringify(result));
  });
  assert.deepEqual(asked, ["/pkg/dist/holdfast_bg.wasm"]);
  await withPage(chrome, server, async (page) => {
    const code = await page.evaluate(async () => {
      const { presets, SyncManager } = await import("/pkg/index.js");
      const remote = presets.payTrack({ baseUrl: "/nowhere" });
      const sync = await SyncManager.open({
        name: "other",
        remote,
        collections: { customers: {} },
      });
      const { id } = await sync.collection("customers").create({ name: "Ada" });
      await sync.close();
      return typeof id;
    });
    assert.equal(code, "string");
  });
  assert.deepEqual(asked.slice(1), ["/pkg/dist/holdfast_any_bg.wasm"]);
});

test("the inline entry needs no second file", async (t) => {
  const asked = [];
  const server = await serve(t, { answer: ({ url }) => void asked.push(url) });
  await withPage(chrome, server, async (page) => {
    const result = await page.evaluate(sell, { entry: "/pkg/inline.js" });
    assert.equal(result.written, "order-1", JSON.stringify(result));
    assert.ok(!asked.some((url) => url.endsWith(".wasm")));
  });
});

test("a bundle of esbuild works from one file, without the wasm beside it", async (t) => {
  const folder = `${OUT}/bundle`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const esbuild = fileURLToPath(new URL("../../node_modules/.bin/esbuild", import.meta.url));
  const { status, stderr } = spawnSync(
    esbuild,
    [
      `${PKG}/index.js`,
      "--bundle",
      "--format=esm",
      "--minify",
      `--outfile=${folder}/app.js`,
      "--log-level=warning",
    ],
    { encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  const server = await serve(t, { files: { "/app.js": readFileSync(`${folder}/app.js`) } });
  await withPage(chrome, server, async (page) => {
    const result = await page.evaluate(sell, { entry: "/app.js" });
    assert.equal(result.written, "order-1", JSON.stringify(result));
  });
});

test("without IndexedDB open rejects, unless memory is allowed, and then it says so", async (t) => {
  const server = await serve(t);
  const init = () => {
    Object.defineProperty(globalThis, "indexedDB", { value: undefined });
  };
  await withPage(
    chrome,
    server,
    async (page) => {
      const refused = await page.evaluate(sell);
      assert.equal(refused.code, "no-durable-storage", JSON.stringify(refused));
      const allowed = await page.evaluate(sell, { more: { allowMemory: true } });
      assert.equal(allowed.written, "order-1", JSON.stringify(allowed));
      assert.equal(allowed.storage.durability, "memory");
    },
    { init },
  );
});

test("importing it in Node does nothing, and open says that there is no storage", async () => {
  const { SyncManager, standard } = await import(pathToFileURL(`${PKG}/node.js`).href);
  const error = await rejection(
    SyncManager.open({
      name: "till",
      remote: standard({ baseUrl: "http://127.0.0.1:1/x" }),
      collections: { orders: {} },
    }),
  );
  assert.equal(error.code, "no-durable-storage", error.message);
});

test("Node resolves the package by its exports", () => {
  const script = `
    const names = [];
    for (const entry of ["holdfast", "holdfast/slim", "holdfast/inline"]) names.push(typeof (await import(entry)).SyncManager.open);
    const files = ["holdfast_bg.wasm", "holdfast_any_bg.wasm"];
    console.log(names.join(), files.every((file) => import.meta.resolve("holdfast/" + file).endsWith("dist/" + file)));`;
  const folder = `${OUT}/app/node_modules`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  spawnSync("ln", ["-s", PKG, `${folder}/holdfast`]);
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: `${OUT}/app`,
    encoding: "utf8",
  });
  assert.equal(stdout.trim(), "function,function,function true", stderr);
});

test("the tarball holds what the exports name, and the licences", () => {
  const { stdout, stderr } = spawnSync("npm", ["pack", "--dry-run", "--json"], {
    cwd: PKG,
    encoding: "utf8",
  });
  const [{ files }] = JSON.parse(stdout || "[{}]");
  const names = files?.map((file) => file.path) ?? [];
  for (const name of [
    ...["index", "slim", "inline", "node"].flatMap((entry) => [`${entry}.js`, `${entry}.d.ts`]),
    ...["types.d.ts", "dist/holdfast.js", "dist/holdfast_bg.wasm", "inline/wasm.js"],
    ...["dist/holdfast_any.js", "dist/holdfast_any_bg.wasm"],
    ...["README.md", "LICENSE-MIT", "LICENSE-APACHE", "package.json"],
  ]) {
    assert.ok(names.includes(name), `${name} is missing: ${names.join(" ")} ${stderr}`);
  }
});

test("the declarations of the built package compile in an application", () => {
  const cases = readFileSync(new URL("types/cases.ts", import.meta.url), "utf8");
  const paths = { holdfast: [`${PKG}/index.d.ts`], "holdfast/*": [`${PKG}/*.d.ts`] };
  const { status, stdout } = compile("package", { "cases.ts": cases }, { paths });
  assert.equal(status, 0, stdout);
});
