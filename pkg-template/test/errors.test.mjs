import assert from "node:assert/strict";
import { test } from "node:test";
import { load, rejection } from "./fake.mjs";

const { HoldfastError, isHoldfastError, toHoldfastError, abortable } = await load("errors.js");

test("an error of the core becomes a HoldfastError with everything it says", () => {
  const error = toHoldfastError('{"code":"referenced","message":"m","path":"a.b","opId":"op-1"}');
  assert.ok(error instanceof HoldfastError && error instanceof Error);
  assert.deepEqual(
    [error.name, error.code, error.message, error.path, error.opId, error.retryable],
    ["HoldfastError", "referenced", "m", "a.b", "op-1", false],
  );
});

test("whatever else is thrown reads as crashed and keeps its cause", () => {
  for (const thrown of [new Error("x"), "not JSON", 5, undefined, null]) {
    const error = toHoldfastError(thrown);
    assert.equal(error.code, "crashed");
    assert.equal(error.cause, thrown);
  }
});

test("an error stays the one it is", () => {
  const error = new HoldfastError("closed", "m");
  assert.equal(toHoldfastError(error), error);
});

test("an error of another copy of the library is recognised, others are not", () => {
  const other = Object.assign(new Error("x"), { name: "HoldfastError", code: "closed" });
  assert.ok(isHoldfastError(other));
  assert.ok(!isHoldfastError(new Error("x")));
  assert.ok(!isHoldfastError({ name: "HoldfastError", code: "closed" }));
});

test("what may succeed later says so", () => {
  const retryable = (code) => new HoldfastError(code, "m").retryable;
  for (const code of ["storage-full", "outbox-full", "blocked", "unreachable", "wasm-load"])
    assert.ok(retryable(code), code);
  for (const code of ["invalid-value", "exists", "closed", "no-durable-storage"])
    assert.ok(!retryable(code), code);
});

test("an abort ends the waiting, not the work", async () => {
  const controller = new AbortController();
  const why = new Error("enough");
  const waiting = rejection(abortable(new Promise(() => {}), controller.signal));
  controller.abort(why);
  const error = await waiting;
  assert.equal(error.code, "aborted");
  assert.equal(error.cause, why);
  assert.equal((await rejection(abortable(Promise.resolve(1), controller.signal))).code, "aborted");
  assert.equal(await abortable(Promise.resolve(1), undefined), 1);
  assert.equal(await abortable(Promise.resolve(1), new AbortController().signal), 1);
});
