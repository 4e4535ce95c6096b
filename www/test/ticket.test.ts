import assert from "node:assert/strict";
import { test } from "node:test";
import { menu, modifiersFor } from "../src/menu";
import { readOrder } from "../src/order";
import {
  addItem,
  changeLine,
  draftTotal,
  emptyDraft,
  greatestQuantity,
  mostLines,
  parseDraft,
  setQuantity,
  toOrder,
} from "../src/ticket";

const start = emptyDraft("a");
const at = { till: "1", staff: "Mia", now: 1_763_650_000_000 };

test("an item added twice is one line", () => {
  const draft = addItem(addItem(start, "chips"), "chips", 2);
  assert.deepEqual(
    draft.lines.map(({ sku, qty }) => [sku, qty]),
    [["chips", 3]],
  );
  assert.equal(draftTotal(draft), 3 * 420);
});

test("a line with wishes stays apart from a plain one", () => {
  const wished = changeLine(addItem(start, "flat-white"), 1, { mods: ["oat"] });
  const draft = addItem(wished, "flat-white");
  assert.equal(draft.lines.length, 2);
  assert.equal(draftTotal(draft), 360 + 50 + 360);
});

test("taking the last piece away takes the line away", () => {
  assert.deepEqual(setQuantity(addItem(start, "chips"), 1, 0).lines, []);
});

test("quantities and lines have a limit", () => {
  const many = addItem(addItem(start, "chips", 90), "chips", 90);
  assert.equal(many.lines[0]?.qty, greatestQuantity);
  let draft = start;
  for (let n = 0; n < mostLines + 5; n++) {
    draft = addItem(draft, "chips");
    draft = changeLine(draft, draft.lines.at(-1)?.key ?? 0, { note: `${n}` });
  }
  assert.equal(draft.lines.length, mostLines);
});

test("an unknown item is not sold", () => {
  assert.equal(addItem(start, "caviar"), start);
});

test("the order's total is the sum of its lines' cents", () => {
  const draft = changeLine(addItem(addItem(start, "crab-roll", 2), "water"), 1, {
    mods: ["extra-aioli", "small"],
    note: "  no mayo ",
  });
  const order = toOrder(draft, at);
  assert.equal(order.lines[0]?.unit, 1620 + 90 - 300);
  assert.equal(order.lines[0]?.note, "no mayo");
  assert.equal(
    order.total,
    order.lines.reduce((sum, line) => sum + line.cents, 0),
  );
  assert.equal(order.total, 2 * 1410 + 260);
  assert.equal(order.table, "Counter");
  assert.equal("note" in order, false, "an empty note is no member");
});

test("a stored draft comes back whole, and a damaged one not at all", () => {
  const draft = changeLine(addItem(start, "mocha", 2), 1, { mods: ["oat"], note: "hot" });
  assert.deepEqual(parseDraft(JSON.stringify(draft)), draft);
  for (const damaged of [null, "", "{", "[]", "null", '{"id":1,"lines":[]}', '{"id":"a"}']) {
    assert.equal(parseDraft(damaged), undefined, String(damaged));
  }
});

test("a draft of an older menu loses only what is gone", () => {
  const stored = {
    id: "a",
    lines: [
      { sku: "caviar", qty: 1 },
      { sku: "chips", qty: 2, mods: ["gold"] },
    ],
  };
  assert.deepEqual(parseDraft(JSON.stringify(stored))?.lines, [
    { key: 1 + 1, sku: "chips", qty: 2, mods: [], note: "" },
  ]);
});

test("no modifier makes an item cost less than nothing, and no item is listed twice", () => {
  assert.equal(new Set(menu.map((item) => item.sku)).size, menu.length);
  for (const item of menu) {
    const off = modifiersFor(item.sku).reduce((sum, one) => sum + Math.min(0, one.price), 0);
    assert.ok(item.price + off > 0, item.sku);
    assert.ok(Number.isSafeInteger(item.price), item.sku);
  }
});

test("an order of another program is read without harm", () => {
  const order = readOrder({ lines: [{ name: "Taco", cents: 875 }, null], total: 875, table: 7 });
  assert.equal(order.table, "7");
  assert.equal(order.lines[0]?.cents, 875);
  assert.equal(order.status, "open");
  assert.deepEqual(readOrder(null).lines, []);
});
