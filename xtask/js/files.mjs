// The files of a page that a driver serves itself.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** What the server sends with its pages, so that the package is used under it. */
export const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:";
export const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };

/** The files below `dir` that a page may ask for, each with the address that it has below `prefix`. */
export function below(prefix, dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.split(".").at(-1) in TYPES)
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      return [prefix + relative(dir, file).replaceAll("\\", "/"), readFileSync(file)];
    });
}
