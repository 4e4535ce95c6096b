// The orderings that break sync clients, each told to the package in a browser by a server that follows a script. The names
// cite the promises and rules of docs/semantics.md.
import assert from "node:assert/strict";
import { known, scenarios } from "./scenario.mjs";
import { steps } from "./scripted-server.mjs";

const scenario = scenarios();

scenario(
  "P5 P16: the answer is lost, the page dies, the record is removed offline: both reach the server, once",
  async ({ server, page, another }) => {
    const held = server.push.hold();
    const opId = await page.evaluate(
      async () => (await orders.create({ table: 7 }, { id: "order-1" })).opId,
    );
    const { apply } = await held.arrived;
    await apply();
    server.both(steps.dropBefore);
    await page.close();
    held.go(steps.dropBefore);

    const tab = await another();
    const removed = await tab.evaluate(async () => {
      const before = (await orders.get("order-1"))?.document;
      const { opId } = await orders.remove("order-1");
      await tried();
      return { before, opId, after: await orders.get("order-1") };
    });
    assert.deepEqual(removed.before, { table: 7 }, "P1");
    assert.notEqual(removed.opId, opId, "a create that may have left is not annihilated");
    assert.equal(removed.after, undefined);
    server.both();
    await tab.evaluate(() => rest());
    assert.equal(server.document("orders", "order-1"), null);
    assert.deepEqual([server.effectsOf(opId), server.effectsOf(removed.opId)], [1, 1]);
    assert.equal(await tab.evaluate(async () => (await orders.list()).items.length), 0);
  },
);

scenario(
  "P7 R6: a write while its record is away waits, stands on the verdict, and is no conflict",
  async ({ server, page }) => {
    const held = server.push.hold();
    const first = await page.evaluate(
      async () => (await orders.create({ table: 7 }, { id: "order-1" })).opId,
    );
    await held.arrived;
    const second = await page.evaluate(
      async () => (await orders.patch("order-1", { paid: true })).opId,
    );
    assert.notEqual(second, first, "what is away is not folded into");
    const view = await page.evaluate(async () => (await orders.get("order-1")).document);
    assert.deepEqual(view, { table: 7, paid: true }, "P11");
    assert.equal(server.carrying(second).length, 0);
    held.go();
    await page.evaluate(() => rest());
    const [change] = server.carrying(second);
    assert.equal(change.body.operations[0].assumed, 1);
    assert.deepEqual(server.document("orders", "order-1"), { table: 7, paid: true });
    assert.deepEqual(await page.evaluate(() => events), []);
  },
);

scenario(
  "P17 A3: a pull shows our own write before its answer came: that is the verdict, and nothing is sent again",
  async ({ server, page }) => {
    await page.evaluate(() => rest());
    server.push.once(steps.dropAfter);
    const seen = await page.evaluate(async () => {
      const receipt = await orders.create({ table: 7 }, { id: "order-1" });
      const outcome = await receipt.synced;
      await rest();
      return { opId: receipt.opId, outcome, events };
    });
    assert.equal(seen.outcome.kind, "applied");
    assert.equal(server.carrying(seen.opId).length, 1);
    assert.deepEqual(seen.events, []);
  },
);

scenario(
  "P12: a pull that tells an older version than the verdict moves nothing back",
  async ({ server, page }) => {
    await page.evaluate(known, "order-1");
    await page.evaluate(async () => {
      await (await orders.patch("order-1", { paid: true })).synced;
    });
    const old = { collection: "orders", id: "order-1", version: 1, document: { table: 1 } };
    server.pull.once(steps.edited((answer) => ({ ...answer, changes: [old] })));
    const view = await page.evaluate(async () => {
      await rest();
      const { document, meta } = await orders.get("order-1");
      return [document, meta.version];
    });
    assert.deepEqual(view, [{ table: 7, paid: true }, "2"]);
  },
);

