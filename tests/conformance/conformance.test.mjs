// The conformance test against the reference server: on all six protocols it keeps every promise, and each promise that it
// is told to break is noticed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

const PROGRAM = join(process.env.HOLDFAST_PKG, "conformance.js");
const BASES = {
  standard: "/api",
  auraconnect: "/auraconnect",
  "auraconnect-mobile": "/auraconnect-mobile",
  trackvault: "/trackvault",
  arxos: "/arxos",
  paytrack: "/paytrack/api",
};
const ALL = Object.keys(BASES);

/** A fresh server with two tenants, for the length of `use`. */
async function withServer(more, use) {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-conformance-"));
  const child = spawn(
    process.env.HOLDFAST_SERVER,
    [
      "--database",
      join(dir, "db"),
      "--token",
      "mine=one",
      "--token",
      "theirs=two",
      "--quiet",
      ...more,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const [line] = await once(createInterface(child.stdout), "line");
    await use(line.replace("listening on ", ""));
  } finally {
    child.kill();
    await once(child, "exit");
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs the program: its exit code, and its findings by promise. */
async function run(words) {
  const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let [text, errors] = ["", ""];
  child.stdout.on("data", (part) => {
    text += part;
  });
  child.stderr.on("data", (part) => {
    errors += part;
  });
  const [code] = await once(child, "close");
  return { code, text, errors };
}

async function findings(address, profile, more = []) {
  const url = `${address}${BASES[profile]}`;
  const words = ["--url", url, "--profile", profile, "--token", "mine", "--other-token", "theirs"];
  const { code, text, errors } = await run([...words, "--json", ...more]);
  assert.equal(errors, "", `${profile}: ${errors}`);
  const found = JSON.parse(text);
  assert.equal(found.profile, profile);
  return { code, by: Object.fromEntries(found.findings.map((each) => [each.promise, each])) };
}

/** What cannot be tried on a protocol, because it has no such thing. */
const NOT_TRIED = {
  standard: ["digest"],
  auraconnect: ["order", "expiry"],
  "auraconnect-mobile": ["order", "digest"],
  trackvault: ["order", "expiry", "digest"],
  arxos: ["order", "pages", "digest"],
  paytrack: ["order"],
};

test("the reference server keeps every promise on all six protocols", async () => {
  await withServer([], async (address) => {
    for (const profile of ALL) {
      const { code, by } = await findings(address, profile);
      for (const { promise, result, says } of Object.values(by)) {
        assert.notEqual(result, "broken", `${profile} ${promise}: ${says}`);
      }
      const not = Object.values(by).filter((each) => each.result === "not-tried");
      const names = not.map((each) => each.promise).filter((name) => name !== "retry-after");
      assert.deepEqual(names.sort(), NOT_TRIED[profile].toSorted(), profile);
      assert.equal(code, 0);
    }
  });
});

// Told to break a promise, what the program has to notice, and on which protocols that is possible.
const BROKEN = [
  [["--open"], "auth", ALL],
  [["--break", "markers"], "recognition", ALL],
  // ArxOS tells a repeat by its content and stores nothing.
  [["--break", "replay"], "replay", ALL.filter((name) => name !== "arxos")],
  // AuraConnect's version is a stamp of the server's.
  [["--break", "versions"], "versions", ALL.filter((name) => name !== "auraconnect")],
  [["--break", "feed"], "feed", ALL],
  [["--break", "tombstones"], "tombstones", ALL],
  [["--break", "expiry"], "expiry", ["standard", "auraconnect-mobile", "arxos", "paytrack"]],
  [["--break", "limits"], "limits", ALL],
  [["--break", "batch"], "verdicts", ALL],
  [["--break", "tenants"], "tenants", ALL],
];

for (const [more, promise, profiles] of BROKEN) {
  test(`it notices ${more.join(" ")}`, async () => {
    await withServer(more, async (address) => {
      for (const profile of profiles) {
        const { code, by } = await findings(address, profile, ["--only", promise]);
        assert.equal(
          by[promise].result,
          "broken",
          `${profile}: ${promise} is ${by[promise].result}`,
        );
        assert.ok(by[promise].says.length > 0);
        assert.equal(code, 1);
      }
    });
  });
}

test("it sees whether too many requests are told when to come back", async () => {
  const only = ["--only", "retry-after", "--burst", "40"];
  await withServer(["--rate", "1/5"], async (address) => {
    const { by } = await findings(address, "paytrack", only);
    assert.equal(by["retry-after"].result, "kept", by["retry-after"].says);
  });
  await withServer(["--rate", "1/5", "--break", "retry-after"], async (address) => {
    const { code, by } = await findings(address, "standard", only);
    assert.deepEqual([code, by["retry-after"].result], [1, "broken"]);
  });
});

test("it says in words what it found, and what it was not told", async () => {
  await withServer(["--break", "batch"], async (address) => {
    const url = `${address}/paytrack/api`;
    const words = ["--url", url, "--profile", "paytrack", "--token", "mine"];
    const { code, text } = await run([...words, "--only", "verdicts,tenants"]);
    assert.equal(code, 1);
    assert.match(text, /^BROKEN {5}verdicts .*\n +a push got 400 instead of 200\n/m);
    assert.match(text, /^not tried {2}tenants .*\n +give --other-token to try it\n/m);
    assert.match(text, /\n0 kept, 1 broken, 1 not tried\n$/);
  });
  for (const [words, says] of [
    [[], "--url: an address is needed"],
    [["--url", "http://127.0.0.1:1"], "--profile"],
    [["--url", "http://127.0.0.1:1", "--profile", "boat"], "--profile"],
    [["--url", "http://127.0.0.1:1", "--profile", "arxos", "--only", "x"], "no promise x"],
    [["--url", "http://127.0.0.1:1", "--profile", "arxos", "--burst", "0"], "--burst"],
    [["--url", "http://127.0.0.1:1", "--profile", "arxos", "--loud"], "unknown argument --loud"],
    [["--url", "http://127.0.0.1:1", "--profile", "arxos", "--token"], "--token needs a value"],
    [["--url", "http://127.0.0.1:1", "--profile", "arxos"], "does not answer"],
  ]) {
    const { code, text, errors } = await run(words);
    assert.deepEqual([code, text], [2, ""], words.join(" "));
    assert.ok(errors.startsWith("holdfast-conformance: ") && errors.includes(says), errors);
  }
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.text, /--profile NAME/);
});
