// Measures every workload with every peer, each time in a browser on a profile of its own, the peers taking
// turns, and compares them within one round: what slows one round down slows down all of it.
//
//   node run.mjs JOB
//
// JOB is a file of `{pkg, out, dir, reps, only, smoke, sqlite}`: `out` is where the JSON goes, `dir` a
// directory for profiles, `only` a list of workloads or null.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { start } from "../browser.mjs";
import { serve } from "./server.mjs";

/** Seconds that one measurement may take, the start of the browser included. */
const LIMIT = 120;

const PEERS = {
  raw: { module: "raw", durability: "relaxed" },
  "raw-strict": { module: "raw", durability: "strict" },
  holdfast: { module: "holdfast", durability: "strict" },
};

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const SIZES = job.smoke
  ? { writes: 20, pulled: 200, pushed: 100 }
  : { writes: 300, pulled: 10_000, pushed: 1_000 };

/** `better` says which way a figure is good; `unit` is of the figure itself. */
const FIGURES = {
  W1: { title: `${SIZES.writes} writes one by one, p50`, of: "p50", unit: "ms", better: "less" },
  W1c: {
    title: `${SIZES.writes} writes at once`,
    of: "perSecond",
    unit: "writes/s",
    better: "more",
  },
  W3: { title: `pull of ${SIZES.pulled}`, of: "perSecond", unit: "records/s", better: "more" },
  W4: { title: `push of ${SIZES.pushed}`, of: "perSecond", unit: "operations/s", better: "more" },
};
const WORKLOADS = {
  W1: async (bench) => ({
    W1: await bench("oneByOne", SIZES.writes),
    W1c: await bench("atOnce", SIZES.writes),
  }),
  W3: async (bench) => ({ W3: await bench("pull", SIZES.pulled) }),
  W4: async (bench, seen) => {
    const measured = await bench("push", SIZES.pushed);
    const { requests, operations, records } = seen();
    if (records !== SIZES.pushed || operations !== SIZES.pushed)
      throw new Error(`the server saw ${operations} operations on ${records} records`);
    return { W4: { ...measured, requests } };
  },
};

const unknown = (job.only ?? []).filter((name) => !(name in WORKLOADS));
if (unknown.length > 0) {
  console.error(`no workload ${unknown}; there are ${Object.keys(WORKLOADS)}`);
  process.exit(2);
}
const server = await serve({
  bench: fileURLToPath(new URL(".", import.meta.url)),
  pkg: job.pkg,
});
server.warm(SIZES.pulled, 1000);

const runs = [];
for (let rep = 0; rep < job.reps; rep += 1) {
  for (const workload of job.only ?? Object.keys(WORKLOADS)) {
    const peers = Object.keys(PEERS);
    for (let at = 0; at < peers.length; at += 1) {
      const peer = peers[(at + rep) % peers.length];
      const run = { rep, workload, peer, ...(await measure(rep, workload, peer)) };
      runs.push(run);
      console.log(`  round ${rep + 1} ${workload} ${peer.padEnd(10)} ${run.error ?? "ok"}`);
    }
  }
}
server.close();

const failed = runs.filter(({ error }) => error !== undefined);
const summary = Object.keys(FIGURES).flatMap((figure) => summarise(figure) ?? []);
writeFileSync(
  job.out,
  JSON.stringify(
    {
      machine: { processors: cpus().length, model: cpus()[0]?.model, kernel: release() },
      engine: job.sqlite ? "sqlite" : "leveldb",
      sizes: SIZES,
      reps: job.reps,
      summary,
      runs,
    },
    null,
    2,
  ),
);
print();
process.exit(failed.length > 0 ? 1 : 0);

