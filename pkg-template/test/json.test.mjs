import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";
import { load } from "./fake.mjs";

const { objectText } = await load("json.js");

const nested = (levels) => {
  let value = 1;
  for (let level = 0; level < levels; level += 1) value = { a: value };
  return value;
};
const cycle = { lines: [{}] };
cycle.lines[0].order = cycle;
class Money {
  cents = 1;
}

const REFUSED = [
  [
    "a number that is none",
    { items: [{}, {}, { price: Number.NaN }] },
    "invalid-value",
    "items[2].price",
  ],
  ["infinity", { a: Number.POSITIVE_INFINITY }, "invalid-value", "a"],
  ["a bigint", { a: 1n }, "invalid-value", "a"],
  ["a date", { at: new Date(0) }, "invalid-value", "at"],
  ["a map", { a: new Map() }, "invalid-value", "a"],
  ["an instance of a class", { a: new Money() }, "invalid-value", "a"],
  ["a boxed string", { a: Object("x") }, "invalid-value", "a"],
  ["a function", { a: { b: () => 1 } }, "invalid-value", "a.b"],
  ["toJSON, which is a function like any other", { toJSON: () => ({}) }, "invalid-value", "toJSON"],
  ["a symbol", { a: Symbol("x") }, "invalid-value", "a"],
  ["a symbol as a key", { a: { [Symbol("x")]: 1 } }, "invalid-value", "a"],
  ["a cycle", cycle, "invalid-value", "lines[0].order"],
  ["half a character", { note: "a\ud800b" }, "invalid-value", "note"],
  ["half a character in a key", { "x\udc00": 1 }, "invalid-value", '["x\\udc00"]'],
  ["undefined in an array", { a: [1, undefined] }, "invalid-value", "a[1]"],
  ["a hole in an array", { a: Object.assign(Array(3), { 0: 1, 2: 2 }) }, "invalid-value", "a[1]"],
  ["2^53", { a: 2 ** 53 }, "invalid-value", "a"],
  ["-2^53", { a: -(2 ** 53) }, "invalid-value", "a"],
  ["1e300", { a: 1e300 }, "invalid-value", "a"],
  ["65 levels", nested(65), "too-large", Array(64).fill("a").join(".")],
  ["a key of 257 bytes", { a: { ["k".repeat(257)]: 1 } }, "too-large", "a"],
  ["a key of 258 bytes in 129 characters", { a: { ["ü".repeat(129)]: 1 } }, "too-large", "a"],
  ["a string of more than 1 MiB", { a: "x".repeat(1_048_577) }, "too-large", "a"],
  ["a document of more than 256 KiB", { a: "x".repeat(262_144) }, "too-large", undefined],
  ["an array", [], "invalid-value", undefined],
  ["null", null, "invalid-value", undefined],
  ["nothing", undefined, "invalid-value", undefined],
  ["a string", "{}", "invalid-value", undefined],
  [
    "a getter that throws",
    {
      get a() {
        throw new Error("no");
      },
    },
    "invalid-value",
    "a",
  ],
  ["a name that is no identifier", { "a b": [[Number.NaN]] }, "invalid-value", '["a b"][0][0]'],
];

for (const [name, value, code, path] of REFUSED) {
  // P35: refused before it is accepted, with its path.
  test(`refused: ${name}`, () => {
    assert.throws(
      () => objectText(value),
      (error) => {
        assert.equal(error.code, code, error.message);
        assert.equal(error.path, path);
        return true;
      },
    );
  });
}

const TAKEN = [
  ["nothing in it", {}, "{}"],
  ["every kind", { s: "ü\n", n: 1.5, t: true, f: false, z: null, a: [[], {}] }],
  ["undefined members are left out", { a: undefined, b: 1, c: undefined }, '{"b":1}'],
  ["-0 is 0", { a: -0, b: [-0] }, '{"a":0,"b":[0]}'],
  ["2^53 - 1", { a: Number.MAX_SAFE_INTEGER }, '{"a":9007199254740991}'],
  ["small fractions", { a: 5e-324, b: 1.1e-7 }],
  ["a pair of surrogates", { a: "😀", "😀": 1 }],
  ["64 levels", nested(64)],
  ["a key of 256 bytes", { ["k".repeat(256)]: 1 }],
  ["the same object twice", { a: cycle.none, b: [nested(1), nested(1)] }],
  ["no prototype", Object.assign(Object.create(null), { a: 1 })],
  ["an object of another realm", vm.runInNewContext("({ a: [1, { b: 2 }] })")],
  ["__proto__ as a name", JSON.parse('{"__proto__":{"a":1},"constructor":1}')],
];

for (const [name, value, text] of TAKEN) {
  // P35.
  test(`taken: ${name}`, () => {
    assert.equal(objectText(value), text ?? JSON.stringify(value));
  });
}

test("shared, but not in itself, is no cycle", () => {
  const line = { cents: 1 };
  assert.equal(
    objectText({ a: line, b: [line, line] }),
    '{"a":{"cents":1},"b":[{"cents":1},{"cents":1}]}',
  );
});

// P35.
test("every member is read once, so what was checked is what crosses", () => {
  let reads = 0;
  const value = {
    get price() {
      reads += 1;
      return reads === 1 ? 1 : Number.NaN;
    },
  };
  assert.equal(objectText(value), '{"price":1}');
  assert.equal(reads, 1);
});

test("toJSON of a prototype is not asked", () => {
  Object.defineProperty(Object.prototype, "toJSON", { value: () => "no", configurable: true });
  try {
    assert.equal(objectText({ a: [{ b: "x" }] }), '{"a":[{"b":"x"}]}');
  } finally {
    Reflect.deleteProperty(Object.prototype, "toJSON");
  }
});

test("a message says where, never what", () => {
  assert.throws(
    () => objectText({ card: 2 ** 60, secret: "4111" }),
    (error) => !error.message.includes(String(2 ** 60)) && error.message.includes("card"),
  );
});

test("limits count bytes, not characters", () => {
  const limits = { depth: 2, keyBytes: 4, stringBytes: 6, totalBytes: 100 };
  assert.equal(objectText({ üü: "€€" }, limits), '{"üü":"€€"}');
  assert.throws(() => objectText({ a: "€€€" }, limits), { code: "too-large", path: "a" });
  assert.equal(objectText({ a: "😀" }, limits), '{"a":"😀"}');
  assert.throws(() => objectText({ a: "😀😀" }, limits), { code: "too-large", path: "a" });
});
