// What goes over the wire beside the words of a protocol, by the package in a browser: coding, digests, signatures, times.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { scenarios } from "./scenario.mjs";
import { steps } from "./scripted-server.mjs";

const scenario = scenarios();
const digestOf = (bytes) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;

/** In the page. */
const opened = async (options) => {
  const { standard } = await import("/pkg/index.js");
  await open({ remote: standard({ baseUrl: "/api", ...options }) });
};

scenario(
  "what is large is compressed, and a digest is over the bytes as they are sent",
  async ({ server, page }) => {
    await page.evaluate(opened, { gzip: true, digest: true });
    const kinds = await page.evaluate(async () => {
      const small = await orders.create({ table: 1 }, { id: "small" });
      const first = await small.synced;
      const large = await orders.create({ text: "abc".repeat(5_000) }, { id: "large" });
      return [first.kind, (await large.synced).kind];
    });
    assert.deepEqual(kinds, ["applied", "applied"]);
    const [small, large] = server.requests("push");
    assert.equal(small.headers["content-encoding"], undefined);
    assert.equal(large.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(large.raw).toString(), large.text);
    assert.ok(large.raw.length < large.text.length / 10);
    for (const { headers, raw } of [small, large])
      assert.equal(headers["content-digest"], digestOf(raw));
    const { bytesUp } = await page.evaluate(() => sync.metrics());
    assert.ok(bytesUp < large.text.length, `${bytesUp}: what left is counted, not what it was`);
  },
  { closed: true },
);

scenario(
  "P36: an answer with another digest than its bytes have is none",
  async ({ server, page }) => {
    const digest = (of) => async (exchange) => {
      const answer = await steps.answer(exchange);
      return {
        ...answer,
        headers: { ...answer.headers, "content-digest": digestOf(of ?? answer.body) },
      };
    };
    server.both(digest());
    await page.evaluate(opened, { digest: true });
    await page.evaluate(() => rest());
    server.push.always(digest("something else"));
    server.pull.always(steps.edited((answer) => ({ ...answer, changes: [] })));
    const opId = await page.evaluate(async () => {
      const { opId } = await orders.create({ table: 1 }, { id: "order-1" });
      await until(({ reason }) => reason === "foreign-response");
      return opId;
    });
    server.push.always(digest());
    await page.evaluate(() => rest());
    assert.equal(server.effectsOf(opId), 1);
    assert.ok(server.carrying(opId).length > 1, "sent again");
  },
  { closed: true },
);

scenario(
  "a request is signed with a key that the page keeps",
  async ({ server, page }) => {
    await page.evaluate(async () => {
      const usages = ["sign", "verify"];
      const { privateKey } = await crypto.subtle
        .generateKey("Ed25519", false, usages)
        .catch(() =>
          crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, usages),
        );
      await open({
        signRequest: async ({ method, url, headers }) => {
          const input = `("@method" "@target-uri"${headers["content-digest"] ? ' "content-digest"' : ""})`;
          const bytes = new TextEncoder().encode(`${method} ${url} ${headers["content-digest"]}`);
          const algorithm = { ...privateKey.algorithm, hash: "SHA-256" };
          const signature = await crypto.subtle.sign(algorithm, privateKey, bytes);
          const text = btoa(String.fromCharCode(...new Uint8Array(signature)));
          return { "signature-input": `sig=${input}`, signature: `sig=:${text}:` };
        },
      });
      await (await orders.create({ table: 1 }, { id: "order-1" })).synced;
    });
    const [push] = server.requests("push");
    assert.match(push.headers.signature, /^sig=:[A-Za-z0-9+/=]{40,}:$/);
    assert.equal(push.headers["content-digest"], digestOf(push.raw));
    assert.ok(server.requests("pull").every(({ headers }) => headers.signature !== undefined));
  },
  { closed: true },
);

scenario(
  "P8: a page pulls by itself after as long as it was told to",
  async ({ server, page }) => {
    await page.evaluate(async () => {
      await open({ syncEvery: 300 });
      await rest();
    });
    const before = server.requests("pull").length;
    await server.seen("pull", before + 3);
    server.store.write("orders", "order-1", { table: 1 });
    await server.seen("pull", server.requests("pull").length + 2);
    assert.deepEqual(await page.evaluate(async () => (await orders.get("order-1")).document), {
      table: 1,
    });
  },
  { closed: true },
);
