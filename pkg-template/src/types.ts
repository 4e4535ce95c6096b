/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Every public type of Holdfast, in one file.
 *
 * Plain JSON goes in and comes out. States and errors are discriminated unions with a stable `kind` or `code`; nobody ever
 * needs to match a message.
 *
 * @module
 */

import type { HoldfastError } from "./errors.js";

/* ------------------------------------------------------------------ values */

/**
 * The name of a record inside its collection: 1 to 128 characters. Yours when you pass one to `create`, else a UUIDv7.
 *
 * @example
 * const id: Id = "order-1";
 */
export type Id = string;

/**
 * A value that JSON can say.
 *
 * @example
 * const value: JsonValue = { lines: [{ name: "Taco", cents: 875 }] };
 */
export type JsonValue = string | number | boolean | null | JsonObject | readonly JsonValue[];

/**
 * A JSON object; what a document is when the application gives no type for it.
 *
 * @example
 * const document: JsonObject = { table: 7, status: "open" };
 */
export type JsonObject = { readonly [member: string]: JsonValue };

/**
 * An RFC 7396 merge patch of `T`: named members are set, `null` removes one, arrays are replaced whole.
 * Only optional members can be removed. To store an explicit `null`, use `replace`.
 *
 * @example
 * const patch: MergePatch<{ status: string; note?: string }> = { status: "paid", note: null };
 */
export type MergePatch<T> = {
  readonly [K in keyof T]?:
    | MergePatchValue<Exclude<T[K], null | undefined>>
    | (Record<never, never> extends Pick<T, K> ? null : never);
};

/** What one member of a merge patch may be: an object is patched in turn, everything else is replaced. */
export type MergePatchValue<V> = V extends readonly unknown[]
  ? V
  : V extends object
    ? MergePatch<V>
    : V;

/**
 * A validator as the Standard Schema specification describes it (zod, valibot, arktype and others).
 *
 * @example
 * const schema: StandardSchema<Order> = z.object({ table: z.number() });
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Output> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a {@link StandardSchema} answers: the value, or the issues that speak against it. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One issue of a {@link StandardResult}. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/* ---------------------------------------------------------------- observing */

/**
 * Ends a subscription. Calling it again does nothing.
 *
 * @example
 * const stop: Unsubscribe = sync.on("progress", (p) => console.log(p.done));
 * stop();
 */
export type Unsubscribe = () => void;

/**
 * A value that changes. `getSnapshot` returns the same object until something has changed, and both functions work
 * without `this`, so the pair fits `useSyncExternalStore`, Vue's `shallowRef`, Svelte stores and signals.
 *
 * A listener that throws is reported once (`reportError`) and disturbs nobody else.
 *
 * @example
 * const status = useSyncExternalStore(sync.status.subscribe, sync.status.getSnapshot);
 */
export interface Observable<T> {
  /** Calls `listener` after each change, with the new snapshot; not at once. */
  readonly subscribe: (listener: (snapshot: T) => void) => Unsubscribe;
  /** The present value; the same object until it changes. */
  readonly getSnapshot: () => T;
}

/**
 * Something that can be stopped: the promise rejects with the code `"aborted"`. What was already stored stays stored.
 *
 * @example
 * await sync.drain({ signal: AbortSignal.timeout(10_000) });
 */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/* ------------------------------------------------------------------ opening */

/** Documents by collection name: `{ orders: Order; customers: Customer }`. */
export type Documents<D> = { readonly [K in keyof D]: unknown };

/** The document type of a collection; a plain JSON object where nothing is known about it. */
export type DocumentOf<T> = unknown extends T ? JsonObject : T;

/** The names of the members of `T`; any name where nothing is known about it. */
export type FieldOf<T> = unknown extends T ? string : keyof T & string;

/**
 * How urgent an operation is. High ones leave first and lend their urgency to what they wait for. Within one record
 * nothing overtakes.
 *
 * @example
 * await orders.patch(id, { status: "paid" }, { priority: "high" });
 */
export type Priority = "high" | "normal" | "low";

/**
 * What happens when the server's record changed since the edit was made. What only one side changed is combined under every
 * policy, and what lost is kept in the conflict record:
 *
 * - `"server-wins"`: the server's record stands; of the edit only what {@link CollectionOptions.fields | field rules} keep.
 * - `"client-wins"`: the edit stands.
 * - `"last-write-wins"`: whichever was written later, by clocks that the server's answers correct. Needs a backend that tells
 *   when records were written: the standard protocol does.
 * - `"merge"`: fields that only one side changed are combined. Where both changed the same field `onConflict` decides if there
 *   is one, else a person.
 * - `"callback"`: {@link OpenOptions.onConflict | onConflict} decides; a person where there is none, or where it does not.
 * - `"manual"`: a person decides.
 *
 * @example
 * const policy: ConflictPolicy = "merge";
 */
export type ConflictPolicy =
  | "server-wins"
  | "client-wins"
  | "last-write-wins"
  | "merge"
  | "callback"
  | "manual";

/**
 * A policy for each kind of conflict, ours first: `updateDelete` is "we changed it, they deleted it". Default `"merge"`.
 *
 * @example
 * const policies: ConflictPolicies = { updateUpdate: "merge", updateDelete: "server-wins" };
 */
export interface ConflictPolicies {
  readonly updateUpdate?: ConflictPolicy;
  readonly updateDelete?: ConflictPolicy;
  readonly deleteUpdate?: ConflictPolicy;
  readonly createCreate?: ConflictPolicy;
}

/**
 * The steps of a value that never moves backwards; made by `monotonic`.
 *
 * @example
 * const status: Monotonic<"open" | "paid"> = monotonic(["open", "paid"]);
 */
export interface Monotonic<S extends string = string> {
  readonly rule: "monotonic";
  readonly steps: readonly S[];
}

/**
 * How one field is settled where both sides changed it, whatever the policy of its collection is:
 *
 * - `"server"`, `"client"`, `"lww"`: that side, or the later one. What lost is kept in a conflict record.
 * - `"counter"`: both differences are added up. `"max"`, `"min"`: the greater or lesser number or text.
 * - `"set"`: what was added and removed is, in a list without doubles. `"append"`: what both put at the end.
 * - `monotonic(["open", "paid"])`: the step that is further.
 * - `"manual"`: a person decides.
 *
 * A value of another type is settled by the policy, as if the field had no rule.
 *
 * @example
 * const rule: FieldRule<number> = "counter";
 */
export type FieldRule<V = unknown> = "server" | "client" | "lww" | "manual" | FieldRuleOf<V>;

/**
 * The rules that calculate with values of one type.
 *
 * @example
 * const rule: FieldRuleOf<string[]> = "set";
 */
export type FieldRuleOf<V> = unknown extends V
  ? "set" | "append" | "counter" | "max" | "min" | Monotonic
  :
      | ([Extract<V, readonly unknown[]>] extends [never] ? never : "set" | "append")
      | ([Extract<V, number>] extends [never] ? never : "counter" | "max" | "min")
      | ([Extract<V, string>] extends [never]
          ? never
          : "max" | "min" | Monotonic<Extract<V, string>>);

/**
 * Rules by the name of a field at the top of the document.
 *
 * @example
 * const fields: FieldRules<Order> = { table: "max", note: "lww" };
 */
export type FieldRules<T> = {
  readonly [F in FieldOf<T>]?: FieldRule<F extends keyof T ? T[F] : unknown>;
};

/**
 * What is said about one collection at `open`. All of it is optional.
 *
 * @example
 * const orders: CollectionOptions<Order> = { conflicts: "merge", references: { customerId: "customers" }, priority: "high" };
 */
export interface CollectionOptions<T = unknown> {
  /** What to do when both sides changed a record; one policy, or one for each kind. Default `"merge"`. */
  readonly conflicts?: ConflictPolicy | ConflictPolicies;
  /** Fields that are settled by a rule of their own. */
  readonly fields?: FieldRules<NoInfer<T>>;
  /**
   * Fields that hold the id of a record in another collection. An operation that names a record waits until that record's
   * create has reached the server, and server-assigned ids are translated both ways.
   */
  readonly references?: { readonly [F in FieldOf<NoInfer<T>>]?: string };
  /** Whether edits of one record that have not left yet are folded into one operation. Default `true`. */
  readonly coalesce?: boolean;
  /** The urgency of writes that do not say their own. Default `"normal"`. */
  readonly priority?: Priority;
  /**
   * Members that queries ask about: they are kept in memory, ready to be compared and added up, from the first query on. Any other
   * member can be asked about too; it is read from the documents when it first is.
   */
  readonly indexes?: readonly FieldOf<NoInfer<T>>[];
  /** The member of the document that carries the record's id, for backends whose documents contain it. Default: none. */
  readonly idField?: FieldOf<NoInfer<T>>;
  /**
   * A Standard Schema validator, from which the document type is inferred. It runs before a write is stored (also `outbox.edit`,
   * and a `merged` document that settles a conflict), and its output is what is stored; and over what a pull brings, whose refusal is kept aside: the record stays as it was known here, and the refusal is
   * reported (`reportError`), once for each page.
   */
  readonly schema?: StandardSchema<T>;
}

/**
 * Decides a conflict in the application's name; see {@link OpenOptions.onConflict}.
 *
 * @example
 * const onConflict: ConflictHandler<{ orders: Order }> = async (c) =>
 *   c.theirs?.status === "paid" ? { keep: "theirs" } : "defer";
 */
export type ConflictHandler<D = Record<string, unknown>> = (
  conflict: ConflictOf<D>,
  context: ConflictContext,
) => HandlerAnswer<D[keyof D]> | Promise<HandlerAnswer<D[keyof D]>>;