for (const applied of [true, false]) {
  const how = applied ? "was applied" : "never came";
  scenario(
    `P16 P17: a removal whose answer is lost, and that ${how}, is no conflict`,
    async ({ server, page }) => {
      await page.evaluate(known, "order-1");
      // Without echoes the resend has to find out.
      server.pull.always(
        steps.edited((answer) => ({
          ...answer,
          changes: answer.changes.map(({ opId: _, ...change }) => change),
        })),
      );
      server.push.once(applied ? steps.dropAfter : steps.dropBefore);
      const seen = await page.evaluate(async () => {
        const receipt = await orders.remove("order-1");
        const outcome = await receipt.synced;
        await rest();
        const { items } = await orders.list();
        return { opId: receipt.opId, outcome: outcome.kind, items, events };
      });
      assert.deepEqual([seen.outcome, seen.items, seen.events], ["applied", [], []]);
      assert.equal(server.document("orders", "order-1"), null);
      assert.equal(server.effectsOf(seen.opId), 1);
      assert.equal(server.sent(seen.opId).length, 2);
    },
  );

  scenario(
    `P16: a create that may have left, and ${how}, is followed by its removal`,
    async ({ server, page }) => {
      await page.evaluate(() => rest());
      server.push.once(applied ? steps.dropAfter : steps.dropBefore);
      server.pull.always(steps.dropBefore);
      const create = await page.evaluate(
        async () => (await orders.create({ table: 7 }, { id: "order-1" })).opId,
      );
      await server.seen("push", 1, ({ body }) => body.operations.length > 0);
      const remove = await page.evaluate(async () => {
        await until(({ outbox }) => outbox.inFlight === 0);
        return (await orders.remove("order-1")).opId;
      });
      server.both();
      await page.evaluate(() => rest());
      assert.deepEqual([server.effectsOf(create), server.effectsOf(remove)], [1, 1]);
      assert.equal(server.document("orders", "order-1"), null);
      assert.equal(await page.evaluate(async () => (await orders.list()).items.length), 0);
    },
  );
}

scenario(
  "P14 P21: a refused edit gives way to the latest base, and is kept whole",
  async ({ server, page }) => {
    await page.evaluate(known, "order-1");
    server.both(steps.dropBefore);
    await page.evaluate(async () => {
      await orders.patch("order-1", { table: 8, note: null });
      await tried();
    });
    server.store.write("orders", "order-1", { table: 7, note: null, by: "another" });
    server.pull.always();
    server.push.always(
      steps.edited((answer, { operations }) => ({
        ...answer,
        outcomes: operations.map(({ opId }) => ({
          opId,
          kind: "rejected",
          code: "validation",
          message: "no",
          final: true,
        })),
      })),
    );
    const seen = await page.evaluate(async () => {
      await tried();
      await until(({ outbox }) => outbox.parked === 1);
      await tried();
      const [entry] = await sync.outbox.list({ state: "parked" });
      return { view: (await orders.get("order-1")).document, entry, events };
    });
    assert.deepEqual(
      seen.view,
      { table: 7, note: null, by: "another" },
      "byte for byte the server's",
    );
    assert.equal(seen.entry.snapshot.table, 8);
    assert.deepEqual(
      seen.events.map(([name]) => name),
      ["parked"],
    );
  },
);

scenario(
  "P7 R12: what names a record made offline leaves after that has its verdict, however urgent it is",
  async ({ server, page }) => {
    server.both(steps.dropBefore);
    const [customer, visit] = await page.evaluate(async () => {
      const made = await sync.collection("customers").create({ name: "Ada" }, { id: "c" });
      const urgent = { id: "v", priority: "high" };
      const visit = await sync.collection("visits").create({ customer: "c" }, urgent);
      return [made.opId, visit.opId];
    });
    server.both();
    await page.evaluate(() => rest());
    const at = (opId) => server.ledger.indexOf(server.carrying(opId)[0]);
    assert.ok(at(customer) >= 0 && at(customer) < at(visit), `${at(customer)} ${at(visit)}`);
    assert.deepEqual(server.document("visits", "v"), { customer: "c" });
  },
);

scenario(
  "P10 R12: what stands behind a refused create waits with it, and nothing else does",
  async ({ server, page }) => {
    const held = server.push.hold();
    await page.evaluate(async () => {
      await sync.collection("customers").create({ table: 13 }, { id: "c" });
    });
    await held.arrived;
    await page.evaluate(async () => {
      await sync.collection("customers").patch("c", { name: "Ada" });
      await sync.collection("visits").create({ customer: "c" }, { id: "v" });
      await orders.create({ table: 1 }, { id: "free" });
    });
    held.go();
    const seen = await page.evaluate(async () => {
      await until(({ outbox }) => outbox.parked === 3 && outbox.pending === 0);
      await tried();
      const entries = await sync.outbox.list();
      const shown = (await sync.collection("customers").list()).items.length;
      const refused = await sync.outbox.discard(entries[0].opId).catch((error) => error.code);
      const gone = await sync.outbox.discard(entries[0].opId, { dependents: "discard" });
      await rest();
      return {
        states: entries.map(({ entityId, state }) => `${entityId} ${state}`),
        refused,
        shown,
        gone: gone.length,
        left: (await sync.outbox.list()).length,
      };
    });
    assert.deepEqual(seen.states, ["c parked", "c blocked", "v blocked"]);
    assert.equal(seen.shown, 0, "R1");
    assert.deepEqual([seen.refused, seen.gone, seen.left], ["referenced", 3, 0]);
    assert.deepEqual(server.document("orders", "free"), { table: 1 });
    assert.equal(server.document("visits", "v"), undefined);
  },
);

