import { checkId, outcome, RecordCollection } from "./collection.js";
import { ConflictsView, conflictCallback } from "./conflicts.js";
import { Core } from "./core.js";
import type { DoorCallbacks } from "./door.js";
import { abortable, HoldfastError, throwIfAborted, toHoldfastError } from "./errors.js";
import { httpCallbacks, requestSigner, tokenSource } from "./http.js";
import { door } from "./load.js";
import { doorOptions } from "./options.js";
import { OutboxView } from "./outbox.js";
import { remoteCallbacks } from "./remote.js";
import { checkCallback, type Schemas, schemasOf } from "./schema.js";
import { ScopesView } from "./scopes.js";
import { transact } from "./transaction.js";
import type * as types from "./types.js";
import type {
  Abortable,
  Audit,
  Collection,
  CollectionOptions,
  CycleReport,
  DocumentOf,
  Documents,
  DrainReport,
  Events,
  Metrics,
  Observable,
  OpenOptions,
  Outcome,
  Receipt,
  Status,
  SyncOptions,
  Transaction,
  Unsubscribe,
} from "./types.js";

class Manager<D extends Documents<D>> implements types.SyncManager<D> {
  readonly name: string;
  readonly status: Observable<Status>;
  readonly outbox: OutboxView;
  readonly conflicts: ConflictsView;
  readonly scopes: ScopesView;
  readonly #core: Core;
  readonly #collections: ReadonlyMap<string, RecordCollection<unknown>>;
  readonly #declared: readonly (readonly [string, CollectionOptions])[];

  constructor(core: Core, options: OpenOptions<D>, schemas: Schemas) {
    this.name = options.name;
    this.status = core.status;
    this.outbox = new OutboxView(core, schemas);
    this.conflicts = new ConflictsView(core, schemas);
    this.scopes = new ScopesView(core);
    this.#core = core;
    this.#declared = Object.entries<CollectionOptions>(options.collections);
    this.#collections = new Map(
      this.#declared.map(([name, given]) => [
        name,
        new RecordCollection<unknown>(core, name, given),
      ]),
    );
    // Where the platform has no such symbol yet, `await using` has none either.
    if (typeof Symbol.asyncDispose === "symbol") {
      Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.close() });
    }
  }

  declare readonly [Symbol.asyncDispose]: () => Promise<void>;

  collection<K extends keyof D & string>(name: K): Collection<DocumentOf<D[K]>> {
    const collection = this.#collections.get(name);
    if (!collection) {
      throw new HoldfastError(
        "unknown-collection",
        `${String(name)}: there is no such collection`,
        { path: String(name) },
      );
    }
    return collection as Collection<unknown> as Collection<DocumentOf<D[K]>>;
  }

  async transaction(
    callback: (tx: Transaction<D>) => void,
    options: Abortable = {},
  ): Promise<readonly Receipt[]> {
    return await transact(this.#core, this.#declared, callback, options);
  }

  async sync(options: SyncOptions = {}): Promise<CycleReport> {
    const { onProgress, signal } = options;
    const stop = onProgress && this.#core.on("progress", onProgress);
    try {
      return JSON.parse(await this.#core.call((door) => door.sync(), signal)) as CycleReport;
    } finally {
      stop?.();
    }
  }

  async drain(options: Abortable = {}): Promise<DrainReport> {
    return JSON.parse(await this.#core.call((door) => door.drain(), options.signal)) as DrainReport;
  }

  async outcome(opId: string, options: Abortable = {}): Promise<Outcome> {
    checkId(opId, "opId");
    return await outcome(this.#core, opId, options.signal);
  }

  on<K extends keyof Events>(event: K, listener: (payload: Events[K]) => void): Unsubscribe {
    if (!this.#core.hears(event))
      throw new HoldfastError("invalid-options", `${String(event)}: there is no such event`);
    return this.#core.on(event, listener);
  }

  pause(): void {
    this.#core.tell((door) => door.pause());
  }

  resume(): void {
    this.#core.tell((door) => door.resume());
  }

  authenticated(): void {
    this.#core.tell((door) => door.authenticated());
  }

  poke(): void {
    this.#core.tell((door) => door.poke());
  }

  async audit(): Promise<Audit> {
    return JSON.parse(await this.#core.call((door) => door.audit())) as Audit;
  }

  async metrics(): Promise<Metrics> {
    return JSON.parse(await this.#core.call(async (door) => door.metrics())) as Metrics;
  }

  close(): Promise<void> {
    return this.#core.close();
  }
}

async function open<D extends Documents<D>>(
  options: OpenOptions<D>,
): Promise<types.SyncManager<D>> {
  const crossing = JSON.stringify(doorOptions(options));
  throwIfAborted(options.signal);
  let core: Core | undefined;
  const early: [string, unknown][] = [];
  const token = tokenSource(options.getToken);
  const schemas = schemasOf(options.collections);
  const callbacks: DoorCallbacks = {
    emit: (kind, payload) => {
      if (core) core.receive(kind, payload);
      else early.push([kind, payload]);
    },
    ...httpCallbacks(token, requestSigner(options.signRequest)),
    ...remoteCallbacks(options.remote, token),
    conflict: conflictCallback(options.onConflict, schemas),
    check: checkCallback(schemas),
  };
  const opening = door(options.remote.kind === "standard" ? "standard" : "any")
    .then((Door) => Door.open(crossing, callbacks))
    .then((opened) => new Core(opened));
  try {
    core = await abortable(opening, options.signal);
  } catch (thrown) {
    // Given up, but the database may yet open: it must not stay open, or lead, behind the caller's back.
    opening.then((late) => late.close()).catch(() => {});
    throw toHoldfastError(thrown);
  }
  for (const [kind, payload] of early) core.receive(kind, payload);
  return new Manager(core, options, schemas);
}

/** Opens the database of one identity; see `SyncManagerConstructor`. */
export const SyncManager: types.SyncManagerConstructor = { open };

/** An open database and the synchronisation of it with one backend; see `SyncManager` in `types`. */
export type SyncManager<D extends Documents<D>> = types.SyncManager<D>;
