/**
 * The six protocols as the conformance test speaks them: what differs between backends, and nothing of what is tried.
 *
 * @module
 */

import { type Ask, at, type Json, list, type Reply, type Send, word } from "./conformance-http.js";

/** Names of the protocols. */
export const PROFILES = [
  "standard",
  "auraconnect",
  "auraconnect-mobile",
  "trackvault",
  "arxos",
  "paytrack",
] as const;

/** Name of a protocol. */
export type ProfileName = (typeof PROFILES)[number];

/** One change that the test asks for. */
export interface Operation {
  /** Names the operation, where the protocol has names for them. */
  readonly op: string;
  /** The record, as the device calls it. */
  readonly record: string;
  readonly kind: "create" | "update" | "delete";
  /** What the server said of the record last: its id there, and its version. */
  readonly known?: Known;
  /** The one field that the test changes. */
  readonly name: string;
  /** When it was made, in ms since 1970: a repeat is the same to the byte. */
  readonly at: number;
  /** Who sends it. */
  readonly device?: string;
}

/** What the server calls a record, and its version, as text. */
export interface Known {
  readonly id: string;
  readonly version: string;
}

/** What became of an operation. `missing`: the answer says nothing of it. */
export interface Verdict {
  readonly kind: "applied" | "conflict" | "refused" | "retry" | "missing";
  readonly known?: Known;
  readonly duplicate: boolean;
}

/** A row of a page. */
export interface Row {
  readonly id: string;
  /** The name that the test gave the record; absent where a deletion does not tell it. */
  readonly record?: string;
  readonly version?: string;
  readonly deleted: boolean;
  readonly name?: string;
}

/** A page of a pull. */
export interface Page {
  readonly reply: Reply;
  /** Whether it is an answer of this protocol. */
  readonly ours: boolean;
  readonly rows: readonly Row[];
  readonly cursor: string;
  readonly more: boolean;
}

/** A protocol. */
export interface Wire {
  push(operations: readonly Operation[]): Ask;
  /** The verdicts, in the order of the operations; `undefined` if the answer is not one of this protocol. */
  verdicts(reply: Reply, operations: readonly Operation[]): readonly Verdict[] | undefined;
  pull(send: Send, cursor: string | undefined, limit: number): Promise<Page>;
  /** Whether an error is told from a captive portal's. */
  isError(reply: Reply): boolean;
  /** The most operations of a request, and the status of one more. */
  readonly most: { readonly count: number; readonly status: number };
  /** A pull that the server must answer with 410; `undefined` where none can be made up. */
  readonly expired?: Ask;
  /** Whether pages have a limit that the client may set. */
  readonly paged: boolean;
  /** Whether the operation's name keeps what it was given to. */
  readonly named: boolean;
  /** Whether a wrong `Content-Digest` is refused. */
  readonly digest: boolean;
  /** A record that no server has. */
  readonly nobody: Known;
  /** How many milliseconds of stamps a client asks again: late commits. */
  readonly overlap: number;
}

const NOBODY: Known = { id: "999999999", version: "1" };

const missing: Verdict = { kind: "missing", duplicate: false };

function verdict(
  kind: Verdict["kind"],
  entry: Json | undefined,
  id: Json | undefined,
  version: Json | undefined,
): Verdict {
  const duplicate = at(entry, "duplicate") === true;
  const known = { id: word(id) ?? "", version: word(version) ?? "" };
  return word(version) === undefined ? { kind, duplicate } : { kind, duplicate, known };
}

