// The other side of every measurement: the standard protocol with as little work as possible. Pages are
// rendered before anything is timed, a push is answered from its operation ids alone.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { orderOf } from "./orders.js";

const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
const EPOCH = "bench";
const AT = 1_763_650_000_000;

/**
 * Serves `dirs` (`{prefix: directory}`) and, below `/api/<session>`, a backend: one that has `total`
 * records to pull where the session's name ends in `-<total>`, an empty one otherwise.
 */
export async function serve(dirs) {
  const pages = new Map();
  const sessions = new Map();
  const session = (name) => {
    if (!sessions.has(name)) sessions.set(name, { requests: 0, operations: 0, ids: new Set() });
    return sessions.get(name);
  };

  function page(total, from, limit) {
    const key = `${total}/${from}/${limit}`;
    if (!pages.has(key)) pages.set(key, Buffer.from(render(total, from, limit)));
    return pages.get(key);
  }

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    const [, api, name, verb] = pathname.split("/");
    if (api !== "api") return sendFile(response, dirs, pathname);
    if (verb === "pull" && request.method === "GET") {
      const total = Number(/-(\d+)$/.exec(name)?.[1] ?? 0);
      const from = Number(searchParams.get("cursor") ?? 0);
      const limit = Math.min(Number(searchParams.get("limit") ?? 1000), 1000);
      return send(response, 200, page(total, from, limit));
    }
    if (verb === "push" && request.method === "POST") {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const { operations } = JSON.parse(Buffer.concat(chunks).toString());
      const seen = session(name);
      seen.requests += 1;
      seen.operations += operations.length;
      for (const { id } of operations) seen.ids.add(id);
      const outcomes = operations.map(({ opId }) => ({ opId, kind: "applied", version: 1 }));
      return send(
        response,
        200,
        JSON.stringify({ holdfast: 1, outcomes, epoch: EPOCH, time: AT, end: true }),
      );
    }
    return send(response, 404, "{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    /** Renders every page a client may ask for. */
    warm(total, limit) {
      for (let from = 0; from <= total; from += limit) page(total, from, limit);
    },
    /** What a session pushed: requests, operations, different records. */
    seen(name) {
      const { requests, operations, ids } = session(name);
      return { requests, operations, records: ids.size };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function render(total, from, limit) {
  const until = Math.min(total, from + limit);
  const changes = [];
  for (let at = from; at < until; at += 1) {
    const { id, document } = orderOf(at, "server");
    const opId = `019aa0b0-0000-7000-8000-${String(at).padStart(12, "0")}`;
    changes.push({ collection: "orders", id, version: 1, document, opId, at: AT + at });
  }
  const more = until < total;
  return JSON.stringify({
    holdfast: 1,
    changes,
    cursor: String(Math.max(from, until)),
    more,
    epoch: EPOCH,
    time: AT,
    end: true,
  });
}

function send(response, status, body, type = "application/json") {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    "content-type": type,
    "content-length": bytes.length,
    "cache-control": "no-store",
  });
  response.end(bytes);
}

async function sendFile(response, dirs, pathname) {
  const [, prefix, ...rest] = pathname.split("/");
  const path = normalize(rest.join("/"));
  const type = TYPES[path.split(".").at(-1)];
  if (!(prefix in dirs) || type === undefined || path.startsWith(".."))
    return send(response, 404, "");
  try {
    return send(response, 200, await readFile(join(dirs[prefix], path)), type);
  } catch {
    return send(response, 404, "");
  }
}
