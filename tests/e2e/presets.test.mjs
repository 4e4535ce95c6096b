// Each preset through the package in two browsers, against the reference server's own mount of its wire (docs/presets).
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { inShop } from "./support.mjs";

const day = "2026-11-20T10:15:30.000Z";

/**
 * What is tried: `base` is where the client finds the wire, `document` what is made of `collection`, `edit` a field that one
 * device changes alone, to one value after the other. `list` reads the server's rows as any client of that backend would.
 * `conflicts` says of a field whose value stands after both devices changed it: the one that reached the server first, the
 * later one, both, or what a person chose. `asks` are two fields of which a person decides where the policy says so.
 */
const backends = [
  {
    name: "AuraConnect",
    preset: "auraConnect",
    base: "/auraconnect",
    collection: "orders",
    document: {
      orderNumber: "A-7001",
      items: [{ menuItemId: "itm_1", name: "Chicken Bowl", quantity: 2, unitPrice: 8.75 }],
      status: "pending",
      totalAmount: 17.5,
      notes: "window",
      tags: ["new"],
      createdAt: day,
      updatedAt: day,
    },
    edit: { field: "notes", values: ["no onions", "extra rice", "no rice"] },
    asks: ["origin", "remark"],
    again: { orderNumber: "A-7002" },
    list: { path: "/api/sync/pull", rows: ({ changes }) => changes.orders ?? [], id: "serverId" },
    serverGivesIds: true,
    conflicts: [
      { field: "status", values: ["preparing", "cancelled"], stands: "person" },
      { field: "notes", values: ["terrace", "garden"], stands: "later" },
      { field: "totalAmount", values: [18, 19], stands: "first" },
      { field: "tags", values: [["a"], ["b"]], stands: "both" },
    ],
  },
  {
    name: "AuraConnect mobile",
    preset: "auraConnectMobile",
    base: "/auraconnect-mobile",
    collection: "orders",
    document: {
      order_number: "T7-0042",
      table_no: 7,
      items: [{ menu_id: 1, qty: 2, unit_price_cents: 875 }],
      status: "open",
      total_cents: 1750,
      opened_at: day,
    },
    edit: { field: "notes", values: ["no onions", "extra rice", "no rice"] },
    asks: ["notes", "remark"],
    again: { order_number: "T7-0043" },
    list: {
      path: "/sync/orders",
      // A pull is a POST of nothing there.
      body: { source: "mobile_offline", device_id: "office", since_version: 0, orders: [] },
      rows: ({ delta }) => delta.changes,
      document: "data",
    },
    serverGivesIds: true,
    conflicts: [{ field: "status", values: ["paid", "void"], stands: "person" }],
  },
  {
    name: "TrackVault",
    preset: "trackVault",
    base: "/trackvault",
    collection: "supplier",
    document: { code: "SUP-9", name: "Hill Farm", region: "North" },
    edit: { field: "phone", values: ["+254700000001", "+254700000002", "+254700000003"] },
    asks: ["phone", "region"],
    again: { code: "SUP-10" },
    list: { path: "/api/suppliers", rows: ({ data }) => data },
    serverGivesIds: true,
    conflicts: [{ field: "region", values: ["East", "South"], stands: "first" }],
  },
  {
    name: "TrackVault, review later",
    preset: "trackVault",
    base: "/trackvault",
    collection: "supplier",
    policy: { conflicts: "manual" },
    document: { code: "SUP-9", name: "Hill Farm", region: "North" },
    edit: { field: "phone", values: ["+254700000001", "+254700000002", "+254700000003"] },
    list: { path: "/api/suppliers", rows: ({ data }) => data },
    serverGivesIds: true,
    conflicts: [{ field: "region", values: ["East", "South"], stands: "person" }],
  },
  {
    name: "ArxOS",
    preset: "arxOs",
    base: "/arxos",
    options: { building: "b-42" },
    collection: "equipment",
    document: { building_id: "b-42", name: "Fan 7", type: "fan", status: "ok", metadata: {} },
    edit: { field: "name", values: ["Fan 7 east", "Fan 7 west", "Fan 7 north"] },
    asks: ["status", "type"],
    list: {
      path: "/api/v1/mobile/equipment/building/b-42",
      rows: ({ equipment }) => equipment,
    },
    conflicts: [{ field: "status", values: ["fault", "repaired"], stands: "later" }],
  },
  {
    name: "PayTrack",
    preset: "payTrack",
    base: "/paytrack/api",
    collection: "suppliers",
    document: { name: "Achieng", village: "Kisumu" },
    edit: { field: "phone", values: ["+254700000001", "+254700000002", "+254700000003"] },
    asks: ["phone", "village"],
    list: {
      path: "/sync/pull",
      rows: ({ changes }) => changes,
      id: "entity_uuid",
      document: "data",
    },
    conflicts: [{ field: "village", values: ["Siaya", "Busia"], stands: "first" }],
  },
];