scenario(
  "P10 A8: of a batch that is refused whole, the one that is to blame is found and parked alone",
  async ({ server, page }) => {
    const poisoned = ({ body }) => body.operations.some(({ id }) => id === "order-7");
    server.push.always(steps.where(poisoned, steps.problem(400, "malformed")));
    const seen = await page.evaluate(async () => {
      sync.pause();
      for (let n = 0; n < 20; n++) await orders.create({ n }, { id: `order-${n}` });
      sync.resume();
      // Each failure halves and waits: this asks again at once.
      while (sync.status.getSnapshot().outbox.pending > 0) await tried();
      const [entry] = await sync.outbox.list();
      return { entry, counts: sync.status.getSnapshot().outbox };
    });
    assert.deepEqual([seen.entry.entityId, seen.entry.why], ["order-7", "rejected"]);
    assert.deepEqual([seen.counts.pending, seen.counts.parked], [0, 1]);
    assert.equal(server.store.effects, 19);
    assert.ok(server.requests("push").length < 20, `${server.requests("push").length} requests`);
  },
);

scenario("A16: 413 halves the request, and the size is remembered", async ({ server, page }) => {
  const MOST = 3;
  server.push.always(
    steps.where(({ body }) => body.operations.length > MOST, steps.problem(413, "too-large")),
  );
  const write = (from) =>
    page.evaluate(async (from) => {
      sync.pause();
      for (let n = 0; n < 10; n++) await orders.create({ n }, { id: `order-${from + n}` });
      sync.resume();
      while (sync.status.getSnapshot().outbox.pending > 0) await tried();
    }, from);
  await write(0);
  const refused = () =>
    server.requests("push").filter(({ body }) => body.operations.length > MOST).length;
  const before = refused();
  assert.ok(before > 0);
  await write(10);
  assert.equal(refused(), before, "not tried again");
  assert.equal(server.store.effects, 20);
});

scenario(
  "R25 A15: an expired cursor pulls everything anew; the outbox stays, what is gone is gone",
  async ({ server, page }) => {
    server.store.write("orders", "kept", { table: 1 });
    server.store.write("orders", "forgotten", { table: 2 });
    await page.evaluate(() => rest());
    server.push.always(steps.dropBefore);
    const opId = await page.evaluate(async () => {
      const { opId } = await orders.patch("kept", { paid: true });
      await tried();
      return opId;
    });
    server.store.records.delete("orders/forgotten");
    server.pull.once(steps.problem(410, "cursor-expired"));
    const seen = await page.evaluate(async () => {
      await tried();
      await tried();
      const { items } = await orders.list();
      return items.map(({ id, document }) => [id, document]);
    });
    assert.deepEqual(seen, [["kept", { table: 1, paid: true }]]);
    assert.ok(server.requests("pull").filter(({ cursor }) => cursor === null).length >= 2);
    server.push.always();
    await page.evaluate(() => rest());
    assert.equal(server.effectsOf(opId), 1);
    assert.deepEqual(server.document("orders", "kept"), { table: 1, paid: true });
    assert.deepEqual(await page.evaluate(() => events), []);
  },
);

scenario(
  "A2 P36 P37: behind a captive portal nothing is taken for an answer, and the status says so",
  async ({ server, page }) => {
    server.both(steps.html(200));
    const seen = await page.evaluate(async () => {
      const { opId } = await orders.create({ table: 7 }, { id: "order-1" });
      const code = await tried();
      const { kind, reason, connection, outbox } = sync.status.getSnapshot();
      return { opId, code, kind, reason, connection: connection.kind, pending: outbox.pending };
    });
    const { opId, ...rest } = seen;
    assert.deepEqual(rest, {
      code: "unreachable",
      kind: "offline",
      reason: "foreign-response",
      connection: "disconnected",
      pending: 1,
    });
    server.both();
    await page.evaluate(() => globalThis.rest());
    assert.equal(server.effectsOf(opId), 1);
  },
);

