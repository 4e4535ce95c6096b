// Builds the till: node www/build.mjs --out DIR --pkg PKGDIR
//
//   DIR/index.html, icon.svg, manifest.webmanifest
//   DIR/sw.js                 the service worker, with the list of files it keeps and their hash
//   DIR/assets/<hash>/...     everything else; the name changes with the content, so it never expires
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = path.dirname(fileURLToPath(import.meta.url));
const tools = path.join(here, "..", "tools");
const { build } = createRequire(path.join(tools, "package.json"))("esbuild");

export async function buildTill({ out, pkg, minify = true }) {
  const manifest = JSON.parse(await readFile(path.join(pkg, "package.json"), "utf8"));
  const wasm = path.join(pkg, manifest.exports["./holdfast_bg.wasm"]);
  const common = {
    bundle: true,
    write: false,
    minify,
    format: "esm",
    target: ["es2022", "chrome111", "firefox115", "safari16.4"],
    nodePaths: [path.join(tools, "node_modules")],
    legalComments: "none",
    logLevel: "warning",
  };
  const page = await build({
    ...common,
    entryPoints: [path.join(here, "src", "main.tsx")],
    outdir: "/",
    splitting: true,
    chunkNames: "[name]-[hash]",
    metafile: true,
    jsx: "automatic",
    jsxImportSource: "preact",
    alias: { holdfast: path.join(pkg, manifest.exports["."].default) },
  });
  const assets = new Map(page.outputFiles.map((file) => [path.basename(file.path), file.contents]));
  // The package asks for its wasm beside the script that asks, which is where the bundle lies.
  assets.set("dist/holdfast_bg.wasm", await readFile(wasm));

  const assetsHash = digest(assets);
  const folder = `assets/${assetsHash}`;
  const files = new Map([...assets].map(([name, bytes]) => [`${folder}/${name}`, bytes]));
  for (const name of await readdir(path.join(here, "public"))) {
    const bytes = await readFile(path.join(here, "public", name));
    files.set(
      name,
      name === "index.html" ? Buffer.from(bytes.toString().replaceAll("%ASSETS%", folder)) : bytes,
    );
  }

  // A chunk that is only ever imported on demand (the package's inlined wasm) is for browsers
  // without the file beside; a shell that has the file does not need it.
  const needed = reachedAtOnce(page.metafile);
  const kept = [...files.keys()].filter((name) => {
    const chunk = path.basename(name);
    return name !== "index.html" && (!name.endsWith(".js") || needed.has(chunk));
  });
  const worker = await build({
    ...common,
    format: "iife",
    entryPoints: [path.join(here, "src", "sw.ts")],
    outfile: "/sw.js",
    define: { VERSION: JSON.stringify(digest(files)), FILES: JSON.stringify(["./", ...kept]) },
  });
  files.set("sw.js", worker.outputFiles[0].contents);

  await rm(out, { recursive: true, force: true });
  for (const [name, bytes] of files) {
    await mkdir(path.dirname(path.join(out, name)), { recursive: true });
    await writeFile(path.join(out, name), bytes);
  }
  return {
    files: files.size,
    kept: kept.length + 1,
    bytes: [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0),
  };
}

function digest(files) {
  const hash = createHash("sha256");
  for (const name of [...files.keys()].sort())
    hash.update(`${name}\0`).update(files.get(name)).update("\0");
  return hash.digest("hex").slice(0, 12);
}

function reachedAtOnce({ outputs }) {
  const names = new Set();
  const visit = (name) => {
    if (names.has(path.basename(name))) return;
    names.add(path.basename(name));
    for (const { path: next, kind } of outputs[name]?.imports ?? []) {
      if (kind === "import-statement" && outputs[next]) visit(next);
    }
  };
  for (const [name, { entryPoint }] of Object.entries(outputs))
    if (entryPoint?.endsWith("main.tsx")) visit(name);
  return names;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { out: { type: "string" }, pkg: { type: "string" }, "no-minify": { type: "boolean" } },
  });
  if (!values.out || !values.pkg) {
    console.error("usage: node www/build.mjs --out DIR --pkg PKGDIR [--no-minify]");
    process.exit(2);
  }
  const started = performance.now();
  try {
    const built = await buildTill({
      out: path.resolve(values.out),
      pkg: path.resolve(values.pkg),
      minify: !values["no-minify"],
    });
    const size = `${Math.round(built.bytes / 1024)} kB, ${built.kept} kept offline`;
    console.log(
      `till: ${built.files} files, ${size}, ${Math.round(performance.now() - started)} ms`,
    );
  } catch (error) {
    // esbuild has printed where; what is left to say is what to do.
    console.error(`the till was not built: ${error.message.split("\n")[0]}`);
    console.error(`is the package in ${values.pkg} whole? cargo xtask pkg builds it`);
    process.exit(1);
  }
}
