/**
 * Holdfast in Node, for server-side rendering and tests: reads the wasm file from the disk. Without IndexedDB `open` rejects
 * with `"no-durable-storage"` unless `allowMemory` is set.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { setLoader } from "./load.js";

setLoader(async () => await readFile(new URL("./dist/holdfast_any_bg.wasm", import.meta.url)));

export * from "./slim.js";
