/**
 * Holdfast in one piece: the wasm for any backend is inside, as base64. For service workers and wherever no second file can be served.
 *
 * @module
 */

import { decodeBase64 } from "./base64.js";
import * as glue from "./dist/holdfast_any.js";
import base64 from "./inline/wasm.js";
import { setLoader } from "./load.js";

setLoader(async () => decodeBase64(base64), glue);

export * from "./slim.js";