/**
 * A conflict of one of the collections; `collection` tells which, and so what the documents are.
 *
 * @example
 * const isPaid = (c: ConflictOf<{ orders: Order; customers: Customer }>) =>
 *   c.collection === "orders" && c.theirs?.status === "paid";
 */
export type ConflictOf<D> = {
  [K in keyof D]: Conflict<DocumentOf<D[K]>> & { readonly collection: K };
}[keyof D];

/**
 * What a {@link ConflictHandler} may say: how to settle it, or that a person shall.
 *
 * @example
 * const answer: HandlerAnswer<Order> = { merged: { table: 7, note: "both notes" } };
 */
export type HandlerAnswer<T = unknown> = Resolution<DocumentOf<T>> | "defer";

/**
 * What a {@link ConflictHandler} is given besides the conflict.
 *
 * @example
 * const ask: ConflictHandler<{ orders: Order }> = async (c, { signal }: ConflictContext) => {
 *   const answer = await fetch(`/rules/${c.entityId}`, { signal });
 *   return answer.ok ? { keep: "theirs" } : "defer";
 * };
 */
export interface ConflictContext {
  /** Aborted when the answer is no longer wanted: it took too long, or the manager was closed. */
  readonly signal: AbortSignal;
}

/**
 * How much may wait in the outbox: 100,000 operations and 256 MiB of content where nothing else is said. An edit that goes into an
 * operation that waits is taken as long as it does not make the outbox larger than this.
 *
 * @example
 * const limits: OutboxLimits = { operations: 5_000, bytes: 20_000_000 };
 */
export interface OutboxLimits {
  readonly operations?: number;
  readonly bytes?: number;
}

/**
 * Why a token is asked for: for a new session, or because the server has refused the last one.
 *
 * @example
 * const getToken = ({ reason }: TokenRequest) => (reason === "refused" ? session.renew() : session.token());
 */
export interface TokenRequest {
  readonly reason: "initial" | "refused";
  /** Aborted when the answer is no longer wanted (the request timed out, or the manager was closed). */
  readonly signal: AbortSignal;
}

/**
 * A request that is about to leave, for {@link OpenOptions.signRequest}. What is in it is what the server sees, but for headers of
 * the browser's own.
 *
 * @example
 * const signRequest = ({ method, url, headers }: SignedRequest) => session.sign(method, url, headers["content-digest"]);
 */
export interface SignedRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** The whole address. */
  readonly url: string;
  /** By lower-case name. A request with a body has `content-digest` (in a secure context), over the bytes as they are sent. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Where a `SyncManager` gets everything it knows from.
 *
 * @example
 * const options: OpenOptions<{ orders: Order }> = {
 *   name: "till-7",
 *   remote: standard({ baseUrl: "/api" }),
 *   collections: { orders: { conflicts: "merge" } },
 * };
 */
export interface OpenOptions<D extends Documents<D>> {
  /** Names the database, together with `user` and `tenant`: 1 to 64 characters. One database per identity. */
  readonly name: string;
  /** Who is signed in. Another user gets another database. */
  readonly user?: string;
  /** For whom the user works. Another tenant gets another database. */
  readonly tenant?: string;
  /** Where operations go and changes come from: {@link StandardOptions | standard} or {@link RemoteFunctions | defineRemote}. */
  readonly remote: Remote;
  /** Gives the bearer token for a request; `undefined` sends none. Never stored, never logged. */
  readonly getToken?: (request: TokenRequest) => string | undefined | Promise<string | undefined>;
  /**
   * Signs a request: gives headers to send with it, as HTTP Message Signatures (RFC 9421) do with `signature-input` and
   * `signature`. The key stays the application's. Across origins the server allows the headers. Where it throws, nothing is sent
   * and the status is `"auth-required"`. Not for custom remotes: they send for themselves.
   *
   * @example
   * signRequest: async ({ method, url, headers }) => {
   *   const input = `sig=("@method" "@target-uri" "content-digest");created=${Math.floor(Date.now() / 1000)};keyid="till-7"`;
   *   const signature = await session.signature(input, method, url, headers);
   *   return { "signature-input": input, signature: `sig=:${signature}:` };
   * }
   */
  readonly signRequest?: (
    request: SignedRequest,
    options: { readonly signal: AbortSignal },
  ) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /** The collections of the application; a name outside of them is refused with `"unknown-collection"`. */
  readonly collections: { readonly [K in keyof D]: CollectionOptions<D[K]> };
  /**
   * Decides conflicts of collections with the policy `"callback"` or `"merge"`. It is asked in the tab that sends, about one
   * conflict at a time, and again after a restart if it had not answered. What it decides is a new write on the server's record.
   *
   * A person decides where it answers `"defer"`, throws, answers something else than a {@link Resolution}, takes more than 30
   * seconds, or one of the sides moved three times while it was thinking. The conflict is open meanwhile, and other records
   * go on. It may call every method.
   */
  readonly onConflict?: ConflictHandler<NoInfer<D>>;
  /** `"strict"` (default): a write resolves when it would survive a power cut. `"relaxed"`: when the browser has taken it. */
  readonly durability?: "strict" | "relaxed";
  /** Work in memory where IndexedDB is missing, visible in `status.storage`. Default `false`: `open` rejects with `"no-durable-storage"`. */
  readonly allowMemory?: boolean;
  /** How much may wait in the outbox. Beyond it new writes reject with `"outbox-full"`; nothing is ever evicted. */
  readonly limits?: OutboxLimits;
  /**
   * How long, in ms, until a cycle runs by itself. Default 60,000, with `presets.arxOs` 300,000. One runs besides when something was written, when the network
   * comes back, when the page is shown again, after {@link SyncManager.authenticated | authenticated} and
   * {@link SyncManager.poke | poke}, and when {@link SyncManager.sync | sync} is called.
   */
  readonly syncEvery?: number;
  /**
   * Selective sync: only these parts of the server's data, and those that {@link Scopes.add | scopes.add} adds, are pulled and kept.
   * What a name stands for is the server's business (`"building:42"`). An empty list begins with nothing. Without this option
   * everything is pulled.
   *
   * Scopes are remembered: one that was added in an earlier session is here without being named again, and one that is named here
   * comes back after it was evicted.
   */
  readonly scopes?: readonly string[];
  /** A scope that nobody has used for so many ms is evicted by itself. Without it, scopes stay. */
  readonly evictAfter?: number;
  /** Gives up opening. */
  readonly signal?: AbortSignal;
}

/**
 * The door to everything: opens the database of one identity.
 *
 * @example
 * const sync = await SyncManager.open<{ orders: Order }>({
 *   name: "till-7",
 *   remote: standard({ baseUrl: "/api" }),
 *   collections: { orders: {} },
 * });
 */
export interface SyncManagerConstructor {
  /**
   * Opens (and creates, if missing) the database and starts to sync in the background.
   *
   * Rejects with `"invalid-options"`, `"wasm-load"`, `"no-durable-storage"`, `"database-too-new"`, `"blocked"` or `"aborted"`.
   */
  open<D extends Documents<D>>(options: OpenOptions<D>): Promise<SyncManager<D>>;
}

/**
 * An open database and the synchronisation of it with one backend.
 *
 * @example
 * const orders = sync.collection("orders");
 * const sale = await orders.create({ table: 7, status: "open" });   // stored durably
 * const verdict = await sale.synced;                                // what the server said, whenever that is
 */
