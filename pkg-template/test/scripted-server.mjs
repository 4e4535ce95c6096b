// A server of the standard protocol that does what a test says with each request, and keeps a ledger of all of them.
//
//   server.push.once(steps.dropAfter);            the next push is applied, its answer is lost
//   server.pull.always(steps.html(200));          every pull, until `server.pull.always()`
//   const held = server.push.hold();              the next push waits; `await held.arrived`, then `held.go(step)`
//   await server.seen("push", 2);                 the second push is here
//
// A step gets the exchange and gives an answer: `{status?, headers?, body}` with a text, or an object that is sent as JSON;
// or a function that gets the bare response.
import { standardServer } from "./server.mjs";

const JSON_TYPE = { "content-type": "application/json" };
const drop = (response) => response.destroy();
const sent = (body) => ({ headers: JSON_TYPE, body: JSON.stringify(body) });

/** What a server may do with a request. `apply()` does its work and gives the right answer's body. */
export const steps = {
  answer: async ({ apply }) => sent(await apply()),
  dropBefore: () => drop,
  dropAfter: async ({ apply }) => {
    await apply();
    return drop;
  },
  /** Half of a body that looks whole to HTTP. */
  truncated: async ({ apply }) => {
    const { body } = sent(await apply());
    return { headers: JSON_TYPE, body: body.slice(0, body.length / 2) };
  },
  /** Half of a body, then the connection breaks. */
  cut: async ({ apply }) => {
    const { body } = sent(await apply());
    return (response) => {
      response.writeHead(200, { ...JSON_TYPE, "content-length": Buffer.byteLength(body) });
      response.write(body.slice(0, body.length / 2), () => response.destroy());
    };
  },
  /** The right answer, a few bytes at a time. */
  slow: async ({ apply }) => {
    const { body } = sent(await apply());
    return async (response) => {
      response.writeHead(200, JSON_TYPE);
      for (let at = 0; at < body.length; at += 7) {
        await new Promise((written) => response.write(body.slice(at, at + 7), written));
      }
      response.end();
    };
  },
  /** More than anybody should read. */
  huge: (megabytes) => async () => (response) => {
    response.writeHead(200, JSON_TYPE);
    response.write('{"holdfast":1,"changes":[');
    let left = megabytes;
    const more = () => {
      if (left-- > 0 && !response.destroyed) response.write(" ".repeat(2 ** 20), more);
      else response.end('],"cursor":"1","more":false,"epoch":"e","end":true}');
    };
    more();
  },
  html: (status) => () => ({
    status,
    headers: { "content-type": "text/html" },
    body: "<!doctype html><h1>Welcome to the hotel</h1>",
  }),
  type: (type) => async (exchange) => ({
    ...(await steps.answer(exchange)),
    headers: { "content-type": type },
  }),
  /** The right answer with something else in it. */
  edited:
    (edit) =>
    async ({ apply, body }) => {
      const answer = await apply();
      return sent(edit(answer, body) ?? answer);
    },
  /** The answer without one of its members. */
  without: (member) => steps.edited(({ [member]: _, ...rest }) => rest),
  /** An error of the protocol's own, with both markers. */
  problem:
    (status, code = "x", headers = {}) =>
    () => ({
      status,
      headers: { "content-type": "application/problem+json", ...headers },
      body: JSON.stringify({
        holdfast: 1,
        type: "about:blank",
        title: code,
        status,
        code,
        end: true,
      }),
    }),
  /** One step or another, as the request is. */
  where:
    (is, step, otherwise = steps.answer) =>
    (exchange) =>
      (is(exchange) ? step : otherwise)(exchange),
};

/** See the head of this file. `server.store` is its data, `server.ledger` every request with its raw bytes. */
export function scriptedServer() {
  const store = standardServer();
  const ledger = [];
  const watching = new Set();
  const routes = { push: route(), pull: route() };

  function route() {
    const once = [];
    let always;
    return {
      once: (...list) => void once.push(...list),
      always(step) {
        always = step;
      },
      hold() {
        const arrived = withResolvers();
        const released = withResolvers();
        once.push(async (exchange) => {
          arrived.resolve(exchange);
          const step = await released.promise;
          return step(exchange);
        });
        return { arrived: arrived.promise, go: (step = steps.answer) => released.resolve(step) };
      },
      next: () => once.shift() ?? always ?? steps.answer,
    };
  }

  function changed() {
    for (const look of watching) look();
  }

  async function answer(request, text, raw) {
    const { pathname, searchParams } = new URL(request.url, "http://x");
    const name = pathname.slice("/api/".length);
    if (!pathname.startsWith("/api/") || !(name in routes)) return undefined;
    const entry = {
      route: name,
      at: performance.now(),
      headers: request.headers,
      raw,
      text,
      body: text ? JSON.parse(text) : undefined,
      cursor: searchParams.get("cursor"),
      scope: searchParams.get("scope"),
      under: true,
    };
    ledger.push(entry);
    request.socket.once("close", () => {
      entry.under = false;
    });
    entry.abreast = ledger.filter((other) => other.under && other.route === name).length;
    changed();
    const apply = async () => (await store.answer(request, text)).body;
    const reply = await routes[name].next()({ ...entry, request, apply });
    return (response) => {
      entry.answer = typeof reply === "function" ? "its own" : { ...reply };
      response.once("close", () => {
        entry.under = false;
        changed();
      });
      if (typeof reply === "function") return reply(response);
      response.writeHead(reply.status ?? 200, reply.headers);
      response.end(reply.body);
    };
  }

  const server = {
    ...routes,
    store,
    ledger,
    answer,
    /** Both routes. */
    both: (step) => {
      routes.push.always(step);
      routes.pull.always(step);
    },
    requests: (name) => ledger.filter((entry) => entry.route === name),
    /** Requests that carried this operation. */
    carrying: (opId) =>
      server
        .requests("push")
        .filter(({ body }) => body.operations.some((operation) => operation.opId === opId)),
    /** As it was sent, each time. */
    sent: (opId) =>
      server
        .carrying(opId)
        .map(({ body }) => JSON.stringify(body.operations.find((one) => one.opId === opId))),
    effectsOf: (opId) => store.log.filter((entry) => entry.opId === opId).length,
    document: (collection, id) => store.records.get(`${collection}/${id}`)?.document,
    /** Resolves with the entries when `count` of them are there that `is` accepts. */
    seen: (name, count = 1, is = () => true) =>
      until(() => {
        const found = server.requests(name).filter(is);
        return found.length >= count && found;
      }),
  };

  function until(look) {
    return new Promise((resolve) => {
      const again = () => {
        const found = look();
        if (!found) return;
        watching.delete(again);
        resolve(found);
      };
      watching.add(again);
      again();
    });
  }
  return server;
}

function withResolvers() {
  let resolve;
  const promise = new Promise((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}
