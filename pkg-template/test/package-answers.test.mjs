// Every row of the table of answers (docs/protocol.md, 5), for a push and for a pull: what a server may say, what the status says then, and
// that nothing is lost, repeated or believed for it. Promises 3.1: A1 to A17, P5, P6, P13, P36, P37.
import assert from "node:assert/strict";
import { scenarios } from "./scenario.mjs";
import { steps } from "./scripted-server.mjs";

const scenario = scenarios();

const JSON_TYPE = { "content-type": "application/json" };
const plain =
  (status, headers = {}, body = "") =>
  () => ({ status, headers, body });
const silent = { code: "unreachable", kind: "offline", reason: "unreachable" };
const foreign = { code: "unreachable", kind: "offline", reason: "foreign-response" };
const later = { code: "unreachable", kind: "pending", reason: "rate-limited" };
const forbidden = { code: "protocol-error", kind: "blocked-by-server", reason: "forbidden" };
const misconfigured = { ...forbidden, reason: "misconfigured" };
const unauthorized = { code: "auth-required", kind: "auth-required" };
const nonsense = { code: "protocol-error", kind: "pending", reason: "protocol-error" };
/** The server answered, and wants to be asked again. */
const again = { code: "unreachable", kind: "pending", connection: "connected" };

/** Whatever was asked: no answer, not ours, or one about the whole request. */
const EITHER = [
  ["a line that is dead", steps.dropBefore, silent],
  ["an answer that is lost", steps.dropAfter, silent],
  ["a body that breaks off", steps.cut, silent],
  ["a redirect", plain(302, { location: "/login" }), silent],
  ["half a body that looks whole", steps.truncated, foreign],
  ["a captive portal", steps.html(200), foreign],
  ["an empty body", plain(200, JSON_TYPE), foreign],
  ["204", plain(204), foreign],
  ["no JSON", plain(200, JSON_TYPE, "<html>"), foreign],
  ["another JSON", plain(200, JSON_TYPE, "{}"), foreign],
  ["another type", steps.type("text/plain"), foreign],
  ["no first marker", steps.without("holdfast"), foreign],
  ["no last marker", steps.without("end"), foreign],
  ["a status that nobody gave it", steps.problem(418), foreign],
  ["400 of a proxy", steps.html(400), foreign],
  ["422 of a proxy", steps.html(422), foreign],
  ["502 of a gateway", steps.html(502), foreign],
  ["503 of a gateway", steps.html(503), foreign],
  ["511", steps.html(511), foreign],
  ["401", steps.problem(401), unauthorized],
  ["401 of a proxy", steps.html(401), unauthorized],
  ["402", steps.problem(402), forbidden],
  ["403", steps.problem(403), forbidden],
  ["403 of a proxy", steps.html(403), forbidden],
  ["404", steps.problem(404), misconfigured],
  ["404 of a proxy", steps.html(404), misconfigured],
  ["405", steps.problem(405), misconfigured],
  ["501", steps.problem(501), misconfigured],
  ...[408, 409, 425, 429, 500, 502, 503, 504, 507, 522].map((status) => [
    `${status}`,
    steps.problem(status),
    later,
  ]),
];

const verdicts = (edit) =>
  steps.edited(({ outcomes, ...rest }) => ({ ...rest, outcomes: edit(outcomes) }));
const onVerdict = (edit) => verdicts((outcomes) => outcomes.map(edit));

const PUSH = [
  ...EITHER,
  ["410", steps.problem(410), foreign],
  ["no list of verdicts", verdicts(() => ({})), nonsense],
  ["an unknown verdict", onVerdict((one) => ({ ...one, kind: "perhaps" })), nonsense],
  ["a version that is none", onVerdict((one) => ({ ...one, version: "1" })), nonsense],
  ["a conflict without its record", onVerdict((one) => ({ ...one, kind: "conflict" })), nonsense],
  [
    "verdicts that contradict each other",
    verdicts(([one]) => [
      one,
      { opId: one.opId, kind: "rejected", code: "x", message: "x", final: true },
    ]),
    nonsense,
  ],
  ["no verdict on what was asked", verdicts(() => []), again],
  ["a wish to wait", onVerdict(({ opId }) => ({ opId, kind: "retry" })), again],
];

const page = (more) => steps.edited((answer) => ({ ...answer, ...more }));

const PULL = [
  ...EITHER,
  ["304", plain(304), foreign],
  ["400", steps.problem(400), nonsense],
  ["413", steps.problem(413), nonsense],
  ["415", steps.problem(415), nonsense],
  ["422", steps.problem(422), nonsense],
  ["no cursor", steps.without("cursor"), nonsense],
  ["an empty cursor", page({ cursor: "" }), nonsense],
  ["a cursor that is no text", page({ cursor: 7 }), nonsense],
  ["changes that are no list", page({ changes: {} }), nonsense],
  ["no word on whether there is more", steps.without("more"), nonsense],
];

/** In the page: asks, and waits until the status says what it should; otherwise the test runs out of time. */
const said = async ({ kind, reason }) => {
  const asked = await tried();
  // The cycle that the write began by itself may have had the answer, and then nothing was left to ask.
  const own = cycles.slice(globalThis.since ?? cycles.length).find(({ halted }) => halted);
  const code = asked === "done" ? (own?.halted ?? asked) : asked;
  const status = await until((now) => now.kind === kind && now.reason === reason);
  return { code, connected: status.connection.kind, outbox: status.outbox };
};

