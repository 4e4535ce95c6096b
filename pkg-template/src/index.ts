/**
 * Holdfast for browsers: fetches the wasm file that lies beside this one when the first manager is opened.
 *
 * @module
 */

import { decodeBase64 } from "./base64.js";
import { isWasm, setLoader } from "./load.js";
import type { InitInput } from "./types.js";

setLoader(async (): Promise<InitInput> => {
  // Bundlers see this URL and take the file along. Where one does not, or a development server answers with a page, the
  // copy in a chunk of its own is used, which is otherwise never fetched.
  try {
    const response = await fetch(new URL("./dist/holdfast_bg.wasm", import.meta.url));
    if (response.ok) {
      if (response.headers.get("content-type") === "application/wasm") return response;
      const bytes = await response.arrayBuffer();
      if (isWasm(bytes)) return bytes;
    }
  } catch {
    // The same as an answer that is not the file.
  }
  console.warn(
    "holdfast: holdfast_bg.wasm is not beside the script; using the larger inlined copy",
  );
  const inlined = await import("./inline/wasm.js");
  return decodeBase64(inlined.default);
});

export * from "./slim.js";
