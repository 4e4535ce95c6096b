import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load, OUT, rejection, STATUS } from "./fake.mjs";

const { defineRemote, init, presets, SyncManager, standard } = await load("slim.js");
const { setLoader } = await load("load.js");
const open = (remote) => SyncManager.open({ name: "n", remote, collections: { orders: {} } });
const own = defineRemote({ push: async () => ({ outcomes: [] }), pull: async () => ({}) });

globalThis.openFake = async () => ({ status: () => STATUS, close: async () => {} });

test("a file for the standard protocol does for no other backend, and the right one is fetched beside it once", async () => {
  await init(readFileSync(`${OUT}/dist/holdfast_bg.wasm`));
  await (await open(standard({ baseUrl: "http://h/a" }))).close();
  const error = await rejection(open(own));
  assert.equal(error.code, "wasm-load");
  assert.match(error.message, /holdfast_any_bg\.wasm/);

  const asked = [];
  setLoader(async (backends) => {
    asked.push(backends);
    return readFileSync(`${OUT}/dist/holdfast_any_bg.wasm`);
  });
  await (await open(own)).close();
  await (await open(presets.payTrack({ baseUrl: "http://h/a" }))).close();
  await (await open(standard({ baseUrl: "http://h/a" }))).close();
  assert.deepEqual(asked, ["any"]);
});
