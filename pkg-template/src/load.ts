import { crashAll } from "./core.js";
import * as standard from "./dist/holdfast.js";
import type { DoorClass } from "./door.js";
import { HoldfastError } from "./errors.js";
import type { InitInput } from "./types.js";

/**
 * The wasm comes in two files: for backends that speak the standard protocol, and for any. A page loads the smaller one unless it
 * opens a manager on another backend (docs/adr/0023).
 */
export type Backends = "standard" | "any";

/** How an entry of the package gets a wasm file where the application passes none. One for any backend will do for all. */
export type Loader = (backends: Backends) => Promise<InitInput>;

/** What wasm-bindgen wrote beside a wasm file. */
type Glue = typeof standard;

interface Loaded {
  readonly backends: Backends;
  readonly glue: Glue;
}

/** The interface between this TypeScript and the wasm; another number means that the two files are of different releases. */
const DOOR = 1;

const MAGIC = [0x00, 0x61, 0x73, 0x6d];

let loader: Loader | undefined;
let anyGlue = (): Promise<Glue> => import("./dist/holdfast_any.js");
/** What the first manager, or `init`, has loaded. */
let first: Promise<Loaded> | undefined;
/** What another backend needed, where that was not enough. */
let second: Promise<Loaded> | undefined;

/**
 * Called by the entries, at import: remembers how to load, loads nothing. An entry for where nothing can be imported later
 * brings the glue of the file for any backend along.
 */
export function setLoader(load: Loader, glue?: Glue): void {
  loader ??= load;
  if (glue) anyGlue = () => Promise.resolve(glue);
}

/**
 * Loads the wasm, once: without an argument the file for backends that speak the standard protocol. `SyncManager.open` does it
 * by itself; with the entry `holdfast/slim` it needs an argument first. A call after a success does nothing, one after a failure
 * tries again.
 *
 * Rejects with `"wasm-load"` and says what is in the way: the address, the file, or the page's Content-Security-Policy.
 *
 * @example
 * await init(new URL("/assets/holdfast_bg.wasm", location.href));
 */
export async function init(input?: InitInput): Promise<void> {
  await door("standard", input);
}

/** The wasm class that speaks with such backends, loaded if it is not yet. */
export async function door(backends: Backends, input?: InitInput): Promise<DoorClass> {
  const { glue } = await enough(backends, input);
  // A panic is told once. Who opens again after one wants to hear of the next.
  glue.on_panic(crashAll);
  return glue.Door;
}

async function enough(backends: Backends, input: InitInput | undefined): Promise<Loaded> {
  first ??= load(backends, input).catch((error: unknown) => {
    first = undefined;
    throw error;
  });
  const loaded = await first;
  if (backends === "standard" || loaded.backends === "any") return loaded;
  second ??= load(backends, undefined).catch((error: unknown) => {
    second = undefined;
    throw error;
  });
  return await second;
}

async function load(wanted: Backends, given: InitInput | undefined): Promise<Loaded> {
  if (typeof WebAssembly !== "object") throw failure("there is no WebAssembly here");
  if (given === undefined && loader === undefined) {
    const file = wanted === "any" ? " with holdfast_any_bg.wasm" : "";
    throw failure(
      `"holdfast/slim" loads nothing by itself: call init(url | Response | bytes | WebAssembly.Module)${file} first`,
    );
  }
  const module = await compile(given ?? (await loader?.(wanted)));
  const names = WebAssembly.Module.exports(module).map((entry) => entry.name);
  if (!names.includes("holdfast_door"))
    throw failure("the file is a wasm file, but not Holdfast's");
  const backends = names.includes("holdfast_any") ? "any" : "standard";
  const glue = backends === "any" ? await anyGlue() : standard;
  try {
    await glue.default({ module_or_path: module });
  } catch (cause) {
    throw failure("the wasm file and the JavaScript are of different releases", cause);
  }
  if (glue.holdfast_door() !== DOOR)
    throw failure("the wasm file and the JavaScript are of different releases");
  return { backends, glue };
}

async function compile(input: InitInput | undefined): Promise<WebAssembly.Module> {
  const source = await input;
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source))
    return await compileBytes(source);
  if (source instanceof Response) return await compileResponse(source);
  if (typeof source === "string" || source instanceof URL || source instanceof Request) {
    return await compileResponse(await get(source));
  }
  throw failure("init takes a URL, a Request, a Response, the bytes or a WebAssembly.Module");
}

async function get(source: string | URL | Request): Promise<Response> {
  try {
    return await fetch(source);
  } catch (cause) {
    throw failure(`${source instanceof Request ? source.url : source} can not be fetched`, cause);
  }
}

async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) throw failure(`${response.url} answered ${response.status}`);
  const type = response.headers.get("content-type")?.split(";")[0]?.trim();
  try {
    // Only the streaming way lets the browser keep the compiled code; it insists on the right type.
    if (type === "application/wasm" && WebAssembly.compileStreaming) {
      return await WebAssembly.compileStreaming(response);
    }
    return await compileBytes(await response.arrayBuffer(), response.url);
  } catch (cause) {
    throw cause instanceof HoldfastError ? cause : compileFailure(cause);
  }
}

async function compileBytes(bytes: BufferSource, from?: string): Promise<WebAssembly.Module> {
  if (!isWasm(bytes)) {
    throw failure(
      `${from || "this"} is no wasm file; a server that answers every address with a page sends its page here`,
    );
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw compileFailure(cause);
  }
}

/** Whether the bytes begin as every wasm file does. */
export function isWasm(bytes: BufferSource): boolean {
  const head = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, Math.min(4, bytes.byteLength))
    : new Uint8Array(bytes, 0, Math.min(4, bytes.byteLength));
  return MAGIC.every((byte, index) => head[index] === byte);
}

function compileFailure(cause: unknown): HoldfastError {
  const message = cause instanceof Error ? cause.message : "";
  if (/unsafe-eval|content security policy|disallowed by embedder/i.test(message)) {
    return failure(
      "the page's Content-Security-Policy does not allow WebAssembly; add 'wasm-unsafe-eval' to its script-src",
      cause,
    );
  }
  return failure("the wasm file can not be compiled; it may be cut off", cause);
}

function failure(why: string, cause?: unknown): HoldfastError {
  return new HoldfastError("wasm-load", `Holdfast's wasm can not be loaded: ${why}`, { cause });
}