const LIES = [
  [
    "contradictory verdicts",
    ({ outcomes: [first], ...rest }) => ({
      ...rest,
      outcomes: [
        first,
        { opId: first.opId, kind: "rejected", code: "x", message: "x", final: true },
      ],
    }),
  ],
  [
    "an unknown verdict",
    ({ outcomes: [first], ...rest }) => ({ ...rest, outcomes: [{ ...first, kind: "perhaps" }] }),
  ],
  [
    "a version of the wrong type",
    ({ outcomes: [first], ...rest }) => ({ ...rest, outcomes: [{ ...first, version: "1" }] }),
  ],
  ["no list of verdicts", ({ outcomes: [first], ...rest }) => ({ ...rest, outcomes: first })],
];
for (const [name, lie] of LIES) {
  scenario(
    `A7 P36 P5: ${name} end no operation; the same bytes are sent again`,
    async ({ server, page }) => {
      await page.evaluate(() => rest());
      server.push.once(
        steps.edited((answer) => (answer.outcomes.length > 0 ? lie(answer) : answer)),
      );
      // Without pulls no echo settles it.
      server.pull.always(steps.problem(503));
      const opId = await page.evaluate(async () => {
        const { opId } = await orders.create({ table: 7 }, { id: "order-1" });
        await until(({ outbox, reason }) => outbox.pending === 1 && reason === "protocol-error");
        return opId;
      });
      server.pull.always(steps.edited((answer) => ({ ...answer, changes: [] })));
      await page.evaluate(() => rest());
      const [first, second] = server.sent(opId);
      assert.equal(second, first);
      assert.equal(server.effectsOf(opId), 1);
    },
  );
}

scenario(
  "P5 P14: what may have left is sent again as it was, though a pull has moved the record meanwhile",
  async ({ server, page }) => {
    await page.evaluate(known, "order-1");
    server.push.once(steps.dropBefore);
    const held = server.pull.hold();
    const opId = await page.evaluate(
      async () => (await orders.patch("order-1", { table: 8 })).opId,
    );
    await held.arrived;
    server.store.write("orders", "order-1", { table: 7, by: "another" });
    held.go();
    await page.evaluate(() => rest());
    const sent = server.sent(opId);
    assert.equal(sent.length, 2);
    assert.equal(sent[1], sent[0]);
    assert.deepEqual(server.document("orders", "order-1"), { table: 8, by: "another" });
    assert.deepEqual(await page.evaluate(() => events), [], "each changed what the other did not");
  },
);

scenario(
  "P3 R8: however often an operation is lost on its way, that is no refusal of it",
  async ({ server, page }) => {
    await page.evaluate(() => rest());
    server.push.once(...Array(6).fill(steps.dropBefore));
    const { opId, outcome } = await page.evaluate(async () => {
      const { opId } = await orders.create({ table: 7 }, { id: "order-1" });
      // Each failure waits longer: this asks again at once.
      while (sync.status.getSnapshot().outbox.pending > 0) await tried();
      return { opId, outcome: (await sync.outcome(opId)).kind };
    });
    assert.equal(outcome, "applied");
    assert.equal(server.sent(opId).length, 7);
  },
);

scenario(
  "R7 A4 A5 A6: verdicts are matched by id alone: another order, strangers and repeats among them, one missing",
  async ({ server, page }) => {
    server.push.always(
      steps.edited((answer) => {
        if (answer.outcomes.length < 2) return answer;
        const stranger = { ...answer.outcomes[0], opId: "01900000-0000-7000-8000-000000000000" };
        const others = answer.outcomes.slice(1).reverse();
        return { ...answer, outcomes: [stranger, ...others, ...others] };
      }),
    );
    server.pull.always(steps.edited((answer) => ({ ...answer, changes: [] })));
    const opIds = await page.evaluate(async () => {
      sync.pause();
      const opIds = [];
      for (const table of [1, 2, 13, 4]) {
        opIds.push((await orders.create({ table }, { id: `order-${table}` })).opId);
      }
      sync.resume();
      while (sync.status.getSnapshot().outbox.pending > 0) await tried();
      return opIds;
    });
    const outcomes = await page.evaluate(
      async (opIds) => Promise.all(opIds.map(async (opId) => (await sync.outcome(opId)).kind)),
      opIds,
    );
    assert.deepEqual(outcomes, ["applied", "applied", "rejected", "applied"]);
    assert.equal(
      server.carrying(opIds[0]).length,
      2,
      "the one without a verdict was asked for again",
    );
    assert.equal(server.carrying(opIds[1]).length, 1);
  },
);