const connected = ({ kind, connection }) =>
  connection ?? (kind === "offline" ? "disconnected" : "limited");

scenario(
  "P5 P6 P36 P37: whatever a push is answered, it is sent again as it was and has its effect once",
  async ({ server, page }) => {
    await page.evaluate(() => rest());
    // No echo tells what an answer should have told.
    server.pull.always(steps.edited((answer) => ({ ...answer, changes: [] })));
    for (const [n, [name, step, expected]] of PUSH.entries()) {
      server.push.always(step);
      const opId = await page.evaluate(async (id) => {
        globalThis.since = cycles.length;
        return (await orders.create({ table: 1 }, { id })).opId;
      }, `order-${n}`);
      const seen = await page.evaluate(said, expected);
      assert.equal(seen.code, expected.code, name);
      assert.equal(seen.outbox.pending, 1, `${name}: it waits`);
      assert.equal(seen.outbox.parked, 0, `${name}: nobody has refused it`);
      assert.equal(seen.connected, connected(expected), name);
      server.push.always();
      const outcome = await page.evaluate(async (id) => {
        await rest();
        return (await sync.outcome(id)).kind;
      }, opId);
      assert.equal(outcome, "applied", name);
      assert.equal(server.effectsOf(opId), 1, name);
      const [first, ...again] = server.sent(opId);
      for (const sent of again) assert.equal(sent, first, name);
    }
    assert.deepEqual(
      await page.evaluate(() => events.filter(([kind]) => kind !== "auth-required")),
      [],
    );
  },
);

scenario(
  "P13 P36 P37: whatever a pull is answered, nothing of it is stored, and it goes on where it was",
  async ({ server, page }) => {
    await page.evaluate(() => rest());
    for (const [n, [name, step, expected]] of PULL.entries()) {
      const { cursor } = server.requests("pull").at(-1);
      const id = `order-${n}`;
      server.store.write("orders", id, { table: n });
      const before = server.requests("pull").length;
      server.pull.always(step);
      const seen = await page.evaluate(said, expected);
      assert.equal(seen.code, expected.code, name);
      assert.equal(seen.connected, connected(expected), name);
      assert.equal(await page.evaluate((id) => orders.get(id), id), undefined, name);
      server.pull.always();
      await page.evaluate(() => rest());
      const [first, ...more] = server.requests("pull").slice(before);
      assert.ok(Number(first.cursor) >= Number(cursor), name);
      assert.ok(
        more.some((asked) => asked.cursor === first.cursor),
        `${name}: asked again`,
      );
      const document = await page.evaluate(async (id) => (await orders.get(id)).document, id);
      assert.deepEqual(document, { table: n }, name);
    }
    const { items, complete } = await page.evaluate(() => orders.list());
    assert.deepEqual([items.length, complete], [PULL.length, true]);
  },
);

for (const [status, code] of [
  [400, "refused"],
  [415, "refused"],
  [422, "refused"],
  [413, "too-large"],
]) {
  scenario(
    `A8 A16 P10: ${status} to an operation that is alone is its refusal, and holds up nobody`,
    async ({ server, page }) => {
      await page.evaluate(() => rest());
      server.push.always(
        steps.where(
          ({ body }) => body.operations.some(({ id }) => id === "bad"),
          steps.problem(status),
        ),
      );
      const seen = await page.evaluate(async () => {
        const bad = await orders.create({ table: 1 }, { id: "bad" });
        const good = await orders.create({ table: 2 }, { id: "good" });
        while (sync.status.getSnapshot().outbox.pending > 0) await tried();
        return [await bad.synced, await good.synced];
      });
      assert.deepEqual([seen[0].kind, seen[0].code, seen[1].kind], ["rejected", code, "applied"]);
      assert.equal(server.document("orders", "bad"), undefined);
    },
  );
}

scenario(
  "A10 P32: a token that is refused for good keeps everything, and is asked for once more",
  async ({ server, page }) => {
    const asked = await page.evaluate(async () => {
      await sync.close();
      const asked = [];
      globalThis.token = "old";
      await open({
        getToken: ({ reason }) => {
          asked.push(reason);
          return globalThis.token;
        },
      });
      await rest();
      globalThis.asked = asked;
      return asked.length;
    });
    assert.ok(asked > 0);
    server.both(
      steps.where(
        ({ headers }) => headers.authorization === "Bearer new",
        steps.answer,
        steps.problem(401),
      ),
    );
    const seen = await page.evaluate(async () => {
      await orders.create({ table: 1 }, { id: "order-1" });
      globalThis.asked.length = 0;
      const code = await tried();
      await until(({ kind }) => kind === "auth-required");
      const reasons = [...globalThis.asked];
      const { pending } = sync.status.getSnapshot().outbox;
      globalThis.token = "new";
      sync.authenticated();
      await until(({ kind }) => kind === "synced");
      return { code, reasons, pending, told: events.some(([kind]) => kind === "auth-required") };
    });
    assert.deepEqual([seen.code, seen.pending, seen.told], ["auth-required", 1, true]);
    assert.ok(seen.reasons.includes("refused"), seen.reasons.join());
    assert.equal(server.store.effects, 1);
    const tokens = server.ledger.map(({ headers }) => headers.authorization);
    assert.ok(tokens.includes("Bearer old") && tokens.includes("Bearer new"));
  },
);
