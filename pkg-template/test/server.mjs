/**
 * A small server of the standard protocol for the tests: one table, versions from 1, an operation applied at most once.
 * `spoil(request, body)` may answer instead; `{ after: true, ... }` answers instead after the work was done.
 */
export function standardServer() {
  const records = new Map();
  const log = [];
  const done = new Map();
  const server = {
    spoil: undefined,
    records,
    effects: 0,
    /** Every change there was, in order, each with the operation that made it. */
    log,
    tokens: [],
    /** The most changes in a page. */
    page: Number.POSITIVE_INFINITY,
    /** Somebody else writes. */
    write(collection, id, document) {
      const key = `${collection}/${id}`;
      const version = (records.get(key)?.version ?? 0) + 1;
      records.set(key, { version, document });
      log.push({ collection, id });
    },
    async answer(request, text) {
      const { pathname, searchParams } = new URL(request.url, "http://x");
      if (pathname !== "/api/push" && pathname !== "/api/pull") return undefined;
      server.tokens.push(request.headers.authorization);
      const spoiled = server.spoil?.(request, text);
      if (spoiled && !spoiled.after) return spoiled;
      const body =
        pathname === "/api/push"
          ? push(JSON.parse(text))
          : pull(searchParams.get("cursor"), searchParams.get("scope"));
      return spoiled ?? { body: { holdfast: 1, ...body, epoch: "e", time: Date.now(), end: true } };
    },
  };

  function push({ operations }) {
    return {
      outcomes: operations.map((operation) => {
        const { opId } = operation;
        if (done.has(opId)) return { ...done.get(opId), duplicate: true };
        const verdict = { opId, ...judge(operation) };
        done.set(opId, verdict);
        return verdict;
      }),
    };
  }

  function judge({ collection, id, kind, assumed, document, edits, opId }) {
    const key = `${collection}/${id}`;
    const known = records.get(key);
    const next = kind === "change" && known?.document ? structuredClone(known.document) : document;
    for (const edit of (kind === "change" && next && edits) || []) {
      const path = edit.set ?? edit.remove;
      const at = path.slice(0, -1).reduce((place, name) => (place[name] ??= {}), next);
      if (edit.set) at[path.at(-1)] = edit.value;
      else delete at[path.at(-1)];
    }
    if (kind !== "create" && kind !== "delete" && !known)
      return { kind: "rejected", code: "not-found", message: "never created", final: true };
    if (kind === "delete" && !known?.document)
      return { kind: "applied", version: known?.version ?? 0 };
    if (next?.table === 13)
      return { kind: "rejected", code: "validation", message: "no such table", final: true };
    if ((known?.version ?? null) !== assumed) {
      return { kind: "conflict", version: known?.version ?? 1, document: known?.document ?? null };
    }
    server.effects += 1;
    server.write(collection, id, kind === "delete" ? null : next);
    log.at(-1).opId = opId;
    return { kind: "applied", version: records.get(key).version };
  }

  /** Of a scope `building:7` those whose document says `building: 7`, and every deletion. */
  function pull(cursor, scope) {
    const from = Number(cursor ?? 0);
    const within = ({ document }) =>
      scope === null || document === null || scope === `building:${document.building}`;
    const last = new Map();
    let at = from;
    for (; at < log.length && last.size < server.page; at += 1) {
      const key = `${log[at].collection}/${log[at].id}`;
      // What the server has forgotten is not told.
      if (records.has(key) && within(records.get(key))) last.set(key, log[at]);
    }
    const changes = [...last].map(([key, entry]) => ({ ...entry, ...records.get(key) }));
    return { changes, cursor: String(at), more: at < log.length };
  }
  return server;
}