scenario(
  "P32 A9: of two tabs whose token ran out, one asks for a new one, and nothing is refused",
  async ({ server, page, context, another }) => {
    let asked = 0;
    await page.close();
    await context.exposeFunction("newToken", () => {
      asked += 1;
      return "new";
    });
    server.both(
      steps.where(
        ({ headers }) => headers.authorization === "Bearer new",
        steps.answer,
        steps.problem(401, "unauthorized"),
      ),
    );
    const tabs = [await another(), await another()];
    for (const tab of tabs) {
      await tab.evaluate(async () => {
        await sync.close();
        let token = "old";
        await open({
          getToken: async ({ reason }) => {
            if (reason === "refused") token = await newToken();
            return token;
          },
        });
      });
    }
    const outcomes = await Promise.all(
      tabs.map((tab, n) =>
        tab.evaluate(
          async (id) => (await (await orders.create({ table: 1 }, { id })).synced).kind,
          `order-${n}`,
        ),
      ),
    );
    assert.deepEqual(outcomes, ["applied", "applied"]);
    assert.equal(asked, 1);
    assert.equal(server.store.effects, 2);
  },
);

scenario(
  "P22 P23: one tab sends; when it is closed in the middle the other takes over what was away",
  async ({ server, page, another }) => {
    const tab = await another();
    const held = server.push.hold();
    const first = await page.evaluate(
      async () => (await orders.create({ table: 1 }, { id: "order-1" })).opId,
    );
    const { apply } = await held.arrived;
    const second = await tab.evaluate(
      async () => (await orders.create({ table: 2 }, { id: "order-2" })).opId,
    );
    assert.equal(
      server.carrying(second).length,
      0,
      "the other tab does not send while one is away",
    );
    await apply();
    server.pull.always(steps.edited((answer) => ({ ...answer, changes: [] })));
    await page.close();
    held.go(steps.dropBefore);
    const outcomes = await tab.evaluate(
      async (opIds) => Promise.all(opIds.map(async (opId) => (await sync.outcome(opId)).kind)),
      [first, second],
    );
    assert.deepEqual(outcomes, ["applied", "applied"]);
    assert.ok(server.carrying(first).length >= 2, "it was sent again, as it was");
    assert.equal(new Set(server.sent(first)).size, 1, "P5");
    assert.ok(server.requests("push").every(({ abreast }) => abreast === 1));
  },
);

scenario(
  "P9 A12: Retry-After is a lower bound, for writes that come meanwhile too",
  async ({ server, page }) => {
    await page.evaluate(() => rest());
    const count = server.ledger.length;
    server.push.once(steps.problem(503, "unavailable", { "retry-after": "2" }));
    const seen = await page.evaluate(async () => {
      const receipt = await orders.create({ table: 1 }, { id: "order-1" });
      await until(({ reason }) => reason === "rate-limited");
      await orders.create({ table: 2 }, { id: "order-2" });
      return (await receipt.synced).kind;
    });
    assert.equal(seen, "applied");
    const [refused, next] = server.ledger.slice(count);
    assert.ok(next.at - refused.at >= 2000, `${next.at - refused.at} ms`);
  },
);

scenario(
  "A17 P36: a cursor that does not move, with more to come, is asked for once and not for ever",
  async ({ server, page }) => {
    await page.evaluate(known, "order-1");
    const before = server.requests("pull").length;
    server.pull.always(
      steps.edited((answer, _) => ({
        ...answer,
        cursor: String(server.store.log.length),
        more: true,
      })),
    );
    const seen = await page.evaluate(async () => [await tried(), sync.status.getSnapshot().reason]);
    assert.deepEqual(seen, ["protocol-error", "protocol-error"]);
    assert.ok(server.requests("pull").length - before <= 2, "no loop");
    server.pull.always();
    await page.evaluate(() => rest());
  },
);

scenario(
  "R2 P30: a change that cannot be read is kept aside with its bytes; the rest of the page is not held up",
  async ({ server, page }) => {
    server.store.write("orders", "good", { table: 1 });
    server.pull.once(
      steps.edited((answer) => ({
        ...answer,
        changes: [
          { collection: "orders", id: "bad", version: 1, document: ["kept", "as it is"] },
          ...answer.changes,
        ],
      })),
    );
    const seen = await page.evaluate(async () => {
      await rest();
      const { items } = await orders.list();
      await sync.close();
      const database = await new Promise((resolve) => {
        const request = indexedDB.open("holdfast/till//");
        request.onsuccess = () => resolve(request.result);
      });
      const rows = await new Promise((resolve) => {
        const request = database.transaction("quarantine").objectStore("quarantine").getAll();
        request.onsuccess = () => resolve(request.result);
      });
      database.close();
      await open();
      return [items.map(({ id }) => id), rows.map(({ text }) => text).join()];
    });
    assert.deepEqual(seen[0], ["good"]);
    assert.match(seen[1], /kept\\?", ?\\?"as it is/);
  },
);