/** In the page: opens a manager, whose first token is not good any more. */
const open = async ({ preset, base, options, collection, policy }) => {
  const { SyncManager, presets } = await import("/pkg/index.js");
  let token = "stale";
  globalThis.sync = await SyncManager.open({
    name: "device",
    remote: presets[preset]({ baseUrl: `${location.origin}${base}`, ...options }),
    getToken: ({ reason }) => {
      if (reason === "refused") token = "demo";
      return token;
    },
    collections: { [collection]: policy ?? {} },
  });
  globalThis.records = sync.collection(collection);
};

/** A browser of its own with a manager in it. */
class Device {
  constructor(shop, backend, name) {
    Object.assign(this, { shop, backend, name });
  }

  async start() {
    const { preset, base, options, collection, policy } = this.backend;
    this.browser = await this.shop.browser(this.name);
    this.page = await this.shop.bare(this.browser);
    await this.page.evaluate(open, { preset, base, options, collection, policy });
    return this;
  }

  async killAndStart() {
    await this.shop.kill(this.browser);
    await this.start();
  }

  offline = () => this.browser.context.setOffline(true);
  online = () => this.browser.context.setOffline(false);
  drain = () => this.page.evaluate(() => sync.drain());
  pull = () => this.page.evaluate(() => sync.sync());
  create = (document) => this.page.evaluate(async (it) => (await records.create(it)).id, document);
  patch = (id, patch) =>
    this.page.evaluate(async (it) => void (await records.patch(...it)), [id, patch]);
  remove = (id) => this.page.evaluate(async (it) => void (await records.remove(it)), id);
  get = (id) => this.page.evaluate((it) => records.get(it), id);
  conflicts = (query) => this.page.evaluate((it) => sync.conflicts.list(it), query);
  resolve = (id, resolution) =>
    this.page.evaluate((it) => sync.conflicts.resolve(...it), [id, resolution]);
  restore = (id) => this.page.evaluate(async (it) => void (await sync.conflicts.restore(it)), id);
}

