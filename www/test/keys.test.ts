import assert from "node:assert/strict";
import { test } from "node:test";
import { dayFloor, newId, timeFloor } from "../src/ids";
import { neighbour, typeDigit } from "../src/keys";

const cell = (column: number, row: number) => ({
  left: column * 100,
  top: row * 50,
  width: 90,
  height: 40,
});
// Three in the first row, one in the second, two in the third.
const places = [cell(0, 0), cell(1, 0), cell(2, 0), cell(0, 1), cell(0, 2), cell(1, 2)];

test("arrows move along rows and to the nearest cell of the next row", () => {
  const moves: [key: string, from: number, to: number | undefined][] = [
    ["ArrowRight", 0, 1],
    ["ArrowRight", 2, 3],
    ["ArrowRight", 5, undefined],
    ["ArrowLeft", 3, 2],
    ["ArrowLeft", 0, undefined],
    ["ArrowDown", 0, 3],
    ["ArrowDown", 2, 3],
    ["ArrowDown", 3, 4],
    ["ArrowDown", 4, undefined],
    ["ArrowUp", 5, 3],
    ["ArrowUp", 3, 0],
    ["ArrowUp", 1, undefined],
    ["Home", 4, 0],
    ["End", 0, 5],
    ["a", 0, undefined],
  ];
  for (const [key, from, to] of moves) {
    assert.equal(neighbour(key, from, places), to, `${key} from ${from}`);
  }
  assert.equal(neighbour("ArrowDown", 0, []), undefined);
});

test("digits make a number of at most two figures", () => {
  const typed = (keys: string) => [...keys].reduce(typeDigit, "");
  assert.equal(typed("3"), "3");
  assert.equal(typed("12"), "12");
  assert.equal(typed("123"), "3");
  assert.equal(typed("0"), "");
  assert.equal(typed("10"), "10");
});

test("ids are version 7 and sort by their time", () => {
  const at = 1_763_650_000_000;
  const id = newId(at, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(newId(at) < newId(at + 1));
  assert.ok(timeFloor(at) <= newId(at));
  assert.ok(timeFloor(at) > newId(at - 1));
  assert.ok(dayFloor(at) <= timeFloor(at));
  assert.equal(new Set(Array.from({ length: 1000 }, () => newId(at))).size, 1000);
});
