import type { ConflictPolicies, RestProfile, Status } from "./types.js";

/**
 * What TypeScript needs from the wasm class. Documents, and everything that may contain one, cross as JSON text, once each
 * way, and so do options and the other answers; the status is a plain object. Whatever is thrown or rejected is the JSON text of
 * `{code, message, path?, opId?}`.
 */
export interface Door {
  /** A fresh id for a record whose document carries its id. */
  new_id(): string;
  /** Text of `{id, opId}`, as for every write. */
  create(
    collection: string,
    id: string | undefined,
    document: string,
    priority: string | undefined,
  ): Promise<string>;
  patch(
    collection: string,
    id: string,
    patch: string,
    priority: string | undefined,
  ): Promise<string>;
  replace(
    collection: string,
    id: string,
    document: string,
    priority: string | undefined,
  ): Promise<string>;
  remove(collection: string, id: string, priority: string | undefined): Promise<string>;
  /**
   * Text of a list of `{collection, kind, id, priority?, content?}`, stored all or none; text of a list of what every write gives.
   */
  transaction(members: string): Promise<string>;
  /** Text of an entity. */
  get(collection: string, id: string): Promise<string | undefined>;
  /** Text of a page. */
  list(collection: string, query: string): Promise<string>;
  aggregate(collection: string, query: string): Promise<string>;
  add_scope(scope: string): Promise<undefined>;
  /** Text of a `ScopeInfo`. */
  warm_scope(scope: string): Promise<string>;
  /** Text of an `EvictReport`. */
  evict_scope(scope: string): Promise<string>;
  /** Text of a list of `ScopeInfo`. */
  scopes(): Promise<string>;
  /** Text of a `CycleReport`, and of what the next three are named after. */
  sync(): Promise<string>;
  drain(): Promise<string>;
  outcome(opId: string): Promise<string>;
  pause(): void;
  resume(): void;
  authenticated(): void;
  poke(): void;
  status(): Status;
  audit(): Promise<string>;
  /** Text of `Metrics`. */
  metrics(): string;
  /** Text of outbox entries. */
  outbox(state: string | undefined, limit: number | undefined): Promise<string>;
  retry(opId: string): Promise<string>;
  edit(opId: string, patch: string): Promise<string>;
  /** Text of the outbox entries that were discarded. */
  discard(opId: string, dependents: boolean): Promise<string>;
  /** Text of an `OutboxFile`; `wanted` is a word or the text of a list of ids. */
  export_file(wanted: string, handOver: boolean): Promise<string>;
  /** Text of an `ImportReport`. */
  import_file(text: string): Promise<string>;
  /** Text of conflicts. */
  conflicts(resolved: boolean): Promise<string>;
  /** Text of `{kind: "resolved"}` or `{kind: "moved", conflict}`. */
  resolve(id: string, resolution: string): Promise<string>;
  restore(id: string): Promise<string>;
  /** Stops syncing, gives up leadership, closes the database. */
  close(): void;
}

/** The wasm class. */
export interface DoorClass {
  /** `options` is the text of {@link DoorOptions}. */
  open(options: string, callbacks: DoorCallbacks): Promise<Door>;
}

/** What the core calls. None of these throws or rejects. */
export interface DoorCallbacks {
  /**
   * A notice after a commit: `status` with an object, `began` and `ended` with the name of a spell, every other kind with JSON
   * text.
   */
  readonly emit: (kind: string, payload: unknown) => void;
  /**
   * What a request takes along: its body as it is sent, then names and values of headers in turns; `null` where the application
   * gave no token or signature. `head` is the text of an {@link HttpHead}.
   */
  readonly pack: (
    head: string,
    body: string | undefined,
    signal: AbortSignal,
  ) => Promise<readonly (Uint8Array | string | undefined)[] | null>;
  /** Whether bytes are those of a `Content-Digest`; true where that cannot be told. */
  readonly intact: (digest: string, bytes: Uint8Array<ArrayBuffer>) => Promise<boolean>;
  /** A custom remote: JSON text in and out; a failure is the text of a `RemoteFailure`, or of `{halt: "no-token"}`. */
  readonly push: (batch: string, reason: TokenReason, signal: AbortSignal) => Promise<string>;
  readonly pull: (request: string, reason: TokenReason, signal: AbortSignal) => Promise<string>;
  /** Text of a conflict in, text of a resolution out; `null` where a person shall decide. */
  readonly conflict: (conflict: string, signal: AbortSignal) => Promise<string | null>;
  /** Text of a list of `{collection, id, document}` that was pulled in, text of the places of what a schema refuses out. */
  readonly check: (pulled: string) => Promise<string>;
}

/** Why a token is asked for. */
export type TokenReason = "initial" | "refused";

/** All of an HTTP request but its body and its times, with what the server's protocol lets us do with it. */
export interface HttpHead {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly url: string;
  /** Why the token is asked for. */
  readonly reason: TokenReason;
  /** A body of so many bytes or more is compressed. */
  readonly gzipFrom?: number;
  /** A digest goes along. */
  readonly digest: boolean;
  /** The `Idempotency-Key`. */
  readonly key?: string;
  /** The `If-None-Match`: the `ETag` of an answer that need not come again. */
  readonly ifNoneMatch?: string;
}

/** The options as they cross: checked, complete, plain data. */
export interface DoorOptions {
  readonly name: string;
  readonly user?: string;
  readonly tenant?: string;
  readonly remote: DoorRemote;
  /** Whether there is an `onConflict`. */
  readonly resolver: boolean;
  readonly collections: readonly DoorCollection[];
  /** Durability `"relaxed"`. */
  readonly relaxed: boolean;
  readonly allowMemory: boolean;
  /** In ms. */
  readonly syncEvery?: number;
  /** Where the application says what shall be here. */
  readonly scopes?: readonly string[];
  /** In ms. */
  readonly evictAfter?: number;
  /** Of the outbox. */
  readonly maxOperations?: number;
  readonly maxBytes?: number;
}

/** The standard protocol has a base URL, a described one a profile too, a custom remote neither. */
export type DoorRemote =
  | {
      readonly baseUrl: string;
      readonly timeout?: number;
      readonly gzip: boolean;
      readonly digest: boolean;
    }
  | {
      readonly baseUrl: string;
      readonly timeout?: number;
      readonly profile: RestProfile;
      readonly scope?: string;
    }
  | {
      readonly groups: boolean;
      readonly wholeRecord: boolean;
      readonly versions: boolean;
      readonly times: boolean;
    };

/** One collection as it crosses. */
export interface DoorCollection {
  readonly name: string;
  readonly conflicts: Required<ConflictPolicies>;
  readonly fields: readonly {
    readonly name: string;
    readonly rule: string;
    readonly steps?: readonly string[];
  }[];
  readonly references: readonly { readonly field: string; readonly collection: string }[];
  readonly coalesce: boolean;
  /** Whether there is a schema. */
  readonly checked: boolean;
  readonly priority: "high" | "normal" | "low";
  readonly indexes: readonly string[];
}
