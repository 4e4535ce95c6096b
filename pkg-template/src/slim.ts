/**
 * Everything, without a way to load the wasm: call `init` with where it is before the first `open`.
 *
 * @module
 */

export type { HoldfastErrorDetails } from "./errors.js";
export { HoldfastError, isHoldfastError } from "./errors.js";
export { init } from "./load.js";
export { SyncManager } from "./manager.js";
export { monotonic } from "./options.js";
export { presets, rest } from "./presets.js";
export { defineRemote, standard } from "./remote.js";
export type * from "./types.js";
