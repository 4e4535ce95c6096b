import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

export const OUT = fileURLToPath(new URL("../../target/pkg-test", import.meta.url));
const TSC = fileURLToPath(new URL("../../node_modules/.bin/tsc", import.meta.url));

/** A module of the built TypeScript. */
export const load = (file) => import(pathToFileURL(`${OUT}/${file}`).href);

export const STATUS = {
  kind: "synced",
  since: 0,
  connection: { kind: "connected", reason: "start" },
  leader: true,
  outbox: { pending: 0, inFlight: 0, parked: 0, bytes: 0 },
  conflicts: 0,
  storage: { durability: "strict" },
};

/** A promise and the means to settle it. */
export function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/**
 * Opens a manager over a door of the test's making. Methods that the test does not give answer with a plain success;
 * every call is written down in `calls`.
 */
export async function openFake(door = {}, options = {}) {
  const { SyncManager, standard } = await load("node.js");
  const calls = [];
  let callbacks;
  const answers = {
    new_id: () => "new-id",
    status: () => STATUS,
    create: async (_, id) => JSON.stringify({ id: id ?? "made", opId: "op-1" }),
    patch: async (_, id) => JSON.stringify({ id, opId: "op-2" }),
    replace: async (_, id) => JSON.stringify({ id, opId: "op-3" }),
    remove: async (_, id) => JSON.stringify({ id, opId: "op-4" }),
    get: async () => undefined,
    list: async () => '{"items":[],"complete":true}',
    close: async () => {},
    ...door,
  };
  globalThis.openFake = async (given, from) => {
    calls.push(["open", JSON.parse(given)]);
    callbacks = from;
    return new Proxy(answers, {
      get: (target, name) =>
        name === "then"
          ? undefined
          : (...args) => {
              calls.push([name, ...args]);
              return (target[name] ?? (() => undefined))(...args);
            },
    });
  };
  const sync = await SyncManager.open({
    name: "test",
    remote: standard({ baseUrl: "http://localhost/api" }),
    collections: { orders: {}, customers: {} },
    ...options,
  });
  return { sync, calls, callbacks, emit: (kind, payload) => callbacks.emit(kind, payload) };
}

/** What a promise rejects with; a value instead fails the test. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}

/** Compiles files as an application would, against the emitted declarations, without skipping them. */
export function compile(name, files, more = {}) {
  const folder = `${OUT}/types-${name}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(`${folder}/${file}`, text);
  const config = {
    compilerOptions: {
      target: "ES2022",
      lib: ["ES2022", "DOM"],
      module: "NodeNext",
      moduleResolution: "NodeNext",
      strict: true,
      noEmit: true,
      types: [],
      paths: { holdfast: ["../index.d.ts"], "holdfast/*": ["../*.d.ts"] },
      ...more,
    },
    include: ["*.ts"],
  };
  writeFileSync(`${folder}/package.json`, '{"type":"module"}');
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config));
  const { stdout, status } = spawnSync(TSC, ["-p", folder], {
    encoding: "utf8",
  });
  return { status, stdout };
}
