/**
 * Holdfast in one piece: the wasm is inside, as base64. For service workers and wherever no second file can be served.
 *
 * @module
 */

import { decodeBase64 } from "./base64.js";
import base64 from "./inline/wasm.js";
import { setLoader } from "./load.js";

setLoader(async () => decodeBase64(base64));

export * from "./slim.js";
