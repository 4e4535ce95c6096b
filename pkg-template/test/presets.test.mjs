import assert from "node:assert/strict";
import { test } from "node:test";
import { load, openFake } from "./fake.mjs";

const { presets, rest, SyncManager } = await load("node.js");

/** The options as they cross. */
async function crosses(options) {
  const { calls } = await openFake({}, options);
  return calls.find(([name]) => name === "open")[1];
}

const BASE = { baseUrl: "https://x.example" };
const ALL = {
  auraConnect: ["orders", presets.auraConnect(BASE)],
  auraConnectMobile: ["orders", presets.auraConnectMobile(BASE)],
  trackVault: ["supplier", presets.trackVault(BASE)],
  arxOs: ["equipment", presets.arxOs({ ...BASE, building: "b-42" })],
  payTrack: ["payments", presets.payTrack(BASE)],
};

for (const [name, [collection, remote]] of Object.entries(ALL)) {
  test(`presets.${name} crosses as a profile`, async () => {
    const { remote: door } = await crosses({ remote, collections: { [collection]: {} } });
    assert.equal(door.baseUrl, "https://x.example");
    assert.equal(typeof door.profile.name, "string");
    assert.ok(collection in door.profile.collections);
  });
}

test("what a preset says of a collection holds where the application says nothing", async () => {
  const collections = {
    orders: { fields: { notes: "client" } },
    staff: {},
    inventory: { conflicts: "manual" },
  };
  const door = await crosses({ remote: presets.auraConnect(BASE), collections });
  const [orders, staff, inventory] = door.collections;
  assert.deepEqual(orders.fields, [
    { name: "totalAmount", rule: "server" },
    { name: "notes", rule: "client" },
    { name: "tags", rule: "set" },
  ]);
  assert.equal(staff.conflicts.updateUpdate, "last-write-wins");
  assert.equal(inventory.conflicts.updateUpdate, "manual");
});

test("the menu is read-only without the admin's role", () => {
  const menu = (remote) => remote.profile.collections.menu.readOnly;
  assert.equal(menu(presets.auraConnectMobile(BASE)), true);
  assert.equal(menu(presets.auraConnectMobile({ ...BASE, admin: true })), false);
});

test("a building is the scope", () => {
  assert.equal(presets.arxOs({ ...BASE, building: "b-42" }).scope, "b-42");
});

test("a backend's own interval holds where the application says none", async () => {
  const [collection, remote] = ALL.arxOs;
  const collections = { [collection]: {} };
  assert.equal((await crosses({ remote, collections })).syncEvery, 300_000);
  assert.equal((await crosses({ remote, collections, syncEvery: 9_000 })).syncEvery, 9_000);
  const plain = { remote: ALL.payTrack[1], collections: { payments: {} } };
  assert.equal("syncEvery" in (await crosses(plain)), false);
});

test("options that make no sense name their path", async () => {
  const { profile } = presets.payTrack(BASE);
  for (const [remote, path] of [
    [rest({ baseUrl: "ftp://x", profile }), "remote.baseUrl"],
    [rest({ ...BASE, profile: 7 }), "remote.profile"],
    [rest({ ...BASE, profile, scope: "" }), "remote.scope"],
    [rest({ ...BASE, profile, timeout: -1 }), "remote.timeout"],
    [presets.payTrack({ baseUrl: "?x" }), "remote.baseUrl"],
  ]) {
    await assert.rejects(SyncManager.open({ name: "a", remote, collections: { payments: {} } }), {
      code: "invalid-options",
      path,
    });
  }
});
