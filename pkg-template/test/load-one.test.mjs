import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load, OUT, STATUS } from "./fake.mjs";

const { defineRemote, init, SyncManager, standard } = await load("slim.js");
const open = (remote) => SyncManager.open({ name: "n", remote, collections: { orders: {} } });

test("the file for any backend does for all of them", async () => {
  globalThis.openFake = async () => ({ status: () => STATUS, close: async () => {} });
  await init(readFileSync(`${OUT}/dist/holdfast_any_bg.wasm`));
  const own = { push: async () => ({ outcomes: [] }), pull: async () => ({}) };
  for (const remote of [standard({ baseUrl: "http://h/a" }), defineRemote(own)]) {
    await (await open(remote)).close();
  }
});
