import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conflict, Status } from "holdfast";
import { fieldRows } from "../src/diff";
import { money, surcharge } from "../src/money";
import { shortId } from "../src/order";
import { ago } from "../src/time";
import { codeOf, failureWords, statusWords } from "../src/words";

const kinds: Status["kind"][] = [
  "synced",
  "pending",
  "syncing",
  "offline",
  "paused",
  "auth-required",
  "blocked-by-server",
  "storage-full",
  "storage-lost",
  "superseded",
  "stalled",
  "crashed",
];

const status = (kind: Status["kind"], more: Partial<Status> = {}): Status => ({
  kind,
  since: 0,
  connection: { kind: "connected", reason: "" },
  leader: true,
  outbox: { pending: 2, inFlight: 1, parked: 0, bytes: 0 },
  conflicts: 0,
  storage: { durability: "strict" },
  ...more,
});

test("every status has words and a flag of its own", () => {
  const words = kinds.map((kind) => statusWords(status(kind)));
  assert.equal(new Set(words.map((one) => one.label)).size, kinds.length);
  assert.equal(new Set(words.map((one) => one.flag)).size, kinds.length);
  for (const one of words) assert.match(one.sentence, /^[A-Z].*\.$/);
});

test("synced with something parked is not all well", () => {
  const parked = { pending: 0, inFlight: 0, parked: 1, bytes: 0 };
  assert.equal(statusWords(status("synced", { outbox: parked })).tone, "alarm");
  assert.equal(statusWords(status("synced", { conflicts: 1 })).tone, "alarm");
  assert.equal(statusWords(status("pending", { outbox: parked })).label, "Needs you");
  assert.equal(statusWords(status("synced")).tone, "calm");
});

test("a server's refusal is said by its reason, also by one nobody knew", () => {
  const sentence = (reason: string) =>
    statusWords(status("blocked-by-server", { reason })).sentence;
  assert.match(sentence("foreign-response"), /Wi-Fi/);
  assert.match(sentence("lunch-break"), /lunch-break/);
});

test("an error keeps its code beside the words", () => {
  const full = Object.assign(new Error("QuotaExceededError"), { code: "storage-full" });
  assert.deepEqual(failureWords(full), {
    code: "storage-full",
    message: "This device has no room left.",
  });
  assert.equal(codeOf("what"), "unexpected");
  assert.equal(failureWords(new TypeError("boom")).message, "boom");
});

test("money is cents until it is text", () => {
  assert.equal(money(1250), "€12.50");
  assert.equal(money(0), "€0.00");
  assert.equal(surcharge(0), "");
  assert.equal(surcharge(50), "+€0.50");
  assert.equal(surcharge(-300), "−€3.00");
});

test("ages are told in one unit, and never in the future", () => {
  assert.equal(ago(1000, 500), "just now");
  assert.equal(ago(0, 42_000), "42 s ago");
  assert.equal(ago(0, 7_200_000), "2 h ago");
});

test("an order is called by the end of its id", () => {
  assert.equal(shortId("0193c1f2-0000-7000-8000-00000001c94d"), "1C94D");
  assert.equal(shortId("order-12"), "DER12");
  assert.equal(shortId("--"), "?????");
});

test("a conflict is laid out by field, in words", () => {
  const line = (qty: number) => ({
    name: "Chowder",
    qty,
    cents: qty * 890,
    mods: ["Small portion"],
  });
  const conflict: Conflict = {
    id: "c",
    collection: "orders",
    entityId: "o",
    kind: "update-update",
    base: { note: "a", lines: [line(1)], total: 890 },
    mine: { lines: [line(2)], total: 1780 },
    theirs: { note: "b", lines: [line(3)], total: 2670 },
    fields: ["note", "lines", "total"],
    at: 0,
  };
  assert.deepEqual(fieldRows(conflict), [
    { field: "note", label: "Note", base: "a", mine: "nothing", theirs: "b" },
    {
      field: "lines",
      label: "Items",
      base: "1 × Chowder, Small portion",
      mine: "2 × Chowder, Small portion",
      theirs: "3 × Chowder, Small portion",
    },
    { field: "total", label: "Total", base: "€8.90", mine: "€17.80", theirs: "€26.70" },
  ]);
  assert.equal(fieldRows({ ...conflict, theirs: null })[0]?.theirs, "—");
});
