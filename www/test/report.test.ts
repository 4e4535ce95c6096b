import assert from "node:assert/strict";
import { test } from "node:test";
import { everyHour } from "../src/report";

const hour = 3_600_000;
const midnight = new Date(2026, 10, 28).getTime();
const sold = (at: number, cents: number) => ({
  key: { createdAt: at },
  count: 1,
  sum: { total: cents },
});

test("quiet hours between sales are shown, those before and after are not", () => {
  const groups = [sold(midnight + 9 * hour, 100), sold(midnight + 12 * hour, 250)];
  assert.deepEqual(
    everyHour(groups, midnight, midnight + 24 * hour).map((bar) => [bar.label, bar.cents]),
    [
      ["09", 100],
      ["10", 0],
      ["11", 0],
      ["12", 250],
    ],
  );
  assert.deepEqual(everyHour([], midnight, midnight + 24 * hour), []);
});

test("a time that is no number makes no bar", () => {
  const odd = { key: { createdAt: null }, count: 1, sum: { total: 5 } };
  assert.deepEqual(everyHour([odd], midnight, midnight + 24 * hour), []);
});
