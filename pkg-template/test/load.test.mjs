import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load, OUT, rejection, STATUS } from "./fake.mjs";

const { init, SyncManager, standard } = await load("slim.js");
const wasm = readFileSync(`${OUT}/dist/holdfast_bg.wasm`);
const options = {
  name: "n",
  remote: standard({ baseUrl: "http://h/a" }),
  collections: { orders: {} },
};
const answer = (body, type, status = 200) =>
  new Response(body, { status, headers: { "content-type": type } });
const foreign = Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);

// The loader remembers a success, so the refusals come first.
const REFUSED = [
  ["a page instead of the file", () => answer("<!doctype html>", "text/html"), /no wasm file/],
  [
    "a page that says it is wasm",
    () => answer("<!doctype html>", "application/wasm"),
    /can not be compiled/,
  ],
  ["an answer that is none", () => answer("x", "text/plain", 404), /404/],
  ["bytes that are something else", () => Uint8Array.from([1, 2, 3, 4]), /no wasm file/],
  ["nothing at all in it", () => new Uint8Array(0), /no wasm file/],
  ["half a file", () => wasm.subarray(0, wasm.length - 9), /cut off/],
  ["another wasm file", () => foreign, /not Holdfast's/],
  ["another wasm module", () => new WebAssembly.Module(foreign), /not Holdfast's/],
  ["an address that does not answer", () => "http://127.0.0.1:1/x.wasm", /can not be fetched/],
  ["an address that is none", () => "::", /can not be fetched/],
  ["a number", () => 7, /init takes/],
];
for (const [name, input, message] of REFUSED) {
  test(`init refuses ${name}`, async () => {
    const error = await rejection(init(input()));
    assert.equal(error.code, "wasm-load", error.message);
    assert.match(error.message, message);
    assert.ok(error.retryable);
  });
}

test("the slim entry says what it needs", async () => {
  const error = await rejection(SyncManager.open(options));
  assert.equal(error.code, "wasm-load");
  assert.match(error.message, /call init/);
});

test("a wasm file of another release is refused", async () => {
  globalThis.fakeDoorNumber = 2;
  const error = await rejection(init(wasm));
  delete globalThis.fakeDoorNumber;
  assert.match(error.message, /different releases/);
});

test("after a failure another try may succeed, and later ones change nothing", async () => {
  await init(Promise.resolve(answer(wasm, "application/wasm")));
  await init(Uint8Array.from([1]));
  globalThis.openFake = async () => ({ status: () => STATUS, close: async () => {} });
  const sync = await SyncManager.open(options);
  await sync.close();
});

for (const entry of ["inline.js", "node.js", "index.js", "slim.js"]) {
  test(`${entry} loads nothing at import and names the same things`, async () => {
    const names = Object.keys(await load(entry)).sort();
    assert.deepEqual(names, [
      "HoldfastError",
      "SyncManager",
      "defineRemote",
      "init",
      "isHoldfastError",
      "monotonic",
      "presets",
      "rest",
      "standard",
    ]);
  });
}
