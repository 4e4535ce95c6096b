import type { Core } from "./core.js";
import { Listeners } from "./core.js";
import type { Door } from "./door.js";
import { HoldfastError, toHoldfastError } from "./errors.js";
import { LONE_SURROGATE, objectText } from "./json.js";
import { mergePatch, validate } from "./schema.js";
import { checkScope } from "./scopes.js";
import type {
  Aggregate,
  Aggregated,
  Collection,
  CollectionOptions,
  CreateOptions,
  Entity,
  Id,
  JsonObject,
  LiveList,
  MergePatch,
  Observable,
  Outcome,
  Page,
  Query,
  Receipt,
  Unsubscribe,
  WriteOptions,
} from "./types.js";

/** The records of one kind; see {@link Collection}. */
export class RecordCollection<T> implements Collection<T> {
  readonly name: string;
  readonly #core: Core;
  readonly #options: CollectionOptions<T>;

  constructor(core: Core, name: string, options: CollectionOptions<T>) {
    this.#core = core;
    this.name = name;
    this.#options = options;
  }

  async create(document: T, options: CreateOptions = {}): Promise<Receipt> {
    const { priority, signal } = options;
    if (options.id !== undefined) checkId(options.id);
    const { id, text } = await this.#prepare(document, options.id);
    return receipt(
      this.#core,
      await this.#core.call((door) => door.create(this.name, id, text, priority), signal),
    );
  }

  async patch(id: Id, patch: MergePatch<T>, options: WriteOptions = {}): Promise<Receipt> {
    checkId(id);
    const text = objectText(patch);
    const { idField, schema } = this.#options;
    if (idField !== undefined) sameId(idField, (JSON.parse(text) as JsonObject)[idField], id);
    if (schema) {
      const entity = await this.get(id, options);
      if (entity) await validate(schema, mergePatch(entity.document, JSON.parse(text)));
    }
    return await this.#write(options, (door) => door.patch(this.name, id, text, options.priority));
  }

  async replace(id: Id, document: T, options: WriteOptions = {}): Promise<Receipt> {
    checkId(id);
    const { text } = await this.#prepare(document, id);
    return await this.#write(options, (door) =>
      door.replace(this.name, id, text, options.priority),
    );
  }

  async remove(id: Id, options: WriteOptions = {}): Promise<Receipt> {
    checkId(id);
    return await this.#write(options, (door) => door.remove(this.name, id, options.priority));
  }

  async get(
    id: Id,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Entity<T> | undefined> {
    checkId(id);
    const text = await this.#core.call((door) => door.get(this.name, id), options.signal);
    return text === undefined ? undefined : (JSON.parse(text) as Entity<T>);
  }

  async list(query: Query<T> = {}): Promise<Page<T>> {
    return JSON.parse(await this.#list(query)) as Page<T>;
  }

  async aggregate(query: Aggregate<T> = {}): Promise<Aggregated> {
    const { signal, ...asked } = query;
    if (asked.scope !== undefined) checkScope(asked.scope);
    const text = objectText(asked);
    return JSON.parse(
      await this.#core.call((door) => door.aggregate(this.name, text), signal),
    ) as Aggregated;
  }

  async #list(query: Query<T>): Promise<string> {
    const { signal, ...asked } = query;
    if (asked.limit !== undefined) checkLimit(asked.limit);
    if (asked.scope !== undefined) checkScope(asked.scope);
    const text = objectText(asked);
    return await this.#core.call((door) => door.list(this.name, text), signal);
  }

  live(query: Query<T> = {}): Observable<LiveList<T>> {
    const live = new Live<T>(this.#core, this.name, () => this.#list(query));
    return { subscribe: (listener) => live.subscribe(listener), getSnapshot: () => live.snapshot };
  }

  async #write(options: WriteOptions, start: (door: Door) => Promise<string>): Promise<Receipt> {
    return receipt(this.#core, await this.#core.call(start, options.signal));
  }

  /** The text as it is at the moment of the call, whatever the caller does to the object afterwards. */
  async #prepare(
    document: T,
    given: Id | undefined,
  ): Promise<{ readonly id: Id | undefined; readonly text: string }> {
    let id = given;
    let text = objectText(document);
    const { idField, schema } = this.#options;
    if (idField !== undefined) {
      const value = JSON.parse(text) as Record<string, unknown>;
      const inside = value[idField];
      if (id !== undefined) {
        sameId(idField, inside, id);
      } else if (inside === undefined) {
        id = await this.#core.call(async (door) => door.new_id());
      } else {
        checkId(inside, idField);
        id = inside;
      }
      text = objectText({ ...value, [idField]: id });
    }
    if (schema) text = objectText(await validate(schema, JSON.parse(text)));
    return { id, text };
  }
}