/** One workload with one peer: its figures, or the error that it ended with. */
async function measure(rep, workload, peer) {
  const { module, durability } = PEERS[peer];
  const profile = mkdtempSync(join(job.dir, `${peer}-`));
  const session = `${workload}-${peer}-${rep}${workload === "W3" ? `-${SIZES.pulled}` : ""}`;
  const flags = job.sqlite ? ["--enable-features=IdbSqliteBackingStore"] : [];
  let browser;
  let timer;
  try {
    browser = await start(profile, flags);
    const page = browser.context.pages()[0] ?? (await browser.context.newPage());
    const bench = (what, ...words) =>
      page.evaluate(([what, words]) => globalThis.bench[what](...words), [what, words]);
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${LIMIT} s`)), LIMIT * 1000);
    });
    const work = async () => {
      await page.goto(`${server.address}/bench/page.html`);
      await page.waitForFunction(() => "bench" in globalThis);
      await bench("open", module, { base: `${server.address}/api/${session}`, durability });
      return { figures: await WORKLOADS[workload](bench, () => server.seen(session)) };
    };
    return await Promise.race([work(), late]);
  } catch (error) {
    return { error: error.message.split("\n")[0] };
  } finally {
    clearTimeout(timer);
    await browser?.kill();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Medians per peer, and holdfast against the others: above 1 is better, whatever the unit. */
function summarise(figure) {
  const { of, better } = FIGURES[figure];
  const values = (peer) => {
    const found = new Map();
    for (const run of runs) {
      const value = run.peer === peer ? run.figures?.[figure]?.[of] : undefined;
      if (value !== undefined) found.set(run.rep, value);
    }
    return found;
  };
  const medians = {};
  for (const peer of Object.keys(PEERS)) {
    const all = [...values(peer).values()];
    if (all.length > 0) medians[peer] = median(all);
  }
  if (Object.keys(medians).length === 0) return undefined;
  const own = values("holdfast");
  const against = {};
  for (const peer of ["raw", "raw-strict"]) {
    const pairs = [...values(peer)].filter(([rep]) => own.has(rep));
    if (pairs.length === 0) continue;
    const ratios = pairs.map(([rep, value]) =>
      better === "more" ? own.get(rep) / value : value / own.get(rep),
    );
    against[peer] = { ...geometric(ratios), ratios };
  }
  const gaps = runs
    .filter(({ peer, figures }) => peer === "holdfast" && figures?.[figure]?.gapMs !== undefined)
    .map(({ figures }) => figures[figure].gapMs);
  return { figure, medians, against, ...(gaps.length > 0 ? { gapMs: median(gaps) } : {}) };
}

function print() {
  const cell = (text) => String(text).padStart(16);
  console.log(
    `\n  ${"".padEnd(32)}${Object.keys(PEERS).map(cell).join("")}${cell("against raw")}${cell("against strict")}`,
  );
  for (const { figure, medians, against, gapMs } of summary) {
    const { title, unit } = FIGURES[figure];
    const shown = Object.keys(PEERS).map((peer) => number(medians[peer]));
    const times = ["raw", "raw-strict"].map((peer) =>
      against[peer] === undefined ? "-" : `${against[peer].mean.toFixed(2)}x`,
    );
    console.log(`  ${`${figure} ${title}`.padEnd(32)}${[...shown, ...times].map(cell).join("")}`);
    const parts = [unit];
    for (const [peer, { low, high }] of Object.entries(against)) {
      if (low !== undefined) parts.push(`${peer} ${low.toFixed(2)}-${high.toFixed(2)}x`);
    }
    if (gapMs !== undefined) parts.push(`longest gap ${gapMs.toFixed(0)} ms`);
    console.log(`     ${parts.join(", ")}`);
  }
  console.log(
    `\n  medians of ${job.reps}; ratios are geometric means within rounds, above 1 is faster than by hand`,
  );
  for (const { workload, peer, rep, error } of failed)
    console.log(`  FAILED: ${workload} ${peer} round ${rep + 1}: ${error}`);
}

function number(value) {
  if (value === undefined) return "-";
  return value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en-US");
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The geometric mean; from three rounds on with its 95 % interval. */
function geometric(ratios) {
  const T = [4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
  const logs = ratios.map(Math.log);
  const count = logs.length;
  const mean = logs.reduce((sum, log) => sum + log, 0) / count;
  if (count < 3) return { mean: Math.exp(mean) };
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (count - 1);
  const reach = (T[count - 3] ?? 2.2) * Math.sqrt(variance / count);
  return { mean: Math.exp(mean), low: Math.exp(mean - reach), high: Math.exp(mean + reach) };
}
