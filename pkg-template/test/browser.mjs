import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { chromium } from "playwright-core";

export const PKG = process.env.HOLDFAST_PKG ?? fileURLToPath(new URL("../../pkg", import.meta.url));

const TYPES = { js: "text/javascript", wasm: "application/wasm", html: "text/html" };

/**
 * Serves the package at /pkg/ and a page at every other address. `answer(request, text, raw)` comes first: what it returns as
 * `{ status?, headers?, body }` is sent, a function gets the bare response, nothing goes on to the files. With `close` every
 * request has a connection of its own: a browser repeats by itself what was lost on one that it had used before. Ends with
 * the test.
 */
export async function serve(
  t,
  { csp = "script-src 'self' 'wasm-unsafe-eval'", answer, files = {}, close = false } = {},
) {
  const server = createServer(async (request, response) => {
    if (close) response.setHeader("connection", "close");
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = new URL(request.url, "http://x").pathname;
    const raw = Buffer.concat(chunks);
    const zipped = request.headers["content-encoding"] === "gzip";
    const text = (zipped ? gunzipSync(raw) : raw).toString();
    const given = await answer?.(request, text, raw);
    if (typeof given === "function") return given(response);
    if (given) {
      response.writeHead(given.status ?? 200, {
        "content-type": "application/json",
        ...given.headers,
      });
      return response.end(typeof given.body === "string" ? given.body : JSON.stringify(given.body));
    }
    try {
      const body =
        files[path] ?? (path.startsWith("/pkg/") ? readFileSync(PKG + path.slice(4)) : undefined);
      if (body !== undefined) {
        response.writeHead(200, { "content-type": TYPES[path.split(".").pop()] ?? "text/plain" });
        return response.end(body);
      }
    } catch {
      response.writeHead(404);
      return response.end();
    }
    response.writeHead(200, { "content-type": "text/html", "content-security-policy": csp });
    response.end("<!doctype html><title>holdfast</title><p>page");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${server.address().port}` };
}

/** One browser for all tests of a file. */
export async function browser() {
  return await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

/**
 * Opens a fresh profile on a page of `server`, runs `body` with `tools` in it, and closes it. Anything the page did not
 * expect fails the test.
 */
export async function withPage(chrome, server, body, { init } = {}) {
  const context = await chrome.newContext();
  try {
    const page = await context.newPage();
    const log = [];
    page.on("console", (message) => log.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => log.push(`pageerror: ${error.message}`));
    for (const script of [init].flat()) if (script) await page.addInitScript(script);
    await page.goto(`${server.origin}/`);
    return await body(page, log, context);
  } finally {
    await context.close();
  }
}