/** The entry of each operation, found by a key. */
function matched(
  operations: readonly Operation[],
  entries: readonly Json[],
  member: string,
  key: (operation: Operation, place: number) => string,
  read: (entry: Json) => Verdict,
): readonly Verdict[] {
  return operations.map((operation, place) => {
    const entry = entries.find((e) => word(at(e, member)) === key(operation, place));
    return entry === undefined ? missing : read(entry);
  });
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** A moment of a stamp, moved back. */
function earlier(stamp: string, milliseconds: number): string {
  return new Date(Date.parse(stamp) - milliseconds).toISOString();
}

const number = (text: string | undefined): number => Number(text ?? 0);

function page(
  reply: Reply,
  ours: boolean,
  rows: readonly Row[],
  cursor: string | undefined,
  more: Json | undefined,
): Page {
  return { reply, ours, rows, cursor: cursor ?? "", more: more === true };
}

function row(
  id: Json | undefined,
  version: Json | undefined,
  deleted: boolean,
  more: { record?: Json | undefined; name?: Json | undefined },
): Row {
  const [record, name, text] = [word(more.record), word(more.name), word(version)];
  return {
    id: word(id) ?? "",
    deleted,
    ...(record === undefined ? {} : { record }),
    ...(name === undefined ? {} : { name }),
    ...(text === undefined ? {} : { version: text }),
  };
}

/** A moment whose deletions nobody has kept. */
const LONG_AGO = Math.floor(Date.now() / 1000) - 120 * 24 * 60 * 60;

function standard(collection: string): Wire {
  const ours = (reply: Reply): boolean =>
    at(reply.json, "holdfast") === 1 && at(reply.json, "end") === true;
  return {
    most: { count: 1000, status: 413 },
    expired: { method: "GET", path: "/pull?cursor=conformance" },
    paged: true,
    named: true,
    digest: false,
    nobody: NOBODY,
    overlap: 0,
    isError: (reply) => ours(reply) && word(at(reply.json, "code")) !== undefined,
    push: (operations) => ({
      method: "POST",
      path: "/push",
      body: {
        holdfast: 1,
        device: operations[0]?.device ?? "conformance",
        operations: operations.map(({ op, record, kind, known, name, at: made }) => ({
          opId: op,
          collection,
          id: record,
          kind: kind === "update" ? "replace" : kind,
          assumed: known ? number(known.version) : kind === "create" ? null : 1,
          ...(kind === "delete" ? {} : { document: { name } }),
          at: made,
        })),
      },
    }),
    verdicts(reply, operations) {
      if (!ours(reply) || !Array.isArray(at(reply.json, "outcomes"))) return undefined;
      return matched(
        operations,
        list(at(reply.json, "outcomes")),
        "opId",
        (o) => o.op,
        (entry) => {
          const kind = at(entry, "kind");
          const known: Verdict["kind"] =
            kind === "applied" || kind === "conflict" || kind === "retry" ? kind : "refused";
          return verdict(known, entry, "", at(entry, "version"));
        },
      );
    },
    async pull(send, cursor, limit) {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const reply = await send({ method: "GET", path: `/pull?limit=${limit}${after}` });
      const changes = list(at(reply.json, "changes"));
      const rows = changes.map((change) => {
        const document = at(change, "document");
        const [id, version] = [at(change, "id"), at(change, "version")];
        return row(id, version, document === null, { record: id, name: at(document, "name") });
      });
      const next = word(at(reply.json, "cursor"));
      return page(reply, ours(reply) && next !== undefined, rows, next, at(reply.json, "more"));
    },
  };
}

const failure = (reply: Reply, ...path: readonly string[]): boolean =>
  reply.json !== undefined &&
  !Array.isArray(reply.json) &&
  word(at(reply.json, ...path)) !== undefined;

function auraconnect(): Wire {
  return {
    most: { count: 100, status: 413 },
    paged: true,
    named: false,
    digest: true,
    nobody: { id: "cus_nobody", version: "2026-01-01T00:00:00.000Z" },
    overlap: 5000,
    isError: (reply) => failure(reply, "error", "code"),
    push: (operations) => ({
      method: "POST",
      path: "/api/sync/push",
      body: {
        deviceId: operations[0]?.device ?? "conformance",
        changes: {
          customers: operations.map(({ record, kind, known, name, at: made }) => ({
            localId: record,
            serverId: known?.id ?? null,
            serverModified: known?.version ?? null,
            lastModified: iso(made),
            syncStatus: "pending",
            isDeleted: kind === "delete",
            ...(kind === "delete" ? {} : { name, preferences: {}, tags: [] }),
          })),
        },
      },
    }),
    verdicts(reply, operations) {
      const entries = at(reply.json, "results", "customers");
      if (!Array.isArray(entries)) return undefined;
      return matched(
        operations,
        entries,
        "localId",
        (o) => o.record,
        (entry) => {
          const id = at(entry, "serverId");
          switch (at(entry, "status")) {
            case "success":
              return verdict("applied", entry, id, at(entry, "lastModified"));
            case "conflict":
              return verdict("conflict", entry, id, at(entry, "serverRecord", "lastModified"));
            default:
              return verdict(
                at(entry, "error", "retryable") === true ? "retry" : "refused",
                entry,
                id,
                undefined,
              );
          }
        },
      );
    },
    async pull(send, cursor, limit) {
      const since = cursor ? `&since=${encodeURIComponent(cursor)}` : "";
      const reply = await send({ method: "GET", path: `/api/sync/pull?limit=${limit}${since}` });
      const changes = list(at(reply.json, "changes", "customers"));
      const rows = changes.map((change) =>
        row(at(change, "serverId"), at(change, "lastModified"), at(change, "isDeleted") === true, {
          record: at(change, "localId"),
          name: at(change, "name"),
        }),
      );
      const next = word(at(reply.json, "timestamp"));
      const more = at(reply.json, "hasMore");
      return page(reply, next !== undefined && typeof more === "boolean", rows, next, more);
    },
  };
}

function auraconnectMobile(): Wire {
  const body = (
    records: Json[],
    since: string | undefined,
    limit: number,
    device: string,
  ): Json => ({
    source: "mobile_offline",
    device_id: device,
    since_version: number(since),
    limit,
    shifts: records,
  });
  const path = "/sync/shifts";
  return {
    most: { count: 50, status: 413 },
    expired: { method: "POST", path, body: body([], "4000000000", 1, "conformance") },
    paged: true,
    named: false,
    digest: false,
    nobody: NOBODY,
    overlap: 0,
    isError: (reply) => failure(reply, "error") && failure(reply, "message"),
    push: (operations) => ({
      method: "POST",
      path,
      body: body(
        operations.map(({ record, kind, known, name, at: made }) => ({
          source: "mobile_offline",
          client_id: record,
          id: known ? number(known.id) : null,
          action: kind,
          base_version: known ? number(known.version) : null,
          client_timestamp: iso(made),
          ...(kind === "delete"
            ? {}
            : {
                data: {
                  staff_id: 1,
                  clock_in: "2026-11-20T08:00:00.000Z",
                  break_minutes: 0,
                  note: name,
                },
              }),
        })),
        undefined,
        1,
        operations[0]?.device ?? "conformance",
      ),
    }),
    verdicts(reply, operations) {
      const entries = at(reply.json, "results");
      if (!Array.isArray(entries) || at(reply.json, "delta") === undefined) return undefined;
      return matched(
        operations,
        entries,
        "client_id",
        (o) => o.record,
        (entry) => {
          const id = at(entry, "id");
          switch (at(entry, "status")) {
            case "confirmed":
              return verdict("applied", entry, id, at(entry, "version"));
            case "conflict":
              return verdict("conflict", entry, id, at(entry, "server_version"));
            case "retry":
              return verdict("retry", entry, id, undefined);
            default:
              return verdict("refused", entry, id, undefined);
          }
        },
      );
    },
    async pull(send, cursor, limit) {
      const reply = await send({
        method: "POST",
        path,
        body: body([], cursor, limit, "conformance"),
      });
      const delta = at(reply.json, "delta");
      const rows = list(at(delta, "changes")).map((change) =>
        row(at(change, "id"), at(change, "version"), at(change, "deleted") === true, {
          record: at(change, "client_id"),
          name: at(change, "data", "note"),
        }),
      );
      const next = word(at(delta, "version"));
      return page(reply, next !== undefined, rows, next, at(delta, "has_more"));
    },
  };
}

function trackvault(): Wire {
  const device = (name: string | undefined): string =>
    name === undefined
      ? "device_1795168800000_conforma"
      : `device_1795168800000_${name.replace(/[^a-z0-9]/g, "")}`;
  return {
    most: { count: 10, status: 422 },
    paged: true,
    named: true,
    digest: false,
    nobody: NOBODY,
    overlap: 5000,
    isError: (reply) => failure(reply, "message"),
    push: (operations) => ({
      method: "POST",
      path: "/api/sync",
      body: {
        device_id: device(operations[0]?.device),
        operations: operations.map(({ op, record, kind, known, name }) => ({
          local_id: op,
          entity_type: "supplier",
          entity_id: known ? number(known.id) : kind === "create" ? null : 999_999_999,
          operation_type: kind,
          payload: {
            ...(kind === "delete" ? {} : { code: record, name }),
            ...(kind === "create" ? {} : { version: known ? number(known.version) : 1 }),
          },
        })),
      },
    }),
    verdicts(reply, operations) {
      const entries = at(reply.json, "results");
      if (!Array.isArray(entries)) return undefined;
      return matched(
        operations,
        entries,
        "local_id",
        (o) => o.op,
        (entry) => {
          const id = at(entry, "entity_id");
          switch (at(entry, "status")) {
            case "success":
              return verdict("applied", entry, id, at(entry, "version"));
            case "conflict":
              return verdict("conflict", entry, id, at(entry, "conflict_data", "server_version"));
            case "pending":
              return verdict("retry", entry, id, undefined);
            default:
              return verdict(
                at(entry, "retryable") === true ? "retry" : "refused",
                entry,
                id,
                undefined,
              );
          }
        },
      );
    },
    async pull(send, cursor, limit) {
      // WIRES 3: page 1 again with the last row's time, and page 2 only while a page is of one second.
      let [since, number, rows] = [cursor, 1, [] as Row[]];
      for (;;) {
        const query = since ? `&updated_since=${encodeURIComponent(since)}` : "";
        const path = `/api/suppliers?with_trashed=1&page=${number}&per_page=${Math.min(limit, 100)}${query}`;
        const reply = await send({ method: "GET", path });
        const data = list(at(reply.json, "data"));
        const [current, last] = [
          at(reply.json, "meta", "current_page"),
          at(reply.json, "meta", "last_page"),
        ];
        rows = rows.concat(
          data.map((r) =>
            row(at(r, "id"), at(r, "version"), word(at(r, "deleted_at")) !== undefined, {
              record: at(r, "code"),
              name: at(r, "name"),
            }),
          ),
        );
        const times = data.map((r) => word(at(r, "updated_at")) ?? "");
        const newest = times.at(-1);
        const ours = typeof current === "number" && typeof last === "number";
        if (ours && current < last && newest && times[0] === newest && newest === since) {
          number += 1;
          continue;
        }
        const next = newest ?? since ?? "1970-01-01T00:00:00Z";
        return page(reply, ours, rows, next, ours && current < last && next !== since);
      }
    },
  };
}

function arxos(run: string): Wire {
  const building = `conformance-${run}`;
  return {
    most: { count: 50, status: 413 },
    expired: {
      method: "GET",
      path: `/api/v1/mobile/equipment/building/${building}/updates?since=${LONG_AGO}`,
    },
    paged: false,
    named: false,
    digest: false,
    nobody: NOBODY,
    overlap: 5000,
    isError: (reply) => failure(reply, "error") && failure(reply, "code"),
    push: (operations) => ({
      method: "POST",
      path: "/api/v1/mobile/sync/batch",
      body: {
        operations: operations.map(({ record, kind, known, name, at: made }) => ({
          entity_type: "equipment",
          entity_id: record,
          operation: kind,
          payload: {
            ...(kind === "delete"
              ? {}
              : {
                  id: record,
                  building_id: building,
                  name,
                  type: "conformance",
                  status: "ok",
                  metadata: {},
                }),
            version: known ? number(known.version) : 1,
            updated_at: iso(made),
          },
          local_time: iso(made),
        })),
      },
    }),
    verdicts(reply, operations) {
      if (at(reply.json, "success") === undefined || at(reply.json, "conflicts") === undefined)
        return undefined;
      return operations.map(({ record, kind, known }) => {
        const of = (name: string): Json | undefined =>
          list(at(reply.json, name)).find((entry) => at(entry, "entity_id") === record);
        if (list(at(reply.json, "success")).includes(record)) {
          // A success brings no version: the sent one plus 1, and 1 for a create.
          const version = kind === "create" ? 1 : number(known?.version) + 1;
          return verdict("applied", undefined, record, version);
        }
        const conflict = of("conflicts");
        if (conflict)
          return verdict("conflict", conflict, record, at(conflict, "server_version", "version"));
        const error = of("errors");
        return error
          ? verdict(at(error, "retryable") === true ? "retry" : "refused", error, record, undefined)
          : missing;
      });
    },
    async pull(send, cursor) {
      const path = `/api/v1/mobile/equipment/building/${building}/updates?since=${cursor ?? "0"}`;
      const reply = await send({ method: "GET", path });
      const updates = list(at(reply.json, "updates")).map((update) => {
        const equipment = at(update, "equipment");
        const id = at(equipment, "id");
        return row(id, at(equipment, "version"), false, {
          record: id,
          name: at(equipment, "name"),
        });
      });
      const deletes = list(at(reply.json, "deletes")).map((id) =>
        row(id, undefined, true, { record: id }),
      );
      const last = word(at(reply.json, "last_sync"));
      const ours = last !== undefined && at(reply.json, "updates") !== undefined;
      const seconds = last === undefined ? undefined : String(Math.floor(Date.parse(last) / 1000));
      return page(reply, ours, [...updates, ...deletes], seconds, false);
    },
  };
}

function paytrack(): Wire {
  return {
    most: { count: 100, status: 413 },
    expired: { method: "GET", path: "/sync/pull?cursor=conformance" },
    paged: true,
    named: false,
    digest: true,
    nobody: NOBODY,
    overlap: 0,
    isError: (reply) => at(reply.json, "success") === false && failure(reply, "error", "code"),
    push: (operations) => ({
      method: "POST",
      path: "/sync/push",
      body: {
        device_id: operations[0]?.device ?? "conformance",
        operations: operations.map(({ record, kind, known, name, at: made }, place) => ({
          id: place + 1,
          entity_type: "suppliers",
          entity_uuid: record,
          operation: kind,
          version: known ? number(known.version) : kind === "create" ? 0 : 1,
          payload: kind === "delete" ? {} : { name },
          created_at: iso(made),
        })),
      },
    }),
    verdicts(reply, operations) {
      const entries = at(reply.json, "results");
      if (at(reply.json, "success") !== true || !Array.isArray(entries)) return undefined;
      return matched(
        operations,
        entries,
        "id",
        (_, place) => String(place + 1),
        (entry) => {
          const id = at(entry, "entity_uuid");
          switch (at(entry, "status")) {
            case "success":
              return verdict("applied", entry, id, at(entry, "version"));
            case "conflict":
              return verdict("conflict", entry, id, at(entry, "serverVersion"));
            default:
              return verdict(
                at(entry, "retryable") === true ? "retry" : "refused",
                entry,
                id,
                undefined,
              );
          }
        },
      );
    },
    async pull(send, cursor, limit) {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const reply = await send({
        method: "GET",
        path: `/sync/pull?limit=${Math.min(limit, 500)}${after}`,
      });
      const rows = list(at(reply.json, "changes")).map((change) =>
        row(at(change, "entity_uuid"), at(change, "version"), at(change, "deleted") === true, {
          record: at(change, "entity_uuid"),
          name: at(change, "data", "name"),
        }),
      );
      const next = word(at(reply.json, "next_cursor"));
      return page(
        reply,
        at(reply.json, "success") === true && next !== undefined,
        rows,
        next,
        at(reply.json, "has_more"),
      );
    },
  };
}

/** The protocol of a name. `run` tells the records of this run from those of others. */
export function wire(name: ProfileName, run: string, collection: string): Wire {
  switch (name) {
    case "standard":
      return standard(collection);
    case "auraconnect":
      return auraconnect();
    case "auraconnect-mobile":
      return auraconnectMobile();
    case "trackvault":
      return trackvault();
    case "arxos":
      return arxos(run);
    case "paytrack":
      return paytrack();
  }
}

/** A cursor moved back by what a client of the protocol asks again. */
export function overlapped(profile: ProfileName, protocol: Wire, cursor: string): string {
  if (protocol.overlap === 0) return cursor;
  if (profile === "arxos") return String(Math.max(0, number(cursor) - protocol.overlap / 1000));
  return earlier(cursor, protocol.overlap);
}
