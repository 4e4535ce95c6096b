/**
 * Holdfast for browsers: fetches the wasm file that its backend needs, from beside this one, when the first manager is opened.
 *
 * @module
 */

import { decodeBase64 } from "./base64.js";
import { isWasm, setLoader } from "./load.js";
import type { InitInput } from "./types.js";

setLoader(async (backends): Promise<InitInput> => {
  // Bundlers see these URLs and take the files along. Where one does not, or a development server answers with a page, the
  // copy in a chunk of its own is used, which is otherwise never fetched.
  try {
    const response = await fetch(
      backends === "any"
        ? new URL("./dist/holdfast_any_bg.wasm", import.meta.url)
        : new URL("./dist/holdfast_bg.wasm", import.meta.url),
    );
    if (response.ok) {
      if (response.headers.get("content-type") === "application/wasm") return response;
      const bytes = await response.arrayBuffer();
      if (isWasm(bytes)) return bytes;
    }
  } catch {
    // The same as an answer that is not the file.
  }
  console.warn(
    "holdfast: the wasm file is not beside the script; using the larger inlined copy for any backend",
  );
  const inlined = await import("./inline/wasm.js");
  return decodeBase64(inlined.default);
});

export * from "./slim.js";