scenario(
  "R2 R5 P30: what a schema refuses of a pull is kept aside, and what was known of the record stays",
  async ({ server, page }) => {
    server.store.write("checked", "good", { table: 1 });
    server.store.write("checked", "bad", { table: "seven" });
    server.store.write("orders", "free", { table: "seven" });
    const seen = await page.evaluate(async () => {
      const reported = [];
      addEventListener("error", (event) => {
        reported.push([event.error?.code, event.error?.path]);
        event.preventDefault();
      });
      const validate = async ({ table }) =>
        typeof table === "number" ? { value: { table } } : { issues: [{ message: "a number" }] };
      const schema = { "~standard": { version: 1, vendor: "test", validate } };
      await sync.close();
      await open({ collections: { orders: {}, checked: { schema } } });
      await rest();
      const checked = sync.collection("checked");
      const ids = async (of) => (await of.list()).items.map(({ id }) => id);
      return {
        ids: [await ids(checked), await ids(orders)],
        reported,
        refused: await checked.patch("good", { table: "x" }).catch((error) => error.code),
      };
    });
    assert.deepEqual(seen, {
      ids: [["good"], ["free"]],
      reported: [["invalid-value", "checked/bad"]],
      refused: "invalid-value",
    });
    server.store.write("checked", "good", { table: "gone bad" });
    assert.deepEqual(
      await page.evaluate(async () => {
        await rest();
        return (await sync.collection("checked").get("good")).document;
      }),
      { table: 1 },
    );
    server.store.write("checked", "good", { table: 2 });
    server.store.write("checked", "bad", { table: 3 });
    assert.deepEqual(
      await page.evaluate(async () => {
        await rest();
        return (await sync.collection("checked").list()).items.map(({ document }) => document);
      }),
      [{ table: 3 }, { table: 2 }],
    );
  },
);

scenario(
  "R24 R13: what is edited offline, attempts and all, leaves as one operation",
  async ({ server, page }) => {
    await page.evaluate(known, "order-1");
    server.both(steps.dropBefore);
    const opIds = await page.evaluate(async () => {
      // Only when an attempt has failed it is known that there is no network.
      void tried();
      await until(({ connection }) => connection.kind === "disconnected");
      const opIds = [];
      for (let n = 1; n <= 5; n++) {
        opIds.push((await orders.patch("order-1", { n, [`at${n}`]: true })).opId);
        await tried();
      }
      return opIds;
    });
    assert.equal(server.carrying(opIds[0]).length, 0, "an attempt without a network seals nothing");
    server.both();
    const outcomes = await page.evaluate(async (opIds) => {
      await rest();
      return Promise.all(opIds.map(async (opId) => (await sync.outcome(opId)).kind));
    }, opIds);
    assert.deepEqual(outcomes, Array(5).fill("applied"));
    assert.equal(new Set(opIds).size, 1);
    assert.equal(server.carrying(opIds[0]).length, 1);
    assert.deepEqual(server.document("orders", "order-1"), {
      ...{ table: 7, n: 5, at1: true, at2: true, at3: true, at4: true, at5: true },
    });
  },
);

scenario(
  "P17 P18 A14: only what both sides changed is a conflict, and each collection's policy decides",
  async ({ server, page }) => {
    for (const name of ["orders", "notes", "menu"]) {
      server.store.write(name, "same", { a: 1, b: 1 });
      server.store.write(name, "apart", { a: 1, b: 1 });
    }
    await page.evaluate(() => rest());
    server.both(steps.dropBefore);
    await page.evaluate(async () => {
      for (const name of ["orders", "notes", "menu"]) {
        await sync.collection(name).patch("same", { a: 2 });
        await sync.collection(name).patch("apart", { a: 2 });
      }
    });
    for (const name of ["orders", "notes", "menu"]) {
      server.store.write(name, "same", { a: 3, b: 1 });
      server.store.write(name, "apart", { a: 1, b: 3 });
    }
    server.both();
    const seen = await page.evaluate(async () => {
      await tried();
      await until(({ outbox }) => outbox.pending === 0);
      const all = await sync.conflicts.list({ resolved: true });
      return all
        .map((it) => `${it.collection} ${it.entityId} ${it.resolved?.by ?? "open"} ${it.fields}`)
        .sort();
    });
    assert.deepEqual(seen, ["menu same policy a", "notes same open a", "orders same open a"]);
    for (const name of ["orders", "notes", "menu"]) {
      assert.deepEqual(server.document(name, "apart"), { a: 2, b: 3 }, `${name}: merged`);
      assert.deepEqual(
        server.document(name, "same"),
        { a: 3, b: 1 },
        `${name}: theirs until decided`,
      );
    }
  },
);

