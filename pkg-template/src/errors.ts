import type { Code } from "./types.js";

/** More about an error: where in the value, which operation, what caused it. */
export interface HoldfastErrorDetails {
  readonly path?: string | undefined;
  readonly opId?: string | undefined;
  readonly cause?: unknown;
}

/** Codes where the same call may well succeed later, with nothing changed by the caller. */
const RETRYABLE: ReadonlySet<Code> = new Set<Code>([
  "aborted",
  "auth-required",
  "blocked",
  "outbox-full",
  "protocol-error",
  "storage-full",
  "storage-timeout",
  "unreachable",
  "wasm-load",
]);

/**
 * The one error that Holdfast throws. `code` is stable; `message` is for people and may change.
 *
 * @example
 * try {
 *   await orders.create({ table: Number.NaN });
 * } catch (error) {
 *   if (isHoldfastError(error)) console.log(error.code, error.path);   // "invalid-value" "table"
 * }
 */
export class HoldfastError extends Error {
  override readonly name: string = "HoldfastError";
  /** What went wrong; stable. */
  readonly code: Code;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Where in the value, as `lines[2].price`. */
  readonly path?: string;
  /** The operation that stands in the way. */
  readonly opId?: string;

  constructor(code: Code, message: string, details: HoldfastErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    if (details.path !== undefined) this.path = details.path;
    if (details.opId !== undefined) this.opId = details.opId;
  }
}

/**
 * Whether `error` is a {@link HoldfastError}, also one of another copy of the library.
 *
 * @example
 * if (isHoldfastError(error) && error.retryable) later();
 */
export function isHoldfastError(error: unknown): error is HoldfastError {
  return error instanceof Error && error.name === "HoldfastError" && "code" in error;
}

/** What the core rejects with, as JSON text, turned into a {@link HoldfastError} here. */
interface CoreError {
  readonly code: Code;
  readonly message: string;
  readonly path?: string;
  readonly opId?: string;
  readonly cause?: string;
}

/** Turns whatever a call into the core has thrown into a {@link HoldfastError}. */
export function toHoldfastError(thrown: unknown): HoldfastError {
  if (isHoldfastError(thrown)) return thrown;
  const error = typeof thrown === "string" ? parseCoreError(thrown) : undefined;
  if (error) return new HoldfastError(error.code, error.message, error);
  return new HoldfastError(
    "crashed",
    "Holdfast has stopped because of an internal error; open it again",
    { cause: thrown },
  );
}

function parseCoreError(text: string): CoreError | undefined {
  try {
    return JSON.parse(text) as CoreError;
  } catch {
    return undefined;
  }
}

/** Tells the developer about a callback that threw, as the browser does for an event listener; nothing else changes. */
export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

/** Rejects with `"aborted"` when the signal fires first; what was started goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => {});
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Throws `"aborted"` if the signal has fired already, so that nothing is started. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}

function aborted(signal: AbortSignal): HoldfastError {
  return new HoldfastError("aborted", "the caller has given up waiting", { cause: signal.reason });
}
