import type { Door } from "./door.js";
import { abortable, HoldfastError, report, throwIfAborted, toHoldfastError } from "./errors.js";
import { Spells } from "./spells.js";
import type { Events, Observable, Status, Unsubscribe } from "./types.js";

/** Listeners of one event. One that throws is reported; the others are called all the same. */
export class Listeners<T> {
  readonly #listeners = new Set<{ readonly call: (payload: T) => void }>();

  get size(): number {
    return this.#listeners.size;
  }

  add(call: (payload: T) => void): Unsubscribe {
    // An entry of its own, so that the same function added twice is two subscriptions.
    const entry = { call };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  emit(payload: T): void {
    for (const entry of [...this.#listeners]) {
      if (!this.#listeners.has(entry)) continue;
      try {
        entry.call(payload);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** Every core that is open in this page: a panic ends the wasm instance, and with it all of them. */
const cores = new Set<Core>();

/** Called by the panic hook, while the instance is still able to say so. */
export function crashAll(message: string): void {
  const error = new HoldfastError(
    "crashed",
    `Holdfast has stopped because of an internal error: ${message}`,
  );
  for (const core of [...cores]) core.crash(error);
}

/** The wasm object, with what it lacks: calls that end when it can not answer any more, events, the status snapshot. */
export class Core {
  readonly #door: Door;
  readonly #listeners: { readonly [K in keyof Events]: Listeners<Events[K]> } = {
    progress: new Listeners(),
    change: new Listeners(),
    conflict: new Listeners(),
    parked: new Listeners(),
    cycle: new Listeners(),
    "auth-required": new Listeners(),
    storage: new Listeners(),
    fatal: new Listeners(),
  };
  readonly #statusListeners = new Listeners<Status>();
  readonly #spells = new Spells();
  readonly #waiting = new Set<(error: HoldfastError) => void>();
  #status: Status;
  #ended: HoldfastError | undefined;
  #closing: Promise<void> | undefined;

  constructor(door: Door) {
    this.#door = door;
    this.#status = door.status();
    cores.add(this);
  }

  readonly status: Observable<Status> = {
    subscribe: (listener) => this.#statusListeners.add(listener),
    getSnapshot: () => this.#status,
  };

  /** One call into the core. Ends with `closed`, `crashed` or `aborted` where the core does not answer before that. */
  async call<T>(start: (door: Door) => Promise<T>, signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal);
    if (this.#ended) throw this.#again(this.#ended);
    const answer = new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      Promise.resolve(this.#enter(start))
        .then(resolve, (thrown: unknown) => reject(toHoldfastError(thrown)))
        .finally(() => this.#waiting.delete(reject));
    });
    return await abortable(answer, signal);
  }

  /** One call that answers at once; throws after the end. */
  ask<T>(say: (door: Door) => T): T {
    if (this.#ended) throw this.#again(this.#ended);
    return this.#enter(say);
  }

  /** One call that answers at once; quiet after the end. */
  tell(say: (door: Door) => void): void {
    if (this.#ended) return;
    this.#enter(say);
  }

  /** Whether there is such an event. */
  hears(event: string): event is keyof Events {
    return Object.keys(this.#listeners).includes(event);
  }

  on<K extends keyof Events>(event: K, listener: (payload: Events[K]) => void): Unsubscribe {
    return this.#listeners[event].add(listener);
  }

  /** A notice from the core. */
  receive(kind: string, payload: unknown): void {
    if (this.#ended) return;
    if (kind === "status") {
      this.#setStatus(payload as Status);
    } else if (kind === "began") {
      this.#spells.began(payload as string);
    } else if (kind === "ended") {
      this.#spells.ended(payload as string);
    } else if (this.hears(kind)) {
      const listeners = this.#listeners[kind];
      if (listeners.size > 0) listeners.emit(JSON.parse(payload as string) as never);
    }
  }

  /** After a panic nothing answers any more: says so to everybody who waits, once. */
  crash(error: HoldfastError): void {
    if (this.#ended) return;
    this.#end(error);
    this.#setStatus({ ...this.#status, kind: "crashed", since: Date.now(), leader: false });
    this.#listeners.fatal.emit(error);
    // What is left of it lets go of the database and of the lead, as far as it can, so that another tab or another manager
    // may go on. Not before the panic is over.
    setTimeout(() => {
      try {
        void this.#door.close();
      } catch {
        // It cannot: the lead is free when the page is gone.
      }
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#end(new HoldfastError("closed", "the manager is closed"));
    this.#enter((door) => door.close());
  }

  #end(error: HoldfastError): void {
    this.#ended = error;
    cores.delete(this);
    for (const reject of [...this.#waiting]) reject(this.#again(error));
    this.#waiting.clear();
  }

  /** A call into wasm that traps has ended the instance, whether or not the panic hook could run. */
  #enter<R>(call: (door: Door) => R): R {
    try {
      return call(this.#door);
    } catch (thrown) {
      if (thrown instanceof WebAssembly.RuntimeError) crashAll(thrown.message);
      throw toHoldfastError(thrown);
    }
  }

  #setStatus(status: Status): void {
    this.#status = status;
    this.#statusListeners.emit(status);
  }

  /** A fresh error for each caller, so that each has the stack of its own call. */
  #again(error: HoldfastError): HoldfastError {
    return new HoldfastError(error.code, error.message);
  }
}