scenario(
  "P19: two tabs decide on one conflict at once: one wins, the other is told",
  async ({ server, page, another }) => {
    await page.evaluate(known, "order-1");
    server.both(steps.dropBefore);
    await page.evaluate(async () => void (await orders.patch("order-1", { table: 8 })));
    server.store.write("orders", "order-1", { table: 9 });
    server.both();
    const tab = await another();
    const id = await page.evaluate(async () => {
      await tried();
      await until(({ conflicts }) => conflicts === 1);
      return (await sync.conflicts.list())[0].id;
    });
    const decided = await Promise.all(
      [page, tab].map((it) =>
        it.evaluate(async (id) => {
          // Each has looked at it.
          await sync.conflicts.list();
          return sync.conflicts.resolve(id, { keep: "mine" }).then(
            ({ kind }) => kind,
            (error) => error.code,
          );
        }, id),
      ),
    );
    assert.deepEqual(decided.sort(), ["already-resolved", "resolved"]);
    await page.evaluate(() => rest());
    assert.deepEqual(server.document("orders", "order-1"), { table: 8 });
    assert.equal(server.store.records.get("orders/order-1").version, 3, "one effect");
  },
);

scenario(
  "R28 P24 P21: every tab hears of each commit once, in its order, after it is stored",
  async ({ server, page, another }) => {
    await page.evaluate(known, "order-1");
    const tab = await another();
    const tabs = [page, tab];
    const listen = () => {
      sync.pause();
      globalThis.heard = [];
      sync.on("change", (changes) => {
        const entry = { ids: changes.flatMap(({ ids }) => ids), seen: undefined };
        globalThis.heard.push(entry);
        void orders.get(entry.ids[0]).then((record) => {
          entry.seen = record?.document.n;
        });
      });
    };
    await Promise.all(tabs.map((it) => it.evaluate(listen)));
    await page.evaluate(async () => {
      for (let n = 1; n <= 5; n += 1) await orders.create({ n }, { id: `new-${n}` });
    });
    for (const it of tabs) {
      await it.waitForFunction(() => globalThis.heard.filter(({ seen }) => seen).length >= 5);
      assert.deepEqual(
        await it.evaluate(() => globalThis.heard),
        [1, 2, 3, 4, 5].map((n) => ({ ids: [`new-${n}`], seen: n })),
      );
    }
    // What needs a person, every tab is told, whichever of them sends.
    await page.evaluate(async () => {
      await orders.create({ table: 13 }, { id: "refused" });
      await orders.patch("order-1", { table: 8 });
    });
    server.store.write("orders", "order-1", { table: 9 });
    const told = () => globalThis.events.map(([name, { entityId }]) => `${name} ${entityId}`);
    for (const it of tabs) await it.evaluate(() => sync.resume());
    for (const it of tabs) {
      await it.waitForFunction(() => globalThis.events.length >= 2);
      await it.evaluate(() => until(({ outbox }) => outbox.pending === 0));
      assert.deepEqual((await it.evaluate(told)).sort(), ["conflict order-1", "parked refused"]);
    }
  },
);

scenario(
  "R9: drain and outcome settle in another tab, after a restart, for what this one never wrote",
  async ({ server, page, another }) => {
    server.both(steps.dropBefore);
    const opIds = await page.evaluate(async () => {
      const opIds = [];
      for (const table of [1, 13]) {
        opIds.push((await orders.create({ table }, { id: `order-${table}` })).opId);
      }
      return opIds;
    });
    await page.close();
    const tab = await another();
    const waiting = tab.evaluate(async (opIds) => {
      const outcomes = Promise.all(opIds.map(async (opId) => (await sync.outcome(opId)).kind));
      const drained = await sync.drain();
      return [drained, await outcomes];
    }, opIds);
    server.both();
    const [drained, outcomes] = await waiting;
    assert.deepEqual(outcomes, ["applied", "rejected"]);
    assert.deepEqual([drained.pending, drained.parked], [0, 1]);
    assert.deepEqual(
      await tab.evaluate(
        async (opId) => (await sync.outcome(opId)).kind,
        "01900000-0000-7000-8000-000000000000",
      ),
      "unknown",
    );
  },
);

