// Builds the TypeScript beside a small stand-in for the wasm, then runs every test of this folder.
//
//   node pkg-template/test/run.mjs            the tests of the TypeScript, and of the package in pkg/ if it has been built
//   node pkg-template/test/run.mjs --package  the package must be there
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../../target/pkg-test");
const bin = (name) => here(`../../node_modules/.bin/${name}`);

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

rmSync(out, { recursive: true, force: true });
run(bin("tsc"), ["-p", here(".."), "--outDir", out]);
for (const folder of ["dist", "inline"]) mkdirSync(`${out}/${folder}`);
for (const glue of ["holdfast", "holdfast_any"]) {
  copyFileSync(here("fake/holdfast.js"), `${out}/dist/${glue}.js`);
  copyFileSync(here(`../src/dist/${glue}.d.ts`), `${out}/dist/${glue}.d.ts`);
}
copyFileSync(here("../package.json"), `${out}/package.json`);

// A wasm file with the exports that the loader looks for.
function wasm(...exports) {
  const names = exports.map((name) => new TextEncoder().encode(name));
  const entries = names.flatMap((name) => [name.length, ...name, 0x00, 0x00]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f],
    ...[0x03, 0x02, 0x01, 0x00],
    ...[0x07, entries.length + 1, names.length, ...entries],
    ...[0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x01, 0x0b],
  ]);
}
const any = wasm("holdfast_door", "holdfast_any");
writeFileSync(`${out}/dist/holdfast_bg.wasm`, wasm("holdfast_door"));
writeFileSync(`${out}/dist/holdfast_any_bg.wasm`, any);
const base64 = Buffer.from(any).toString("base64");
writeFileSync(`${out}/inline/wasm.js`, `export default "${base64}";\n`);

const built = existsSync(here("../../pkg/dist/holdfast_bg.wasm"));
if (!built && process.argv.includes("--package")) {
  console.error("pkg/ is missing: run `cargo xtask pkg` first");
  process.exit(1);
}
const tests = readdirSync(here("."))
  .filter((file) => file.endsWith(".test.mjs"))
  .filter((file) => built || !file.startsWith("package"));
if (!built) console.log("pkg/ is not built: the tests of the package itself do not run");
run(process.execPath, [
  "--test",
  "--test-reporter=spec",
  "--test-timeout=300000",
  ...tests.map((file) => here(file)),
]);