/** A list that reads again when a record of the collection changed: one read at a time, one more if needed meanwhile. */
class Live<T> {
  snapshot: LiveList<T> = { state: "loading" };
  readonly #core: Core;
  readonly #collection: string;
  readonly #read: () => Promise<string>;
  /** The result that the snapshot shows. */
  #shown: string | undefined = undefined;
  readonly #listeners = new Listeners<LiveList<T>>();
  #stop: Unsubscribe | undefined = undefined;
  #reading = false;
  #stale = false;

  constructor(core: Core, collection: string, read: () => Promise<string>) {
    this.#core = core;
    this.#collection = collection;
    this.#read = read;
  }

  subscribe(listener: (snapshot: LiveList<T>) => void): Unsubscribe {
    const remove = this.#listeners.add(listener);
    if (!this.#stop) this.#start();
    return () => {
      remove();
      if (this.#listeners.size === 0) {
        this.#stop?.();
        this.#stop = undefined;
      }
    };
  }

  #start(): void {
    const change = this.#core.on("change", (changes) => {
      if (changes.some((one) => one.collection === this.#collection)) this.#refresh();
    });
    const cycle = this.#core.on("cycle", () => {
      if (this.snapshot.state === "ready" && !this.snapshot.complete) this.#refresh();
    });
    const fatal = this.#core.on("fatal", (error) => this.#publish({ state: "error", error }));
    this.#stop = () => {
      change();
      cycle();
      fatal();
    };
    this.#refresh();
  }

  #refresh(): void {
    this.#stale = true;
    if (!this.#reading) void this.#run();
  }

  async #run(): Promise<void> {
    this.#reading = true;
    while (this.#stale && this.#listeners.size > 0) {
      this.#stale = false;
      let next: LiveList<T>;
      try {
        const text = await this.#read();
        if (text === this.#shown) continue;
        const { items, complete } = JSON.parse(text) as Page<T>;
        next = { state: "ready", items, complete };
        this.#shown = text;
      } catch (thrown) {
        next = { state: "error", error: toHoldfastError(thrown) };
        this.#shown = undefined;
      }
      if (this.#listeners.size > 0) this.#publish(next);
    }
    this.#reading = false;
  }

  #publish(next: LiveList<T>): void {
    this.snapshot = next;
    this.#listeners.emit(next);
  }
}

/** The receipt of a write; asks for the verdict when somebody wants to know it. */
export function receipt(core: Core, text: string): Receipt {
  return receiptOf(core, JSON.parse(text) as { id: Id; opId: string });
}

/** The same, of what was read already. */
export function receiptOf(core: Core, { id, opId }: { id: Id; opId: string }): Receipt {
  let synced: Promise<Outcome> | undefined;
  return {
    id,
    opId,
    get synced(): Promise<Outcome> {
      if (!synced) {
        synced = outcome(core, opId);
        // Whoever awaits it sees the rejection; a page that only glanced at it does not get an unhandled one.
        synced.catch(() => {});
      }
      return synced;
    },
  };
}

/** The server's verdict. */
export async function outcome(core: Core, opId: string, signal?: AbortSignal): Promise<Outcome> {
  return JSON.parse(await core.call((door) => door.outcome(opId), signal)) as Outcome;
}

/** Refuses what can be no id: a record, an operation and a conflict are named by 1 to 128 characters. */
export function checkId(id: unknown, what = "id"): asserts id is Id {
  if (typeof id !== "string" || id === "" || id.length > 256 || [...id].length > 128) {
    throw new HoldfastError("invalid-value", `${what}: a string of 1 to 128 characters`, {
      path: what,
    });
  }
  if (LONE_SURROGATE.test(id)) {
    throw new HoldfastError("invalid-value", `${what}: half a character`, { path: what });
  }
}

/** Where the document carries the record's id, it may be left out there but not be another one. */
export function sameId(field: string, inside: unknown, id: Id): void {
  if (inside !== undefined && inside !== id) {
    throw new HoldfastError("invalid-value", `${field}: is not the record's id`, { path: field });
  }
}

/** Refuses a limit that is no number of things. */
export function checkLimit(limit: unknown): void {
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > 1000) {
    throw new HoldfastError("invalid-value", "limit: a whole number from 1 to 1000", {
      path: "limit",
    });
  }
}