/** The server's rows, by their ids. */
async function rowsOf(shop, { base, list }) {
  const { path, body, rows, id = "id" } = list;
  const answer = await fetch(`${shop.url}${base}${path}`, {
    method: body ? "POST" : "GET",
    headers: { authorization: "Bearer demo", "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  assert.equal(answer.status, 200);
  return new Map(rows(await answer.json()).map((row) => [String(row[id]), row]));
}

/**
 * Does `act` on a device, and loses the answer to the first request that changed something on the server. Gives the server's
 * rows at that moment, and after the device has sent all again.
 */
async function losingAnAnswer(
  shop,
  backend,
  device,
  act,
  lose = (route) => route.abort("connectionreset"),
) {
  const before = await rowsOf(shop, backend);
  let lost = false;
  let settle;
  const lostOne = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  const handle = async (route) => {
    if (lost) return await route.continue();
    const response = await route.fetch();
    const rows = await rowsOf(shop, backend);
    if (isDeepStrictEqual(rows, before)) return await route.fulfill({ response });
    lost = true;
    // A browser is not killed under the call that we wait for.
    await acted;
    await lose(route);
    settle.resolve(rows);
  };
  await device.page.route("**/*", (route) => handle(route).catch(settle.reject));
  const acted = act();
  await acted;
  const effect = await lostOne;
  const { pending, parked } = await device.drain();
  await device.page.unrouteAll();
  assert.deepEqual([pending, parked], [0, 0]);
  return { effect, rows: await rowsOf(shop, backend) };
}

const documentOf = ({ list }, row) => (list.document ? row[list.document] : row);

/** Both devices and the server say the same of a field. */
async function agree(shop, backend, devices, { id, serverId }, field, value) {
  const row = (await rowsOf(shop, backend)).get(serverId);
  assert.deepEqual(documentOf(backend, row)[field], value, `${field} on the server`);
  for (const device of devices) {
    const { document, meta } = await device.get(serverId);
    assert.deepEqual(document[field], value, `${field} of ${id} on a device`);
    assert.equal(meta.state, "synced");
  }
}

/** Neither device knows of what the other does; the first one's reaches the server before the second's is made. */
async function contradict([first, second], early, late) {
  await Promise.all([first.offline(), second.offline()]);
  await early(first);
  await first.online();
  await first.drain();
  await late(second);
  await second.online();
  return await second.drain();
}

const patching = (id, patch) => (device) => device.patch(id, patch);
const removing = (id) => (device) => device.remove(id);

for (const backend of backends) {
  // P1, P5, P6, P15, P18, P19, P32.
  test(`${backend.name}: offline to online, with conflicts, lost answers and a browser that is killed`, async () => {
    await inShop({ seed: true }, async (shop) => {
      const [a, b] = ["a", "b"].map((name) => new Device(shop, backend, name));
      const devices = [await a.start(), await b.start()];
      const { field, values } = backend.edit;
      await a.pull();
      await b.pull();

      // Made and edited without a network; the answer to what leaves first is lost.
      await a.offline();
      const id = await a.create(backend.document);
      await a.patch(id, { [field]: values[0] });
      assert.equal((await a.get(id)).meta.state, "pending");
      const made = await losingAnAnswer(shop, backend, a, a.online);
      assert.deepEqual([...made.rows.keys()], [...made.effect.keys()], "made once");
      const { meta } = await a.get(id);
      assert.equal(meta.serverId !== undefined, backend.serverGivesIds ?? false);
      const record = { id, serverId: meta.serverId ?? id };
      await b.pull();
      await agree(shop, backend, devices, record, field, values[0]);
      const known = await b.get(record.serverId);
      for (const [name, value] of Object.entries({ ...backend.document, [field]: values[0] })) {
        assert.deepEqual(known.document[name], value, name);
      }

      const edited = await losingAnAnswer(shop, backend, a, () =>
        a.patch(id, { [field]: values[1] }),
      );
      assert.deepEqual(edited.rows, edited.effect, "edited once");
      const resumed = await losingAnAnswer(
        shop,
        backend,
        a,
        () => a.patch(id, { [field]: values[2] }),
        () => a.killAndStart(),
      );
      assert.deepEqual(resumed.rows, resumed.effect, "edited once by a browser that was killed");
      await b.pull();
      await agree(shop, backend, devices, record, field, values[2]);

      // Both change one field.
      for (const conflict of backend.conflicts) {
        await decide(shop, backend, devices, record, conflict);
      }

      // Gone, for all.
      const removed = await losingAnAnswer(shop, backend, b, () => b.remove(known.id));
      assert.deepEqual(removed.rows, removed.effect, "removed once");
      assert.equal(removed.rows.get(record.serverId), undefined);
      await a.pull();
      for (const device of devices) {
        assert.equal(await device.get(record.serverId), undefined);
        const audit = await device.page.evaluate(() => sync.audit());
        assert.ok(audit.balanced, JSON.stringify(audit));
      }
    });
  });
}

/** Contradicts, checks who decides, has the person decide where one is asked, and waits until all agree. */
async function decide(shop, backend, devices, record, { field, values, stands }) {
  const [a, b] = devices;
  const [first, second] = values.map((value) => patching(record.serverId, { [field]: value }));
  const { pending, parked } = await contradict(devices, first, second);
  const open = await b.conflicts();
  const asked = stands === "person";
  assert.deepEqual([pending, parked, open.length], asked ? [0, 1, 1] : [0, 0, 0], field);
  if (asked) {
    const [{ id, mine, theirs, fields }] = open;
    assert.deepEqual([theirs[field], mine[field], fields], [...values, [field]]);
    assert.equal((await b.resolve(id, { keep: "mine" })).kind, "resolved");
    await b.drain();
  }
  const [early, late] = values;
  const value = {
    first: early,
    later: late,
    person: late,
    both: [...[early].flat(), ...[late].flat()],
  };
  await b.pull();
  await a.pull();
  await agree(shop, backend, devices, record, field, value[stands]);
  if (stands === "first") {
    const losers = (await b.conflicts({ resolved: true })).filter(({ fields }) =>
      fields.includes(field),
    );
    assert.deepEqual([losers.length, losers[0]?.mine[field]], [1, late], "what lost is kept");
    assert.equal(losers[0].resolved.by, "policy");
  }
}

/** What a person may say of two fields that both sides changed, and what stands then. */
const resolutions = [
  { says: () => ({ keep: "mine" }), stands: ({ late }) => late },
  { says: () => ({ keep: "theirs" }), stands: ({ early }) => early },
  {
    says: ({ mine, theirs }, [one, other]) => ({
      merged: { ...theirs, [one]: mine[one], [other]: `${theirs[other]}, ${mine[other]}` },
    }),
    stands: ({ early, late }, [one, other]) => ({
      [one]: late[one],
      [other]: `${early[other]}, ${late[other]}`,
    }),
  },
  {
    says: (_, [one, other]) => ({ fields: { [one]: "mine", [other]: "theirs" } }),
    stands: ({ early, late }, [one, other]) => ({ [one]: late[one], [other]: early[other] }),
  },
];

/** Has the second device's person decide the one conflict that is open, and brings the decision to everybody. */
async function decided([a, b], resolution) {
  const open = await b.conflicts();
  assert.equal(open.length, 1, "one conflict is open");
  assert.equal((await b.resolve(open[0].id, resolution(open[0]))).kind, "resolved");
  await everywhere([a, b]);
  const closed = (await b.conflicts({ resolved: true })).find(({ id }) => id === open[0].id);
  assert.equal(closed.resolved.by, "person");
  return open[0];
}

async function everywhere([a, b]) {
  const { pending, parked } = await b.drain();
  assert.deepEqual([pending, parked], [0, 0]);
  await b.pull();
  await a.pull();
}

async function gone(shop, backend, devices, { serverId }) {
  assert.equal((await rowsOf(shop, backend)).get(serverId), undefined, "on the server");
  for (const device of devices) assert.equal(await device.get(serverId), undefined);
}

for (const backend of backends.filter(({ asks }) => asks)) {
  // P15, P18, P19.
  test(`${backend.name}: everything that a person may decide`, async () => {
    await inShop({ seed: true }, async (shop) => {
      const manual = { ...backend, policy: { conflicts: "manual" } };
      const devices = [new Device(shop, manual, "a"), new Device(shop, manual, "b")];
      const [a, b] = devices;
      await Promise.all([a.start(), b.start()]);
      const made = async (document) => {
        const id = await a.create(document);
        await a.drain();
        await b.pull();
        const { meta } = await a.get(id);
        return { id, serverId: meta.serverId ?? id };
      };
      const record = await made(backend.document);
      const { asks } = backend;
      const both = (word) => Object.fromEntries(asks.map((field) => [field, `${field} ${word}`]));
      const agreed = async (patch) => {
        for (const field of asks) {
          await agree(shop, backend, devices, record, field, patch[field]);
        }
      };
      for (const [round, { says, stands }] of resolutions.entries()) {
        const sides = { early: both(`${round} early`), late: both(`${round} late`) };
        const [early, late] = [sides.early, sides.late].map((it) => patching(record.serverId, it));
        await contradict(devices, early, late);
        const conflict = await decided(devices, (it) => says(it, asks));
        assert.deepEqual([conflict.kind, conflict.fields.sort()], ["update-update", asks]);
        await agreed(stands(sides, asks));
        // What lost can be brought back: theirs where ours won, else ours.
        await b.restore(conflict.id);
        await everywhere(devices);
        await agreed(round === 0 ? sides.early : sides.late);
      }
      await decideDeletions(shop, backend, devices, record, made);
      for (const device of devices) {
        const audit = await device.page.evaluate(() => sync.audit());
        assert.ok(audit.balanced, JSON.stringify(audit));
      }
    });
  });
}

/** One side is gone, on each side once, and a person keeps each of the two. */
async function decideDeletions(shop, backend, devices, record, made) {
  const [field] = backend.asks;
  const { serverId } = record;
  await contradict(devices, removing(serverId), patching(serverId, { [field]: "revived" }));
  const revived = await decided(devices, () => ({ keep: "mine" }));
  assert.deepEqual([revived.kind, revived.theirs], ["update-delete", null]);
  await agree(shop, backend, devices, record, field, "revived");

  await contradict(devices, patching(serverId, { [field]: "kept" }), removing(serverId));
  const kept = await decided(devices, () => ({ keep: "theirs" }));
  assert.deepEqual([kept.kind, kept.mine], ["delete-update", null]);
  await agree(shop, backend, devices, record, field, "kept");

  await contradict(devices, patching(serverId, { [field]: "lost" }), removing(serverId));
  await decided(devices, () => ({ keep: "mine" }));
  await gone(shop, backend, devices, record);

  const again = await made({ ...backend.document, ...backend.again });
  await contradict(
    devices,
    removing(again.serverId),
    patching(again.serverId, { [field]: "too late" }),
  );
  await decided(devices, () => ({ keep: "theirs" }));
  await gone(shop, backend, devices, again);
}

// P10.
test("ArxOS: anchors that are as they were do not come again", async () => {
  const backend = backends.find(({ name }) => name === "ArxOS");
  await inShop({ seed: true }, async (shop) => {
    const device = await new Device(shop, { ...backend, collection: "anchor" }, "a").start();
    const answers = [];
    device.page.on("response", (response) => {
      if (response.url().includes("/anchors/building/")) answers.push(response.status());
    });
    const anchors = () =>
      device.page.evaluate(async () => (await records.list()).items.map(({ id }) => id));
    await device.pull();
    const known = await anchors();
    assert.ok(known.length > 0);
    answers.length = 0;
    await device.pull();
    assert.deepEqual(answers, [304]);
    assert.deepEqual(await anchors(), known);
  });
});

/** The methods and paths of what a device asks to have changed, from now on. */
function writesOf({ page }) {
  const writes = [];
  page.on("request", (request) => {
    if (request.method() === "GET") return;
    writes.push(
      `${request.method()} ${new URL(request.url()).pathname.replace("/arxos/api/v1/mobile", "")}`,
    );
  });
  return writes;
}

// P6, P10, P15.
test("ArxOS: up to ten changes leave as calls, more as a batch, with conflicts in either", async () => {
  const backend = backends.find(({ name }) => name === "ArxOS");
  await inShop({ seed: true }, async (shop) => {
    const devices = [new Device(shop, backend, "a"), new Device(shop, backend, "b")];
    const [a, b] = devices;
    await Promise.all([a.start(), b.start()]);
    await a.drain();
    await b.drain();
    for (const [count, created, changed] of [
      [10, Array(10).fill("POST /equipment"), /^PUT \/equipment\/[-0-9a-f]+$/],
      [12, ["POST /sync/batch"], /^POST \/sync\/batch$/],
    ]) {
      const writes = writesOf(a);
      await a.offline();
      const ids = [];
      for (let n = 0; n < count; n += 1) {
        ids.push(await a.create({ ...backend.document, name: `Fan ${count}-${n}` }));
      }
      await a.online();
      await a.drain();
      assert.deepEqual(writes, created);
      await b.pull();

      const each = (patch) => async (device) => {
        for (const id of ids) await device.patch(id, patch);
      };
      const [early, late] = ["early", "late"].map((status) => each({ status }));
      const seconds = writesOf(b);
      const { pending, parked } = await contradict(devices, early, late);
      assert.deepEqual([pending, parked], [0, 0]);
      assert.ok(seconds.length > 0 && seconds.every((it) => changed.test(it)), `${seconds}`);
      await a.pull();
      for (const id of ids) {
        await agree(shop, backend, devices, { id, serverId: id }, "status", "late");
      }
      const lost = await b.conflicts({ resolved: true });
      assert.equal(lost.filter(({ entityId }) => ids.includes(entityId)).length, count);
      for (const id of ids) await b.remove(id);
      await b.drain();
      await a.pull();
      for (const id of ids) await gone(shop, backend, devices, { serverId: id });
    }
  });
});