scenario(
  "P35: hostile JSON goes through whole, or is refused with its place",
  async ({ server, page }) => {
    const hostile =
      '{"__proto__":{"polluted":true},"constructor":1,"":"empty","big":9007199254740991,"text":"\\u2028\\ud83d\\ude00\\u0000","null":null}';
    server.store.write("orders", "pulled", JSON.parse(hostile));
    const seen = await page.evaluate(async (hostile) => {
      await (await orders.create(JSON.parse(hostile), { id: "sent" })).synced;
      await rest();
      let deep = {};
      for (let n = 0; n < 63; n++) deep = { deep };
      await (await orders.create({ deep: deep.deep }, { id: "deep" })).synced;
      const codes = [];
      for (const bad of [
        { a: "\ud800" },
        { a: [Number.NaN] },
        { "\udc00": 1 },
        { a: { deep: { deep } } },
        { a: 1n },
      ]) {
        const refused = await orders.create(bad, { id: "bad" }).catch((error) => error);
        codes.push(`${refused.code} ${refused.path?.slice(0, 4)}`);
      }
      const text = async (id) => JSON.stringify((await orders.get(id)).document);
      return {
        pulled: await text("pulled"),
        sent: await text("sent"),
        codes,
        polluted: {}.polluted,
      };
    }, hostile);
    const same = (text) =>
      assert.deepEqual(
        Object.entries(JSON.parse(text)).sort(),
        Object.entries(JSON.parse(hostile)).sort(),
      );
    same(seen.pulled);
    same(seen.sent);
    same(JSON.stringify(server.document("orders", "sent")));
    assert.equal(seen.polluted, undefined);
    for (const code of seen.codes)
      assert.match(code, /^(invalid-value|too-large) [a[]/, seen.codes.join("; "));
  },
);

scenario(
  "P34: a clock that is set back a day does not put off what was to be asked again",
  async ({ server, page }) => {
    server.pull.always(steps.edited((answer) => ({ ...answer, changes: [] })));
    await page.evaluate(() => rest());
    const held = server.push.hold();
    const opId = await page.evaluate(
      async () => (await orders.create({ table: 7 }, { id: "order-1" })).opId,
    );
    await held.arrived;
    held.go(
      steps.edited((answer, { operations }) => ({
        ...answer,
        outcomes: operations.map(({ opId }) => ({ opId, kind: "retry", after: 1800 })),
      })),
    );
    await page.evaluate(async () => {
      await until(({ outbox }) => outbox.inFlight === 0);
      await tried();
    });
    assert.equal(server.carrying(opId).length, 1, "not before its time");
    await page.evaluate(async () => {
      globalThis.clock = -86_400_000;
      await tried();
      await until(({ outbox }) => outbox.pending === 0);
    });
    assert.equal(server.carrying(opId).length, 2);
  },
  {
    init: () => {
      const now = Date.now;
      globalThis.clock = 0;
      Date.now = () => now() + globalThis.clock;
    },
  },
);

const BROKEN = {
  truncated: steps.truncated,
  "cut off": steps.cut,
  "without its first marker": steps.without("holdfast"),
  "without its last marker": steps.without("end"),
  "of another type": steps.type("text/plain"),
  "without its cursor": steps.without("cursor"),
  "larger than anybody reads": steps.huge(40),
};
for (const [name, step] of Object.entries(BROKEN)) {
  scenario(
    `P13 P36: a page that is ${name} is not stored, nor is its cursor`,
    async ({ server, page }) => {
      await page.evaluate(() => rest());
      const cursor = server.requests("pull").at(-1).cursor;
      server.store.write("orders", "order-1", { table: 1 });
      server.pull.once(step);
      const seen = await page.evaluate(async () => [
        (await tried()) !== "done",
        (await orders.list()).items.length,
      ]);
      assert.deepEqual(seen, [true, 0]);
      server.pull.once(steps.slow);
      await page.evaluate(() => rest());
      assert.deepEqual(await page.evaluate(async () => (await orders.get("order-1")).document), {
        table: 1,
      });
      const asked = server.requests("pull").map((entry) => entry.cursor);
      assert.equal(asked.at(-1) === cursor, false, "then it moved on");
    },
  );
}

scenario(
  "P8 A1 A13: after one failure of each kind, and silence, everything drains by itself",
  async ({ server, page }) => {
    await page.evaluate(() => rest());
    const failures = [
      steps.dropBefore,
      steps.dropAfter,
      steps.html(200),
      steps.problem(500, "internal"),
      steps.problem(409),
      steps.problem(429, "rate-limited", { "retry-after": "0" }),
      steps.truncated,
      steps.without("end"),
    ];
    for (const [n, failure] of failures.entries()) {
      server.push.once(failure);
      const outcome = await page.evaluate(
        async (id) => (await (await orders.create({ table: 1 }, { id })).synced).kind,
        `order-${n}`,
      );
      assert.equal(outcome, "applied");
    }
    assert.equal(server.store.effects, failures.length);
  },
);