export interface SyncManager<D extends Documents<D>> {
  /** The database's name, as given to `open`. */
  readonly name: string;
  /** What is going on, for a badge or a status line. */
  readonly status: Observable<Status>;
  /** What has not been settled with the server yet. */
  readonly outbox: Outbox;
  /** Where both sides changed a record. */
  readonly conflicts: Conflicts;
  /** Which parts of the server's data are here; only with {@link OpenOptions.scopes}. */
  readonly scopes: Scopes;
  /** One of the collections given to `open`; any other name throws `"unknown-collection"`. */
  collection<K extends keyof D & string>(name: K): Collection<DocumentOf<D[K]>>;
  /**
   * Stores several writes all or none, in the order in which `callback` makes them, and gives their receipts in that order. The
   * callback only records: it reads nothing, returns at once, and where it throws (`"aborted"`, with the cause) or waits
   * (`"invalid-value"`) nothing is stored. Where one member is refused, all are, and `path` says which: `members/2`.
   *
   * A record has one operation in a transaction: several writes of it become one, or are refused with `"invalid-value"`. A
   * transaction has at most 50 members. The standard protocol takes one all or none; to another backend its members go in order.
   * When the server does not take a member, the others wait until a person has decided on it.
   *
   * @example
   * const [customer, order] = await sync.transaction((tx) => {
   *   const customerId = tx.customers.create({ name: "Ada" });
   *   tx.orders.create({ ...sale, customerId });
   *   tx.orders.patch("order-1", { status: "paid" });
   * });
   */
  transaction(
    callback: (tx: Transaction<D>) => void,
    options?: Abortable,
  ): Promise<readonly Receipt[]>;
  /**
   * Runs one cycle now: what can leave is pushed, then changes are pulled. Resolves when a cycle has ended that began after the
   * call, in whichever tab sends. Rejects with `"unreachable"`, `"auth-required"` or `"protocol-error"` where it broke off;
   * nothing is lost then, and it is tried again by itself.
   */
  sync(options?: SyncOptions): Promise<CycleReport>;
  /** Runs cycles until nothing more can leave. Resolves at once where nothing waits; waits out a lost connection. */
  drain(options?: Abortable): Promise<DrainReport>;
  /** The server's verdict on a write, in any tab and after any restart; `"unknown"` for an id that is not, or no longer, known. */
  outcome(opId: string, options?: Abortable): Promise<Outcome>;
  /** Listens to one kind of event. */
  on<K extends keyof Events>(event: K, listener: (payload: Events[K]) => void): Unsubscribe;
  /** Sends nothing until `resume`. Writes are still accepted and stored. */
  pause(): void;
  /** Ends `pause`. */
  resume(): void;
  /** Says that the user has signed in again, after the state `"auth-required"`. */
  authenticated(): void;
  /** Says that the server may have something new (a push message arrived, the app came to the front). */
  poke(): void;
  /** Accounts for every write that was ever accepted here. */
  audit(): Promise<Audit>;
  /** What was counted since this manager was opened. */
  metrics(): Promise<Metrics>;
  /** Stops syncing and closes the database. Pending calls reject with `"closed"`; what is stored stays stored. */
  close(): Promise<void>;
  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/* ------------------------------------------------------------------ records */

/**
 * A write that is stored. `opId` is the operation that carries it, which is an earlier one where edits were folded.
 *
 * @example
 * const receipt = await orders.create({ table: 7 });
 * if ((await receipt.synced).kind === "applied") printBill(receipt.id);
 */
export interface Receipt {
  readonly id: Id;
  readonly opId: string;
  /** The server's verdict, asked for when first read; a rejection that nobody looks at is not reported. */
  readonly synced: Promise<Outcome>;
}

/**
 * What became of a write:
 *
 * - `applied`: the server has it.
 * - `conflict`: a person has to decide; the conflict has this id.
 * - `rejected`: the server refused it for good; it is parked in the outbox.
 * - `yielded`: the server's record won, by policy or by choice; the write is kept in the conflict.
 * - `annihilated`: the record was created and removed before anything left the device.
 * - `discarded`: a person gave it up.
 * - `handed-over`: another device took it over.
 * - `unknown`: no such operation is known, or no longer.
 *
 * @example
 * const outcome = await sync.outcome(receipt.opId);
 * if (outcome.kind === "rejected") showMessage(outcome.message);
 */
export type Outcome =
  | { readonly kind: "applied"; readonly version?: string; readonly serverId?: string }
  | { readonly kind: "conflict"; readonly conflictId: string }
  | { readonly kind: "rejected"; readonly code: string; readonly message: string }
  | { readonly kind: "yielded"; readonly conflictId: string }
  | { readonly kind: "annihilated" }
  | { readonly kind: "discarded" }
  | { readonly kind: "handed-over" }
  | { readonly kind: "unknown" };

/**
 * A record as the application sees it: what the server last said, plus what is still on its way.
 *
 * @example
 * const order = await orders.get("order-1");
 * console.log(order?.document.status, order?.meta.state);
 */
export type Entity<T> = Readonly<{ id: Id; document: T; meta: EntityMeta }>;

/**
 * Where a record stands. `modifiedAt` is the time of its last change in ms since 1970.
 *
 * @example
 * const badge = { synced: "✓", pending: "…", syncing: "↑", conflict: "!", rejected: "✗" }[order.meta.state];
 */
export interface EntityMeta {
  readonly state: "synced" | "pending" | "syncing" | "conflict" | "rejected";
  /** The server's version of the record, where the backend has one. */
  readonly version?: string;
  /** The id the server gave it, where that is another one. `get` accepts both. */
  readonly serverId?: string;
  readonly modifiedAt: number;
}

/**
 * Options of a write.
 *
 * @example
 * await orders.remove("order-1", { priority: "high" });
 */
export interface WriteOptions extends Abortable {
  readonly priority?: Priority;
}

/**
 * Options of `create`.
 *
 * @example
 * await orders.create(sale, { id: "order-1" });
 */
export interface CreateOptions extends WriteOptions {
  /** Your own id for the record. With one of your own, repeating a create after a crash is safe: it says `"exists"`. */
  readonly id?: Id;
}

/**
 * The name of a member to ask about, `"guest.name"` being one inside another; a list of names where a name has a dot in it.
 *
 * @example
 * const place: Member<Order> = "guest.name";
 */
export type Member<T = unknown> = FieldOf<T> | (string & {}) | readonly string[];

/**
 * Tests of one member; it must pass every one. Values are compared with values of their own kind only: `{ gt: 5 }` finds no text. Texts
 * are in the order of their code points, numbers are decimals of any length.
 *
 * @example
 * const total: Condition = { gte: 1000, lt: 5000 };
 * const today: Condition = { prefix: "2026-11-28" };
 */
export interface Condition<V = unknown> {
  /** The same value, by RFC 8785: of numbers and objects the spelling does not matter. */
  readonly eq?: V | null;
  /** One of these. */
  readonly in?: readonly (V | null)[];
  readonly lt?: V;
  readonly lte?: V;
  readonly gt?: V;
  readonly gte?: V;
  /** A text that begins so. */
  readonly prefix?: string;
  /** A list with this element. */
  readonly has?: unknown;
  /** Whether the member is there at all; `null` is there. */
  readonly exists?: boolean;
}

/**
 * Conditions, all of which must hold: a value that a member must equal, or tests of it; `$and`, `$or` and `$not` combine conditions.
 *
 * @example
 * const busy: Where<Order> = { status: { in: ["open", "paid"] }, $not: { table: null } };
 * const late: Where<Order> = { $or: [{ status: "open" }, { createdAt: { lt: "2026-11-28T22:00:00Z" } }] };
 */
export type Where<T = unknown> = {
  readonly [F in FieldOf<T>]?: F extends keyof T
    ? Extract<T[F], string | number | boolean> | null | Condition<T[F]>
    : unknown;
} & {
  readonly [nested: `${string}.${string}`]: unknown;
  /** Where the record stands; `$state` is also a member to order and to group by. */
  readonly $state?: EntityMeta["state"] | Condition<EntityMeta["state"]>;
  readonly $and?: readonly Where<T>[];
  readonly $or?: readonly Where<T>[];
  readonly $not?: Where<T>;
};

/**
 * One step of an order. What is absent comes first, then `null`, booleans, numbers, texts, lists and objects.
 *
 * @example
 * const newest: OrderBy<Order> = { field: "createdAt", direction: "desc" };
 */
export type OrderBy<T = unknown> =
  | FieldOf<T>
  | { readonly field: Member<T>; readonly direction?: "asc" | "desc" };

/**
 * Which records of a collection, and in which order. The answer shows what the application sees: what the server told and what was
 * written here since, sent or not.
 *
 * @example
 * const first = await orders.list({ where: { status: "open" }, orderBy: "createdAt", limit: 50 });
 * const second = await orders.list({ where: { status: "open" }, orderBy: "createdAt", limit: 50, after: first.next });
 */
export interface Query<T = unknown> extends Abortable {
  /** Only those that meet these conditions. */
  readonly where?: Where<T>;
  /** In this order; between equals, and without one, by id. */
  readonly orderBy?: OrderBy<T> | readonly OrderBy<T>[];
  /** At most so many, 1 to 1,000. Default: all. */
  readonly limit?: number;
  /** Pass over so many first. Pages by `after` miss nothing when records come and go between them; pages by `offset` may. */
  readonly offset?: number;
  /** Go on behind this place: the `next` of the page before, of the same order. */
  readonly after?: string | undefined;
  /** Only records that this scope brought. What was created here and has not come back with a pull yet is in none. */
  readonly scope?: string | undefined;
}

/**
 * A page of a collection, in the order asked for.
 *
 * @example
 * for (const order of (await orders.list()).items) console.log(order.id, order.meta.state);
 */
export interface Page<T> {
  readonly items: readonly Entity<T>[];
  /**
   * Whether a full pull has brought everything the server has: of the scope that was asked for, else of all scopes. `false` while the
   * first one is under way, and where no scope was added.
   */
  readonly complete: boolean;
  /** Pass this as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

/**
 * What records add up to.
 *
 * @example
 * // Sales by hour, and by item: every element of `lines` is a row of its own.
 * const hours = await orders.aggregate({ groupBy: { field: "createdAt", length: 13 }, sum: "total" });
 * const items = await orders.aggregate({ each: "lines", groupBy: "lines.name", sum: "lines.total" });
 */
export interface Aggregate<T = unknown> extends Abortable {
  /** Only records, or elements, that meet these conditions. */
  readonly where?: Where<T>;
  /** Only records that this scope brought. What was created here and has not come back with a pull yet is in none. */
  readonly scope?: string | undefined;
  /** Every element of this list is a row; members below it (`"lines.name"`) are the element's, all others the record's. */
  readonly each?: Member<T>;
  /** One group for each value, or each combination of values; without it, one group of all. */
  readonly groupBy?: GroupBy<T> | readonly GroupBy<T>[];
  /** The sum of the numbers in each of these members, exact to the last digit. */
  readonly sum?: FieldOf<T> | (string & {}) | readonly Member<T>[];
  /** Their mean, to twelve places. */
  readonly avg?: FieldOf<T> | (string & {}) | readonly Member<T>[];
  /** The least value that is there. */
  readonly min?: FieldOf<T> | (string & {}) | readonly Member<T>[];
  /** The greatest. */
  readonly max?: FieldOf<T> | (string & {}) | readonly Member<T>[];
}

/**
 * A member whose values make groups, or parts of them: the first `length` characters of its texts (of an instant by RFC 3339, 10 are
 * the day and 13 the hour, as it is written there), or the `step` that its numbers fall into, of which one begins at `origin`
 * (default 0). The key is where the step begins.
 *
 * @example
 * const day: GroupBy<Order> = { field: "createdAt", length: 10 };
 * const hour: GroupBy<Order> = { field: "paidAt", step: 3_600_000 };
 */
export type GroupBy<T = unknown> =
  | FieldOf<T>
  | (string & {})
  | { readonly field: Member<T>; readonly length?: number }
  | { readonly field: Member<T>; readonly step: number; readonly origin?: number };

/**
 * One group: its values by member, how many rows it has, and what was asked for, by member. Numbers come as JSON has them: a sum beyond
 * 2^53 is rounded when it becomes a `number`. `null` where there is nothing to calculate with.
 *
 * @example
 * for (const { key, sum } of groups) console.log(key["createdAt"], sum?.["total"]);
 */
export interface Totals {
  readonly key: Readonly<Record<string, unknown>>;
  readonly count: number;
  readonly sum?: Readonly<Record<string, number | null>>;
  readonly avg?: Readonly<Record<string, number | null>>;
  readonly min?: Readonly<Record<string, unknown>>;
  readonly max?: Readonly<Record<string, unknown>>;
}

/**
 * The groups of an aggregate, in the order of their values.
 *
 * @example
 * const { groups: [all], complete } = await orders.aggregate({ sum: "total" });
 */
export interface Aggregated {
  readonly groups: readonly Totals[];
  /** As in {@link Page}: whether everything that the server has is counted. */
  readonly complete: boolean;
}

/**
 * A live list: loading, ready with the items, or failed.
 *
 * @example
 * const list = orders.live();
 * list.subscribe((now) => { if (now.state === "ready") draw(now.items); });
 */
export type LiveList<T> =
  | { readonly state: "loading" }
  | { readonly state: "ready"; readonly items: readonly Entity<T>[]; readonly complete: boolean }
  | { readonly state: "error"; readonly error: HoldfastError };

/**
 * The records of one kind. A write resolves when it is *stored durably* on this device, with or without a connection; the
 * server's verdict comes with `receipt.synced`.
 *
 * Every method rejects with a `HoldfastError`: `"invalid-value"` or `"too-large"` for what is not plain JSON of reasonable
 * size, `"not-found"` or `"gone"`, `"storage-full"`, `"closed"` and so on.
 *
 * @example
 * const orders = sync.collection("orders");
 * const { id } = await orders.create({ table: 7, status: "open" });
 * await orders.patch(id, { status: "paid" });
 */
export interface Collection<T> {
  /** Its name, as given to `open`. */
  readonly name: string;
  /** Stores a new record. An id that is taken: `"exists"`. */
  create(document: T, options?: CreateOptions): Promise<Receipt>;
  /** Changes members of a record, by RFC 7396. */
  patch(id: Id, patch: MergePatch<T>, options?: WriteOptions): Promise<Receipt>;
  /** Stores a whole new content, for what a merge patch cannot say. */
  replace(id: Id, document: T, options?: WriteOptions): Promise<Receipt>;
  /** Removes a record. Refused with `"referenced"` while an unsent record names a create that has not left either. */
  remove(id: Id, options?: WriteOptions): Promise<Receipt>;
  /** Reads a record by its own id or the server's; `undefined` if there is none, or it was removed. */
  get(id: Id, options?: Abortable): Promise<Entity<T> | undefined>;
  /** Reads records: all, or those that a query is about. A query that makes no sense is refused: `"invalid-value"` with its `path`. */
  list(query?: Query<T>): Promise<Page<T>>;
  /** Counts records and adds up their members, in groups. */
  aggregate(query?: Aggregate<T>): Promise<Aggregated>;
  /**
   * A list that is kept up to date in every tab, while somebody is subscribed. The snapshot is another one only when the result is:
   * a commit that changes nothing in it tells nobody.
   */
  live(query?: Query<T>): Observable<LiveList<T>>;
}

/**
 * Where a transaction writes: one recorder for each collection, by its name.
 *
 * @example
 * await sync.transaction((tx) => {
 *   tx.orders.patch("order-1", { status: "paid" });
 *   tx.customers.patch("c1", { name: "Ada" });
 * });
 */
export type Transaction<D extends Documents<D>> = {
  readonly [K in keyof D & string]: TransactionCollection<DocumentOf<D[K]>>;
};

/**
 * Options of a member of a transaction. All of it is as urgent as its most urgent member.
 *
 * @example
 * await sync.transaction((tx) => tx.orders.remove("order-1", { priority: "high" }));
 */
export interface MemberOptions {
  readonly priority?: Priority;
}

/**
 * Options of `create` in a transaction.
 *
 * @example
 * await sync.transaction((tx) => void tx.orders.create(sale, { id: "order-1" }));
 */
export interface MemberCreateOptions extends MemberOptions {
  readonly id?: Id;
}

/**
 * The writes of a {@link Collection}, recorded for a transaction.
 *
 * @example
 * await sync.transaction((tx) => {
 *   const customerId = tx.customers.create({ name: "Ada" });
 *   tx.orders.patch("order-1", { customerId });
 * });
 */
export interface TransactionCollection<T> {
  /** Makes a record and gives its id, so that other members can name it. */
  create(document: T, options?: MemberCreateOptions): Id;
  /** Changes members of a record, by RFC 7396. */
  patch(id: Id, patch: MergePatch<T>, options?: MemberOptions): void;
  /** Gives a record a whole new content. */
  replace(id: Id, document: T, options?: MemberOptions): void;
  /** Removes a record. */
  remove(id: Id, options?: MemberOptions): void;
}

/* ------------------------------------------------------------------- scopes */

/**
 * A scope, as it is here. Times are ms since 1970.
 *
 * @example
 * const [building] = await sync.scopes.list();
 * if (building && !building.complete) bar(building.done);
 */
export interface ScopeInfo {
  readonly scope: string;
  /** Whether all of it is here. */
  readonly complete: boolean;
  /** Changes that its full pull has brought so far; a pull that was interrupted goes on from there. */
  readonly done: number;
  /** Records of it, and the bytes of their documents. */
  readonly records: number;
  readonly bytes: number;
  /** When it was added, or a record of it was last read with `get`, or `list` was asked for it: to the hour. */
  readonly lastUse?: number;
  /** When a pull of it last came to its end. */
  readonly lastPull?: number;
  /** It was evicted, but for records with work that has not been sent. They go when that is settled. */
  readonly leaving: boolean;
  /** Why the server gave nothing of it when it was last asked (`"forbidden"`, `"misconfigured"`, ...); known in the tab that sends. */
  readonly refused?: string;
}

/**
 * What an eviction did.
 *
 * @example
 * const { kept } = await sync.scopes.evict("building:41");
 * if (kept > 0) console.log(`${kept} records wait for the server`);
 */
export interface EvictReport {
  /** Records that are not here any more. */
  readonly gone: number;
  /** Records that stay until what is in the outbox for them is settled. */
  readonly kept: number;
}

/**
 * Selective sync: which parts of the server's data are here. Each scope is pulled with a cursor of its own, a page in turn, and what
 * the server says of one does not stop the others. Scopes may overlap: a record is here as long as one of its scopes is.
 *
 * Every method rejects with `"invalid-options"` where the manager was opened without {@link OpenOptions.scopes | scopes}.
 *
 * @example
 * await sync.scopes.add("building:42");
 * await sync.scopes.warm("building:43", { onProgress: (p) => console.log(p.done) });
 * await sync.scopes.evict("building:41");
 */
export interface Scopes {
  /** Wants a scope from now on. Resolves when that is stored; it is pulled with every cycle. Once more is a use of it. */
  add(scope: string, options?: Abortable): Promise<void>;
  /** What is known of each scope. Counts records by reading them all: not for every frame. */
  list(options?: Abortable): Promise<readonly ScopeInfo[]>;
  /**
   * Takes the records away that no other scope has, and pulls the scope no more. What has not been sent is never touched: such records
   * stay until it is settled. A scope that is not here: `"not-found"`.
   */
  evict(scope: string, options?: Abortable): Promise<EvictReport>;
  /**
   * Adds a scope and resolves when all of it is here. Rejects as `sync` does where a cycle breaks off, and with what the server
   * says of the scope. Given up, the scope stays added: `evict` stops it.
   */
  warm(scope: string, options?: SyncOptions): Promise<ScopeInfo>;
}

/* ------------------------------------------------------------------ syncing */

/**
 * What is going on. `since` is ms since 1970.
 *
 * `storage-full`: the device has no room, or little. From 70 % of the quota on nothing more is pulled, where the browser tells; writes
 * go on. At the quota writes are refused with `"storage-full"`, and what waits reaches the server all the same. With room again
 * everything goes on by itself.
 *
 * @example
 * const { kind, outbox } = sync.status.getSnapshot();
 * badge.textContent = kind === "synced" ? "all sent" : `${outbox.pending} waiting`;
 */
export interface Status {
  readonly kind:
    | "synced"
    | "pending"
    | "syncing"
    | "offline"
    | "paused"
    | "auth-required"
    | "blocked-by-server"
    | "storage-full"
    | "storage-lost"
    | "superseded"
    | "stalled"
    | "crashed";
  /**
   * More about `kind`: `"forbidden"`, `"misconfigured"`, `"foreign-response"`, `"rate-limited"`, `"unreadable"` or another stable
   * word. `"unreadable"`: the server sends more that this release cannot read than is kept aside; pulling stands still, pushing goes
   * on, and a release that can read it goes on from there. With `"stalled"` it is the code of this device's own trouble, such as
   * `"storage-timeout"`: operations wait, and sending them is tried again and again.
   */
  readonly reason?:
    | "forbidden"
    | "misconfigured"
    | "foreign-response"
    | "rate-limited"
    | "unreadable"
    | (string & Record<never, never>);
  readonly since: number;
  readonly connection: {
    readonly kind: "connected" | "limited" | "disconnected";
    readonly reason: string;
  };
  /** Whether this tab is the one that sends. */
  readonly leader: boolean;
  /**
   * Operations by state; what is blocked by a parked one counts as parked. `oldest`: when the eldest of them was written, ms since
   * 1970, as `open` and the last cycle found it; absent where there is none.
   */
  readonly outbox: {
    readonly pending: number;
    readonly inFlight: number;
    readonly parked: number;
    readonly bytes: number;
    readonly oldest?: number;
  };
  /** How many conflicts are open. */
  readonly conflicts: number;
  /** How many changes of the server's, and stored rows, could not be read and are kept aside, byte for byte; absent where there are none. */
  readonly unreadable?: number;
  /** When something was last pushed and pulled with success, ms since 1970. */
  readonly lastPush?: number;
  readonly lastPull?: number;
  /** How safe the data is; `usage` and `quota` in bytes, where the browser tells. */
  readonly storage: {
    readonly durability: "strict" | "relaxed" | "memory";
    readonly persisted?: boolean;
    readonly usage?: number;
    readonly quota?: number;
  };
}

/**
 * How far a cycle has come: operations settled in the phase `push`, changes stored in the phase `pull`.
 *
 * @example
 * await sync.sync({ onProgress: (p) => bar(p.done, p.total) });
 */
export interface Progress {
  readonly phase: "push" | "pull";
  readonly scope?: string;
  readonly done: number;
  readonly total?: number;
  readonly conflicts: number;
  readonly parked: number;
  readonly bytes: number;
}

/**
 * Options of `sync`.
 *
 * @example
 * await sync.sync({ onProgress: (p) => console.log(p.phase, p.done) });
 */
export interface SyncOptions extends Abortable {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * What one cycle did. `halted` says why it broke off, where it did.
 *
 * @example
 * sync.on("cycle", (report) => console.log(report.applied, report.pulled, report.halted ?? "done"));
 */
export interface CycleReport {
  /** Operations that the server has now. */
  readonly applied: number;
  readonly conflicts: number;
  readonly parked: number;
  /** Records that were stored. */
  readonly pulled: number;
  /** On the wire, both ways. */
  readonly bytes: number;
  /** How long it took. */
  readonly millis: number;
  /** Of the bytes, those that left. */
  readonly up: number;
  /** Operations that were sent and are sent again. */
  readonly retried: number;
  /** Conflicts by kind, those that a policy settled included. */
  readonly conflictKinds: Readonly<Record<Conflict["kind"], number>>;
  /** When the eldest operation that still waits was written, ms since 1970; absent where none does. */
  readonly oldest?: number;
  readonly halted?:
    | "unreachable"
    | "foreign-response"
    | "auth-required"
    | "forbidden"
    | "misconfigured"
    | "rate-limited"
    | "too-large"
    | "refused"
    | "protocol-error"
    | "unreadable"
    | "storage-full"
    | "storage-lost"
    | (string & Record<never, never>);
}

/**
 * How often something was done, and how long it took. `classes` counts by length: up to the first bound of `classesMs`, up to the
 * second, and so on; the last is without a bound.
 *
 * @example
 * const { writes } = await sync.metrics();
 * const average: number = writes.totalMs / (writes.succeeded + writes.failed);
 */
export interface Span {
  readonly succeeded: number;
  readonly failed: number;
  readonly totalMs: number;
  readonly maxMs: number;
  readonly classes: readonly number[];
}

/**
 * What was counted since this manager was opened: plain numbers, nothing that names a record or a user. Cycles, and what is
 * in them, are those of the tab that leads, as it told them; `writes`, `offlineMs` and `outbox` are what this tab saw. The
 * same spells are User Timing measures of the tab that does them: `holdfast:cycle`, `holdfast:push`, `holdfast:pull`, and
 * `holdfast:commit` for the storing of a write.
 *
 * @example
 * const { cycles, applied, retried } = await sync.metrics();
 * console.log({ failures: cycles.failed, applied, retried });
 */
export interface Metrics {
  /** Ms since 1970. */
  readonly since: number;
  readonly cycles: Span;
  /** Why cycles broke off, by the words of `CycleReport.halted`. */
  readonly halts: Readonly<Record<string, number>>;
  /** From the call to the disk. */
  readonly writes: Span;
  /** The bounds of `classes`. */
  readonly classesMs: readonly number[];
  /** Operations that the server has, refused for good, and that were sent and are sent again. */
  readonly applied: number;
  readonly parked: number;
  readonly retried: number;
  readonly conflicts: Readonly<Record<Conflict["kind"], number>>;
  /** Records. */
  readonly pulled: number;
  /** Bodies and addresses, of requests that were answered. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Time in which the server could not be reached. */
  readonly offlineMs: number;
  /** Documents that are in memory for queries. */
  readonly heldBytes: number;
  readonly heldRecords: number;
  /**
   * The outbox over time, oldest first: at most 240 samples of 15 seconds in which it changed. `pending` and `parked` are those
   * of the end of a sample, `most` is the most that was pending in it.
   */
  readonly outbox: readonly {
    readonly at: number;
    readonly pending: number;
    readonly most: number;
    readonly parked: number;
  }[];
}

/**
 * What `drain` left behind.
 *
 * @example
 * const { pending, parked } = await sync.drain();
 * if (pending + parked === 0) console.log("the server has everything");
 */
export interface DrainReport {
  readonly applied: number;
  readonly pending: number;
  readonly parked: number;
}

/**
 * The books: every write that was accepted, and where it is now. `balanced` says that nothing is missing:
 * `accepted + derived + imported` equals the sum of all others.
 *
 * @example
 * const audit = await sync.audit();
 * console.assert(audit.balanced);
 */
export interface Audit {
  readonly accepted: number;
  readonly derived: number;
  readonly imported: number;
  readonly applied: number;
  readonly folded: number;
  readonly annihilated: number;
  readonly yielded: number;
  readonly superseded: number;
  readonly discarded: number;
  readonly handedOver: number;
  readonly pending: number;
  readonly blocked: number;
  readonly parked: number;
  readonly balanced: boolean;
}

/**
 * What can be listened to with `sync.on`. Notices come after the commit they are about, in its order, in every tab.
 *
 * @example
 * sync.on("parked", (entry) => notify(`${entry.collection} ${entry.entityId} needs you`));
 */
export interface Events {
  /** How far the running cycle is. */
  readonly progress: Progress;
  /** Which records look different now. */
  readonly change: readonly RecordChange[];
  /**
   * A conflict was found: one that a person is asked about, or, with `resolved`, one that the policy or `onConflict` has
   * settled. What `onConflict` is asked about is told when it has answered.
   */
  readonly conflict: Conflict;
  /** An operation needs a person. */
  readonly parked: ParkedEntry;
  /** A cycle ended. */
  readonly cycle: CycleReport;
  /** The server wants the user to sign in; nothing leaves until `authenticated()`. */
  readonly "auth-required": AuthRequired;
  /** Something happened to the storage. */
  readonly storage: StorageNotice;
  /** This manager can not go on: every later call rejects with this error's code. Open again, or reload the page. */
  readonly fatal: HoldfastError;
}

/**
 * Records of one collection that look different now.
 *
 * @example
 * sync.on("change", (changes) => changes.forEach((c) => console.log(c.collection, c.ids)));
 */
export interface RecordChange {
  readonly collection: string;
  readonly ids: readonly Id[];
}

/**
 * Why the user has to sign in again.
 *
 * @example
 * sync.on("auth-required", async () => { await signIn(); sync.authenticated(); });
 */
export interface AuthRequired {
  /** `"refused"`: the server answered 401 to a fresh token. `"no-token"`: `getToken` threw or gave none. */
  readonly reason: "refused" | "no-token" | (string & Record<never, never>);
}

/**
 * What happened to the storage: it is full, it was deleted under us, a newer version of the app took the database over, or it
 * is well again.
 *
 * `lost` while the database is open means that this manager can do no more: open it anew. `lost` right after `open` means that
 * the browser had deleted the database: what was not sent is gone, writes are accepted, and `restored` follows when
 * everything has been pulled again.
 *
 * `full`: there is no room, or little (see `Status`); `restored` follows when there is some again.
 *
 * @example
 * sync.on("storage", (notice) => { if (notice.kind === "superseded") location.reload(); });
 */
export interface StorageNotice {
  readonly kind: "full" | "lost" | "superseded" | "restored";
}

/* ------------------------------------------------------- outbox, conflicts */

/**
 * What every entry of the outbox says. `at` is when it was written, ms since 1970; `sends` counts departures and `refusals`
 * the server's own refusals of it.
 *
 * @example
 * const entries: OutboxEntry[] = await sync.outbox.list();
 * entries.sort((a, b) => a.at - b.at);
 */
export interface OutboxEntryBase {
  readonly opId: string;
  readonly collection: string;
  readonly entityId: Id;
  readonly kind: "create" | "change" | "replace" | "delete" | "resolve";
  readonly priority: Priority;
  readonly at: number;
  readonly sends: number;
  readonly refusals: number;
}

/**
 * An operation that needs a person, and why. `snapshot` is the whole document as the user last saw it.
 *
 * @example
 * for (const entry of await sync.outbox.list({ state: "parked" })) {
 *   if (entry.why === "rejected") console.log(entry.code, entry.message, entry.snapshot);
 * }
 */
export type ParkedEntry = OutboxEntryBase & { readonly state: "parked" } & (
    | { readonly why: "conflicted"; readonly conflictId: string }
    | {
        readonly why: "rejected";
        readonly code: string;
        readonly message: string;
        readonly snapshot: JsonObject | null;
      }
    | { readonly why: "handed-over" }
  );

/**
 * An operation in the outbox: waiting, on its way, applied and not seen in a pull yet, behind a parked one, or parked.
 *
 * @example
 * const waiting = (await sync.outbox.list()).filter((entry) => entry.state === "queued");
 */
export type OutboxEntry =
  | (OutboxEntryBase & { readonly state: "queued"; readonly notBefore?: number })
  | (OutboxEntryBase & { readonly state: "in-flight" })
  | (OutboxEntryBase & { readonly state: "acked" })
  | (OutboxEntryBase & { readonly state: "blocked"; readonly by: string })
  | ParkedEntry;

/**
 * Which operations to list.
 *
 * @example
 * await sync.outbox.list({ state: "parked", limit: 20 });
 */
export interface OutboxQuery<S extends OutboxEntry["state"] = OutboxEntry["state"]>
  extends Abortable {
  readonly state?: S;
  /** At most so many, 1 to 1,000. Default 1,000. */
  readonly limit?: number;
}

/**
 * What is not settled with the server. Nothing leaves it without a trace, and nothing in it is ever dropped.
 *
 * @example
 * const [entry] = await sync.outbox.list({ state: "parked" });
 * if (entry) await sync.outbox.edit(entry.opId, { status: "open" });
 */
export interface Outbox {
  /** The operations, oldest first. */
  list<S extends OutboxEntry["state"] = OutboxEntry["state"]>(
    query?: OutboxQuery<S>,
  ): Promise<Extract<OutboxEntry, { state: S }>[]>;
  /** Sends a parked operation again, as a new one, with what was blocked behind it. */
  retry(opId: string, options?: Abortable): Promise<Receipt>;
  /** The same with a correction: an RFC 7396 patch of what was refused. */
  edit(opId: string, patch: JsonObject, options?: Abortable): Promise<Receipt>;
  /** Gives a parked or blocked operation up, and returns what was given up. */
  discard(opId: string, options?: DiscardOptions): Promise<OutboxEntry[]>;
  /**
   * Writes operations into a file. Without `handOver` it is a backup and changes nothing here. With it the operations are parked
   * here as handed over, out of what `get` and `list` show, and live where the file is imported.
   */
  export(options?: ExportOptions): Promise<OutboxFile>;
  /**
   * Brings the operations of a file into the outbox, all or none. Those of a hand-over wait to be sent; those of a backup are
   * parked as rejected with the code `"imported"`. What was imported before is left alone; what was handed over from here
   * comes back. Rejects with `"invalid-value"`, `"too-large"`, `"unknown-collection"` (`path` says where) or `"outbox-full"`.
   */
  import(file: OutboxFile, options?: Abortable): Promise<ImportReport>;
}

/**
 * Options of `export`.
 *
 * @example
 * await sync.outbox.export({ operations: "parked", handOver: true });
 */
export interface ExportOptions extends Abortable {
  /**
   * `"all"` (default), `"parked"` with what waits behind it, `"handed-over"` to write a lost file again, or ids. A hand-over takes
   * along what is tied to these: other operations of their records, of the records that they name, of their transactions.
   */
  readonly operations?: "all" | "parked" | "handed-over" | readonly string[];
  /** Whether the operations live on the other device from now on. Default `false`. */
  readonly handOver?: boolean;
}

/**
 * Operations on their way to another device, as plain JSON: to be saved, sent, and given to `import` as it is. What is in it
 * beyond these members is described in `docs/formats.md`; at most 10,000 operations and 64 MiB.
 *
 * @example
 * const file: OutboxFile = await sync.outbox.export({ handOver: true });
 * const blob = new Blob([JSON.stringify(file)], { type: "application/json" });
 */
export interface OutboxFile {
  readonly holdfast: "outbox";
  readonly version: 1;
  /** When it was made, ms since 1970. */
  readonly at: number;
  readonly owner: { readonly tenant?: string; readonly user?: string };
  readonly handOver: boolean;
  readonly operations: readonly JsonObject[];
  readonly conflicts: readonly JsonObject[];
}

/**
 * What `import` did: operations that are in the outbox now, and operations that were known already.
 *
 * @example
 * const file: OutboxFile = JSON.parse(await new Response("{}").text());
 * const { imported, known } = await sync.outbox.import(file);
 */
export interface ImportReport {
  readonly imported: number;
  readonly known: number;
}

/**
 * Options of `discard`.
 *
 * @example
 * await sync.outbox.discard(entry.opId, { dependents: "discard" });
 */
export interface DiscardOptions extends Abortable {
  /**
   * Discarding a create takes everything with it that depends on the record. `"refuse"` (default) rejects with `"referenced"`
   * where that is anything on another record; `"discard"` gives all of it up.
   */
  readonly dependents?: "refuse" | "discard";
}

/**
 * Both sides changed a record. A deleted side is `null`; `base` is what the edit was made on, `fields` names where the two sides
 * differ. While it is open later edits move `mine` and later changes of the server's `theirs`; `resolved` says how it ended.
 *
 * @example
 * sync.on("conflict", (c) => console.log(c.kind, c.fields, c.mine, c.theirs));
 */
export interface Conflict<T = unknown> {
  readonly id: string;
  readonly collection: string;
  readonly entityId: Id;
  readonly kind: "update-update" | "update-delete" | "delete-update" | "create-create";
  readonly base: T | null;
  readonly mine: T | null;
  readonly theirs: T | null;
  readonly fields: readonly string[];
  readonly at: number;
  readonly resolved?: {
    readonly by: "policy" | "callback" | "person";
    readonly choice: string;
    readonly at: number;
  };
}

/**
 * How to settle a conflict: one side, a document of your own (`null` deletes), or a side per field.
 *
 * @example
 * await sync.conflicts.resolve(conflict.id, { fields: { status: "mine", note: "theirs" } });
 */
export type Resolution<T = unknown> =
  | { readonly keep: "mine" | "theirs" }
  | { readonly merged: T | null }
  | { readonly fields: Readonly<Record<string, "mine" | "theirs">> };

/**
 * What became of a resolution. `moved`: a side has changed since this tab listed the conflict, theirs by a pull or yours by a later
 * edit, and nothing was decided; look at the conflict again.
 *
 * @example
 * const result = await sync.conflicts.resolve(conflict.id, { keep: "mine" });
 * if (result.kind === "moved") show(result.conflict);
 */
export type Resolved =
  | { readonly kind: "resolved" }
  | { readonly kind: "moved"; readonly conflict: Conflict };

/**
 * Which conflicts to list.
 *
 * @example
 * await sync.conflicts.list({ resolved: true });
 */
export interface ConflictQuery extends Abortable {
  /** Whether to list the resolved ones as well. Default `false`: open ones only. */
  readonly resolved?: boolean;
}

/**
 * Where both sides changed a record.
 *
 * @example
 * for (const conflict of await sync.conflicts.list()) await sync.conflicts.resolve(conflict.id, { keep: "theirs" });
 */
export interface Conflicts {
  /** The conflicts, oldest first. */
  list(query?: ConflictQuery): Promise<Conflict[]>;
  /** Settles one. One that is settled already: `"already-resolved"`. */
  resolve(id: string, resolution: Resolution, options?: Abortable): Promise<Resolved>;
  /**
   * Brings back the side of a resolved conflict that lost: theirs where ours won, else ours. It is a new write on the record
   * as it is now, at the fields where the two sides differed; a deleted side removes the record, and a record that is gone is
   * made again. Resolved conflicts are kept for 30 days. An open one: `"pending-work"`.
   */
  restore(id: string, options?: Abortable): Promise<Receipt>;
}

/* ------------------------------------------------------------------ remotes */

/**
 * A backend, as made by `standard` or `defineRemote`.
 *
 * @example
 * const remote: Remote = standard({ baseUrl: "/api" });
 */
export type Remote =
  | ({ readonly kind: "standard" } & StandardOptions)
  | ({ readonly kind: "rest" } & RestOptions)
  | ({ readonly kind: "custom" } & RemoteFunctions);

/**
 * A backend that speaks Holdfast's own protocol (`docs/protocol.md`).
 *
 * @example
 * standard({ baseUrl: "https://api.example.org/sync", timeout: 15_000 });
 */
export interface StandardOptions {
  /** Where `push` and `pull` are: absolute, or relative to the page. */
  readonly baseUrl: string;
  /**
   * How long one request may take, in ms. Default 30,000, of which the answer has 20,000 to begin. A page sees neither a connection
   * being made nor a body leaving, so it cannot tell a slow network from a slow server: both are one wait.
   */
  readonly timeout?: number;
  /**
   * The server takes `Content-Encoding: gzip`. Bodies of 1 KiB or more are compressed then, where the browser has a
   * `CompressionStream`. Default `false`: a server that does not know it answers 415.
   */
  readonly gzip?: boolean;
  /**
   * `Content-Digest: sha-256=:...:` (RFC 9530) goes along with every body, over the bytes as they are sent, and one that an
   * answer carries is checked: where it does not match, the answer counts as none. Needs a secure context (https, localhost);
   * across origins, the server exposes the header. Default `false`.
   */
  readonly digest?: boolean;
}

/**
 * A backend that you describe. `open` rejects with `"invalid-options"` and the path of the member that is wrong
 * (`remote.profile.push.operation.version`).
 *
 * @example
 * const options: RestOptions = { baseUrl: "/api", profile };
 */
export interface RestOptions {
  /** What precedes the profile's paths: absolute, or relative to the page. */
  readonly baseUrl: string;
  /** The description. */
  readonly profile: RestProfile;
  /** What `$scope` stands for in the profile, where the application declares no scopes. */
  readonly scope?: string;
  /** How long one request may take, in ms. Default 30,000. */
  readonly timeout?: number;
  /** How often the backend wants to be asked, in ms, where the application does not say {@link OpenOptions.syncEvery | syncEvery}. */
  readonly syncEvery?: number;
  /** What holds of collections where the application says nothing of its own. */
  readonly collections?: Readonly<Record<string, CollectionOptions>>;
}

/**
 * A backend described as data; `docs/backends.md` explains every member with three worked examples. Paths lead to members of
 * an answer, their names joined by dots (`"error.code"`).
 *
 * @example
 * const described: RestProfile = { ...profile, name: "Shop" };
 */
export interface RestProfile {
  /** What a person calls the backend. */
  readonly name: string;
  /** Who gives a record its id: the client for ever, or the server (a text, or a whole number). Default `"client"`. */
  readonly ids?: "client" | "text" | "integer";
  /** A number that grows with each change (default), an instant, or a mark that can only be told equal or different. */
  readonly versions?: "number" | "stamp" | "opaque";
  /** What an update carries: the whole record (default), or the changed fields as a merge patch. */
  readonly updates?: "whole" | "patch";
  /** How the device is named: its UUID (default), or `device_`, milliseconds, `_` and eight letters made of it. */
  readonly device?: "uuid" | "millis-and-letters";
  /** Every change and every conflict says when the record was last written: needed for last-write-wins. */
  readonly times?: boolean;
  /** The backend wants a pull before a push. */
  readonly pullFirst?: boolean;
  /** The backend keeps no memory of what it applied: a repeat that meets a conflict may have been applied before. */
  readonly weakReplay?: boolean;
  /** The backend takes request bodies in gzip. */
  readonly gzip?: boolean;
  /** `Content-Digest` goes along, and is checked where an answer has one. */
  readonly digest?: boolean;
  /** Until an answer begins, between two pieces of it, and for everything, in ms. Default 20,000, 20,000 and 30,000. */
  readonly timeouts?: {
    readonly begin?: number;
    readonly idle?: number;
    readonly whole?: number;
  };
  /** The collections, in the order in which they are told: what others refer to comes first. */
  readonly collections: { readonly [name: string]: RestCollection };
  /**
   * The most operations and bytes in a request, and bytes in an answer. Default 100, 1 MiB and 9 MiB. And how long is waited between
   * two attempts at the most, in ms, default 60,000.
   */
  readonly limits?: {
    readonly operations?: number;
    readonly bytes?: number;
    readonly answerBytes?: number;
    readonly wait?: number;
  };
  /** Where the parts of a record are, unless a place says otherwise. */
  readonly record?: RestRow;
  readonly push: RestPush;
  /** Lists of what changed; each keeps its own position. */
  readonly pull: readonly RestPull[];
  /** What an error of your server has, and how it says that a request was too large (413 always does). */
  readonly errors: {
    readonly ours: RestOurs;
    readonly tooMany?: { readonly status: number; readonly has: string };
  };
}

/**
 * A collection as the backend knows it.
 *
 * @example
 * const product: RestCollection = { path: "products", references: { supplier_id: "supplier" } };
 */
export interface RestCollection {
  /** Its name in addresses (`$path`). Default: its name. */
  readonly path?: string;
  /** Members that hold the id of a record in another collection. */
  readonly references?: Readonly<Record<string, string>>;
  /** Nobody writes it: a write rejects with `"read-only"`. */
  readonly readOnly?: boolean;
}

/**
 * What an answer must have to be your server's and not a hotspot's login page: a kind for each path.
 *
 * @example
 * const ours: RestOurs = { results: "list", "page.next": "text" };
 */
export type RestOurs = Readonly<
  Record<
    string,
    "text" | "integer" | "flag" | "true" | "false" | "list" | "list or null" | "object" | "lists"
  >
>;

/**
 * JSON in which `"$name"` stands for a value: `"$name"` is `null` where there is none, `"$name?"` is left out, `"$name:0"` is
 * the JSON behind the colon. A member named `"..."` puts the members of its value in its place.
 *
 * @example
 * const operation: RestTemplate = { id: "$id", "...": "$content?", version: "$version:0" };
 */
export type RestTemplate = { readonly [member: string]: JsonValue | RestTemplate };

/**
 * Where the parts of a record are.
 *
 * @example
 * const row: RestRow = { id: "id", version: "version", deleted: "deleted_at", document: "*", without: ["created_at"] };
 */
export interface RestRow {
  readonly collection?: string;
  readonly id?: string;
  /** The id that the record's maker gave it. */
  readonly own?: string;
  /** The operation that made it. */
  readonly op?: string;
  readonly version?: string;
  /** When it was last written. */
  readonly at?: string;
  /** `true`, or an instant, where it is a tombstone. */
  readonly deleted?: string;
  /** Where the document is; `"*"`: the row without the members named here and in `without`. */
  readonly document?: string;
  readonly without?: readonly string[];
}

/**
 * How changes are sent, and how the answer says what became of each.
 *
 * @example
 * const push: RestPush = profile.push;
 */
export interface RestPush {
  readonly path: string;
  /** A request for each collection. */
  readonly requestPerCollection?: boolean;
  /** 403 pauses what is in the request; the rest goes on. */
  readonly forbiddenPauses?: boolean;
  /** The request; `"$operations"` or `"$byCollection"` stand for what is sent. */
  readonly body: RestTemplate;
  /** One operation. */
  readonly operation: RestTemplate;
  /** One deletion, where it is written in other words. */
  readonly deletion?: RestTemplate;
  /** The words of `$action`. Default `create`, `update`, `delete`. */
  readonly actions?: {
    readonly create: string;
    readonly update: string;
    readonly delete: string;
  };
  readonly ours: RestOurs;
  /** Where the server's time is. */
  readonly time?: string;
  /** The answer carries changes too, as those of the step with the collection's name. */
  readonly delta?: boolean;
  readonly verdicts: RestVerdicts;
  /** Calls of one record each, for few operations. */
  readonly single?: RestSingle;
  /** A decision of a conflict as a call of its own. */
  readonly resolve?: {
    readonly path: string;
    readonly body: RestTemplate;
    readonly ours: RestOurs;
    readonly version: string;
    readonly document?: string;
    /** In a 409: the conflict as it is now. */
    readonly conflict: string;
  };
}

type RestWord = "applied" | "conflict" | "rejected" | "retry";

/**
 * How verdicts are told.
 *
 * @example
 * const verdicts: RestVerdicts = { ...profile.push.verdicts, key: { opId: "$op" } };
 */
export interface RestVerdicts {
  /** Where the entries are: a list, or an object with a list for each collection. */
  readonly list?: string;
  /** Or: lists that say the verdict. */
  readonly lists?: Readonly<Record<string, RestWord>>;
  /** What tells which operation an entry is about: `{ opId: "$op" }`. Of several names the first that is one of ours. */
  readonly key: Readonly<Record<string, "$op" | "$seq" | "$own" | "$id" | "$serverId">>;
  /** Where the word is, and what the words mean. */
  readonly status?: string;
  readonly words?: Readonly<Record<string, RestWord>>;
  readonly applied?: {
    readonly version?: string;
    readonly at?: string;
    /** Where the id is that the server gave. */
    readonly id?: string;
    /** Where the record is, read as `record` says. */
    readonly record?: string;
    /** A success does not say the version: it is the sent one plus 1. */
    readonly nextVersion?: boolean;
  };
  readonly conflict: {
    /** Where the server's side is; `null` there is a tombstone. */
    readonly theirs?: string;
    readonly row?: RestRow;
    /** What the server calls the conflict. */
    readonly token?: string;
    /** Where the kind is, and its word for another record that stands for the same thing. */
    readonly kind?: string;
    readonly createCreate?: string;
  };
  readonly rejected: {
    readonly code?: string;
    readonly message?: string;
    /** `true` there: not now, and no verdict. */
    readonly retryable?: string;
    /** Codes of which asking again is of no use; others are asked three times. */
    readonly final?: readonly string[];
    /** Codes that make a deletion true. */
    readonly gone?: readonly string[];
  };
}

/**
 * Calls of one record each.
 *
 * @example
 * const single: RestSingle | undefined = profile.push.single;
 */
export interface RestSingle {
  /** The most operations that leave so; more, and any deletion, leave as a batch. */
  readonly upTo: number;
  readonly create: { readonly method?: "POST" | "PUT"; readonly path: string };
  readonly update: { readonly method?: "POST" | "PUT"; readonly path: string };
  readonly delete: { readonly method?: "POST" | "DELETE"; readonly path: string };
  readonly body: RestTemplate;
  readonly ours: RestOurs;
  /** Where the server's side is in a 409. */
  readonly theirs: string;
  /** Where the words of a refusal are. */
  readonly message?: string;
}

/**
 * One list of what changed.
 *
 * @example
 * const pull: readonly RestPull[] = profile.pull;
 */
export interface RestPull {
  /** Of its position. */
  readonly name?: string;
  /** One such step for each collection, named after it. */
  readonly each?: boolean;
  /** Whose records these are, where the rows do not say. */
  readonly collection?: string;
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly query?: RestTemplate;
  readonly body?: RestTemplate;
  readonly ours: RestOurs;
  /** Where the rows are; the answer itself is one where it is missing. */
  readonly rows?: string;
  /** Where in an entry the row is. */
  readonly item?: string;
  readonly row?: RestRow;
  /** What is asked while there is no position. */
  readonly first?: Pick<RestPull, "path" | "query" | "body" | "ours" | "rows" | "item" | "row">;
  /** How the list is read to its end. Default `"cursor"`. */
  readonly paging?: "cursor" | "since" | "page-restart" | "whole";
  /** Where the next position is, and whether there is more. */
  readonly next?: string;
  readonly more?: string;
  /** Of `"page-restart"`: the number of this page, and of the last one. */
  readonly page?: string;
  readonly pages?: string;
  /** Where the server's time is. */
  readonly time?: string;
  /** Where the ids of deleted records are. */
  readonly deletes?: string;
  /** How far before the last instant a cycle begins, in ms. */
  readonly overlap?: number;
  /** How instants are asked for. Default `"millis"`. */
  readonly instants?: "millis" | "seconds" | "epoch";
  /** Of `"whole"`: answers have an `ETag`, and the backend says 304 to `If-None-Match` while the list is as it was. */
  readonly etag?: boolean;
}

/**
 * Options that every preset has.
 *
 * @example
 * presets.trackVault({ baseUrl: "https://vault.example.com", timeout: 15_000 } satisfies PresetOptions);
 */
export interface PresetOptions {
  /** What precedes the preset's paths: absolute, or relative to the page. */
  readonly baseUrl: string;
  /** How long one request may take, in ms. Default 30,000. */
  readonly timeout?: number;
}

/**
 * Options of `presets.auraConnectMobile`.
 *
 * @example
 * presets.auraConnectMobile({ baseUrl: "/", admin: true } satisfies AuraConnectMobileOptions);
 */
export interface AuraConnectMobileOptions extends PresetOptions {
  /** The user may change the menu. Else writes to `menu` reject with `"read-only"`. Default `false`. */
  readonly admin?: boolean;
}

/**
 * Options of `presets.arxOs`.
 *
 * @example
 * presets.arxOs({ baseUrl: "/", building: "b-42" } satisfies ArxOsOptions);
 */
export interface ArxOsOptions extends PresetOptions {
  /** The building that is downloaded. */
  readonly building: string;
}

/**
 * Backends that are described already.
 *
 * @example
 * const remote: Remote = presets.auraConnect({ baseUrl: "https://pos.example.com" });
 */
export interface Presets {
  auraConnect(options: PresetOptions): Remote;
  auraConnectMobile(options: AuraConnectMobileOptions): Remote;
  trackVault(options: PresetOptions): Remote;
  arxOs(options: ArxOsOptions): Remote;
  payTrack(options: PresetOptions): Remote;
}

/**
 * What an application writes when its backend speaks a protocol of its own.
 *
 * @example
 * const remote = defineRemote({
 *   async push(batch, { token, signal }) { return { outcomes: await post("/save", batch, token, signal) }; },
 *   async pull({ cursor, limit }, { signal }) { return await changesSince(cursor, limit, signal); },
 * });
 */
export interface RemoteFunctions {
  /** What the backend can do. */
  readonly capabilities?: RemoteCapabilities;
  /**
   * Brings operations to the server and says what became of each. Use `opId` to apply each at most once.
   * A throw means that the server could not be reached; throw a {@link RemoteFailure} to say more.
   */
  push(batch: PushBatch, context: RemoteContext): Promise<PushAnswer>;
  /** Fetches what changed behind `cursor`. */
  pull(request: PullRequest, context: RemoteContext): Promise<PullAnswer>;
}

/**
 * What a custom backend can do. All `false` by default.
 *
 * @example
 * const capabilities: RemoteCapabilities = { wholeRecord: true };
 */
export interface RemoteCapabilities {
  /** Whether the members of a group are applied all or none. */
  readonly groups?: boolean;
  /** Whether an edit is sent as the whole document instead of a patch. */
  readonly wholeRecord?: boolean;
  /**
   * Whether every applied operation and every change carries a version, a whole number that grows with each change of the
   * record. Without it an operation counts as settled only after the pull that follows it.
   */
  readonly versions?: boolean;
  /** Whether every conflict and every change says with `at` when the record was last written; `"last-write-wins"` needs it. */
  readonly times?: boolean;
}

/**
 * What comes with every call: the token of this moment, and a signal that ends it.
 *
 * @example
 * await fetch(url, { signal: context.signal, headers: { Authorization: `Bearer ${context.token}` } });
 */
export interface RemoteContext {
  readonly token?: string;
  readonly signal: AbortSignal;
}

/**
 * Operations to bring to the server, in order.
 *
 * @example
 * for (const operation of batch.operations) await save(operation, undefined, signal);
 */
export interface PushBatch {
  readonly deviceId: string;
  readonly operations: readonly RemoteOperation[];
}

/** What every {@link RemoteOperation} says. `modifiedAt` is ms since 1970; `assumedVersion` is what the edit was made on. */
export interface RemoteOperationBase {
  readonly opId: string;
  readonly collection: string;
  readonly id: Id;
  readonly assumedVersion: string | number | null;
  readonly modifiedAt: number;
  /** How often it has left, this time included. More than 1: the server may have it already. */
  readonly sends: number;
  /** Members of one group come together, in one batch. */
  readonly group?: { readonly id: string; readonly size: number };
}

/**
 * One operation: a new record, a merge patch, a whole new content, or a removal.
 *
 * @example
 * const body = operation.kind === "change" ? operation.patch : operation.kind === "delete" ? null : operation.document;
 */
export type RemoteOperation =
  | (RemoteOperationBase & { readonly kind: "create" | "replace"; readonly document: JsonObject })
  | (RemoteOperationBase & {
      readonly kind: "change";
      /** RFC 7396. It can not say everything: {@link RemoteEdit | edits} can. */
      readonly patch: JsonObject;
      /** The same, exactly and in order. */
      readonly edits?: readonly RemoteEdit[];
    })
  | (RemoteOperationBase & { readonly kind: "delete" });

/**
 * One step of a change: a value at a path of member names, or a member taken out.
 *
 * @example
 * const edit: RemoteEdit = { set: ["address", "city"], value: "Ulm" };
 */
export type RemoteEdit =
  | { readonly set: readonly string[]; readonly value: JsonValue }
  | { readonly remove: readonly string[] };

/**
 * What the server said. An operation that is left out is sent again.
 *
 * @example
 * const answer: PushAnswer = { outcomes: [{ opId, kind: "applied", version: 3 }] };
 */
export interface PushAnswer {
  readonly outcomes: readonly RemoteOutcome[];
  /** The server's clock, ms since 1970, which corrects the device's. */
  readonly time?: number;
}

/**
 * The server's verdict on one operation. `after` is in seconds. `final: false` lets a rejection be asked again.
 *
 * @example
 * const refused: RemoteOutcome = { opId, kind: "rejected", code: "validation", message: "no such table" };
 */
export type RemoteOutcome =
  | {
      readonly opId: string;
      readonly kind: "applied";
      readonly version?: string | number;
      /** The record as the server has it now, where that is not what was sent. */
      readonly document?: JsonObject;
      readonly serverId?: string;
    }
  | {
      readonly opId: string;
      readonly kind: "conflict";
      readonly version?: string | number;
      /** The server's record; `null` where it was deleted. */
      readonly document: JsonObject | null;
      /** When it was last written, ms since 1970. */
      readonly at?: number;
      /** The id of another record of the server that is the same thing. */
      readonly other?: string;
    }
  | {
      readonly opId: string;
      readonly kind: "rejected";
      readonly code: string;
      readonly message: string;
      readonly final?: boolean;
    }
  | { readonly opId: string; readonly kind: "retry"; readonly after?: number };

/**
 * What to fetch: changes behind `cursor` (`null`: from the beginning), at most `limit`.
 *
 * @example
 * const url = `/changes?since=${request.cursor ?? 0}&limit=${request.limit}`;
 */
export interface PullRequest {
  readonly scope: string;
  readonly cursor: JsonValue | null;
  readonly limit: number;
}

/**
 * Changes of the server, and the cursor behind them. `more` asks for the next page at once.
 *
 * @example
 * const answer: PullAnswer = { changes: [{ collection: "orders", id: "o1", version: 2, document: null }], cursor: "42", more: false };
 */
export interface PullAnswer {
  readonly changes: readonly RemoteChange[];
  readonly cursor: JsonValue;
  readonly more: boolean;
  /** The server's clock, ms since 1970, which corrects the device's. */
  readonly time?: number;
}

/**
 * A record as the server has it; `document: null` where it was deleted. `opId` names the operation that made this version.
 *
 * @example
 * const change: RemoteChange = { collection: "orders", id: "o1", version: 7, document: { table: 7 } };
 */
export interface RemoteChange {
  readonly collection: string;
  readonly id: Id;
  readonly version?: string | number;
  readonly document: JsonObject | null;
  readonly opId?: string;
  /** When it was last written, ms since 1970. */
  readonly at?: number;
}

/**
 * What a custom remote throws to say more than "unreachable". `after` is in seconds.
 *
 * @example
 * throw { halt: "auth" } satisfies RemoteFailure;
 */
export interface RemoteFailure {
  readonly halt:
    | "unreachable"
    | "auth"
    | "forbidden"
    | "misconfigured"
    | "later"
    | "too-large"
    | "cursor-expired"
    | "protocol";
  readonly after?: number;
}

/* ------------------------------------------------------------------- errors */

/**
 * The stable code of a {@link HoldfastError}.
 *
 * @example
 * if (isHoldfastError(error) && error.code === "storage-full") showStorageHelp();
 */
export type Code =
  | "invalid-value"
  | "invalid-options"
  | "unknown-collection"
  | "read-only"
  | "not-found"
  | "gone"
  | "exists"
  | "referenced"
  | "outbox-full"
  | "too-large"
  | "storage-full"
  | "storage-timeout"
  | "storage-lost"
  | "no-durable-storage"
  | "database-too-new"
  | "blocked"
  | "superseded"
  | "closed"
  | "crashed"
  | "wasm-load"
  | "auth-required"
  | "unreachable"
  | "protocol-error"
  | "already-resolved"
  | "pending-work"
  | "aborted";

/**
 * What `init` accepts: where the wasm file is, the answer of a fetch, its bytes, or a compiled module. `holdfast_bg.wasm` is for
 * backends that speak the standard protocol, `holdfast_any_bg.wasm` for all.
 *
 * @example
 * await init(new URL("/assets/holdfast_bg.wasm", location.href));
 */
export type InitInput =
  | URL
  | string
  | Request
  | Response
  | Promise<Response>
  | BufferSource
  | WebAssembly.Module;
