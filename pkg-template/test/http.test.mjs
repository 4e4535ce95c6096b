import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { openFake } from "./fake.mjs";

// What a request takes along, as the core asks for it.

const HEAD = { method: "GET", url: "https://a.example/push", reason: "initial", digest: false };
const POST = { ...HEAD, method: "POST" };

/** Headers by name, and the bytes that leave; `null` where there is no token. */
async function pack(head, { body, options = {}, signal = new AbortController().signal } = {}) {
  const { callbacks } = await openFake({}, options);
  const packed = await callbacks.pack(JSON.stringify(head), body, signal);
  if (packed === null) return null;
  const [bytes, ...flat] = packed;
  const pairs = flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]]] : []));
  return { bytes, headers: Object.fromEntries(pairs) };
}

const digestOf = (bytes) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;
const textOf = (bytes) => new TextDecoder().decode(bytes);

/** What was reported to the developer meanwhile. */
async function reporting(body) {
  const reports = [];
  const was = globalThis.reportError;
  globalThis.reportError = (error) => reports.push(error);
  try {
    await body();
  } finally {
    globalThis.reportError = was;
  }
  return reports;
}

test("a request says what it must and no more", async () => {
  const body = '{"holdfast":1}';
  const post = await pack(POST, { body });
  assert.deepEqual(post.headers, {
    accept: "application/json",
    "content-type": "application/json",
  });
  assert.equal(textOf(post.bytes), body);
  assert.deepEqual(await pack(HEAD), { bytes: undefined, headers: { accept: "application/json" } });
  const keyed = await pack({ ...POST, key: "op-1" }, { body });
  assert.equal(keyed.headers["idempotency-key"], "op-1");
});

test("a body is compressed from a size on, where the server takes it and the browser can", async () => {
  const body = JSON.stringify({ text: "abc".repeat(1_000) });
  const zipped = await pack({ ...POST, gzipFrom: 1_024 }, { body });
  assert.equal(zipped.headers["content-encoding"], "gzip");
  assert.ok(zipped.bytes.length < body.length / 10);
  assert.equal(gunzipSync(zipped.bytes).toString(), body);
  for (const given of [{}, { gzipFrom: body.length + 1 }]) {
    const plain = await pack({ ...POST, ...given }, { body });
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(textOf(plain.bytes), body);
  }
  const real = globalThis.CompressionStream;
  globalThis.CompressionStream = undefined;
  const old = await pack({ ...POST, gzipFrom: 1 }, { body });
  globalThis.CompressionStream = real;
  assert.equal(old.headers["content-encoding"], undefined);
  assert.equal(textOf(old.bytes), body);
});

test("a digest is over the bytes as they are sent", async () => {
  const body = JSON.stringify({ text: "é".repeat(1_000) });
  for (const given of [{}, { gzipFrom: 1 }]) {
    const packed = await pack({ ...POST, ...given, digest: true }, { body });
    assert.equal(packed.headers["content-digest"], digestOf(packed.bytes));
  }
  const none = await pack({ ...HEAD, digest: true });
  assert.equal(none.headers["content-digest"], undefined, "without a body there is nothing");
  const rfc = await pack({ ...POST, digest: true }, { body: '{"hello": "world"}\n' });
  assert.equal(
    rfc.headers["content-digest"],
    "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    "as in RFC 9530, B.1",
  );
  const real = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  const insecure = await pack({ ...POST, digest: true }, { body });
  Object.defineProperty(globalThis, "crypto", real);
  assert.equal(insecure.headers["content-digest"], undefined);
});

test("P36: an answer with another digest than its bytes have is found out", async () => {
  const bytes = new TextEncoder().encode('{"holdfast":1}');
  const right = digestOf(bytes);
  const { callbacks } = await openFake();
  for (const [digest, intact] of [
    [right, true],
    [`sha-512=:AAAA:, ${right}`, true],
    [`${right},sha-512=:AAAA:`, true],
    ["md5=:AAAA:", true],
    ["sha-256=abc", true],
    ["", true],
    [digestOf("x"), false],
    [`md5=:AAAA:, ${digestOf("x")}`, false],
  ])
    assert.equal(await callbacks.intact(digest, bytes), intact, digest);
});

test("P32: a token is asked for each request and never kept", async () => {
  const asked = [];
  const { signal } = new AbortController();
  const getToken = async (request) => {
    asked.push(request);
    return `t-${asked.length}`;
  };
  for (const reason of ["initial", "refused"]) {
    const { headers } = await pack({ ...HEAD, reason }, { options: { getToken }, signal });
    assert.equal(headers.authorization, `Bearer t-${asked.length}`);
  }
  assert.deepEqual(asked, [
    { reason: "initial", signal },
    { reason: "refused", signal },
  ]);
  const none = await pack(HEAD, { options: { getToken: () => undefined } });
  assert.equal(none.headers.authorization, undefined);
});

test("P32: no token, or none that can be one, is no request", async () => {
  const throwing = () => {
    throw new Error("signed out");
  };
  for (const [getToken, told] of [
    [throwing, 1],
    [async () => throwing(), 1],
    [() => null, 1],
    [() => 7, 1],
    [() => "", 0],
    [() => "two\nlines", 0],
    [() => "schlüssel", 0],
  ]) {
    const reports = await reporting(async () =>
      assert.equal(await pack(HEAD, { options: { getToken } }), null, String(getToken)),
    );
    assert.equal(reports.length, told, String(getToken));
  }
});

test("a request is signed by the application over what leaves", async () => {
  const asked = [];
  const signRequest = async (request, { signal }) => {
    assert.ok(signal instanceof AbortSignal);
    asked.push(request);
    return { Signature: "sig=:AAAA:", "signature-input": 'sig=("@method")' };
  };
  const options = { signRequest, getToken: () => "t" };
  const head = { ...POST, gzipFrom: 1, key: "op-1", ifNoneMatch: '"v1"' };
  const { headers, bytes } = await pack(head, { body: '{"a":1}', options });
  assert.equal(headers.signature, "sig=:AAAA:");
  assert.equal(headers["signature-input"], 'sig=("@method")');
  const { signature: _, "signature-input": __, ...unsigned } = headers;
  assert.deepEqual(asked, [{ method: "POST", url: POST.url, headers: unsigned }]);
  assert.deepEqual(Object.keys(unsigned), [
    "accept",
    "authorization",
    "content-digest",
    "content-encoding",
    "content-type",
    "idempotency-key",
    "if-none-match",
  ]);
  assert.equal(headers["if-none-match"], '"v1"');
  assert.equal(headers["content-digest"], digestOf(bytes), "a signature needs one");

  for (const broken of [
    () => {
      throw new Error("no key");
    },
    () => undefined,
    () => ({ "a b": "c" }),
    () => ({ signature: 7 }),
  ]) {
    const reports = await reporting(async () =>
      assert.equal(await pack(HEAD, { options: { signRequest: broken } }), null),
    );
    assert.equal(reports.length, 1, String(broken));
  }
});
