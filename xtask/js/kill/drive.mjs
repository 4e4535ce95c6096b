// Kills a browser again and again while its page writes and syncs, and says what became of every write that the
// page was told is stored.
//
//   node drive.mjs JOB RESULT
//
// JOB is a file of `{engine, program, address, token, pkg, profile, rounds, seed?, limit}`: `address` is that of the server,
// `profile` a directory that is not there yet, `limit` in seconds for one session. RESULT is written at the end,
// whatever it shows: to judge is for the caller.
//
// The page is served from here, and its requests to the server go through here: what survives the kill is what this
// process was told, and it knows which requests were under way at the blow.
import { randomInt } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { request as ask, createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { startAlone } from "../browser.mjs";
import { below, POLICY, TYPES } from "../files.mjs";
import { mulberry32 } from "../random.mjs";
import { serverRecords } from "../records.mjs";

/** A blow falls so many milliseconds after the page was loaded or has opened its database. */
const EARLIEST = 50;
const LATEST = 2_000;
/** One blow in so many is counted from the loading: it may fall while the database is opened. */
const EARLY = 5;
/** Somebody else writes too, so that there is something to pull. */
const NEWS_EVERY = 120;

const [jobFile, resultFile] = process.argv.slice(2);
const job = JSON.parse(readFileSync(jobFile, "utf8"));
const seed = job.seed ?? randomInt(2 ** 32);
const random = mulberry32(seed);
const files = new Map([
  ...below("/", fileURLToPath(new URL(".", import.meta.url))),
  ...below("/pkg/", job.pkg),
]);

/** Every write that was reported, in the order of the reports: `{kind, id, mark, opId, session}`. */
const accepted = [];
/** The records that somebody began to remove. */
const removing = new Set();
/** When the browser said that it deleted the database, and when the package said that it was lost. */
const deleted = [];
const noticed = [];
const troubles = [];
const kills = { all: 0, opening: 0, writing: 0, pushing: 0, pulling: 0, idle: 0 };
let session = 0;
/** Of this session: writes that were begun and not reported, by clerk. */
let writing = new Map();
/** Of this session: requests of the page that are with the server. One of an earlier session may end late. */
let under = { push: 0, pull: 0 };
const waiting = new Map();

console.log(`  seed ${seed}`);
const server = createServer(answer);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

for (let round = 0; round < job.rounds; round++) {
  const browser = begin("write");
  const early = random() * EARLY < 1;
  const delay = EARLIEST + random() * (LATEST - EARLIEST);
  const opened = said("opened", browser);
  await (early ? said("loaded", browser) : opened);
  const others = setInterval(news, NEWS_EVERY);
  await new Promise((resolve) => setTimeout(resolve, delay));
  count(waiting.has("opened"));
  await browser.kill();
  clearInterval(others);
  waiting.clear();
  opened.catch(() => {});
  if (troubles.length > 0) break;
}

const browser = begin("check");
const ended = await said("ended", browser);
await browser.kill();
server.close();
server.closeAllConnections();
writeFileSync(resultFile, JSON.stringify(await judge(ended)));
process.exit(0);

function begin(mode) {
  session += 1;
  writing = new Map();
  under = { push: 0, pull: 0 };
  const words = new URLSearchParams({ session, mode, token: job.token });
  return startAlone(job.engine, job.program, job.profile, `${origin}/page.html?${words}`);
}

/** Until the page of this session says so. */
function said(what, browser) {
  const now = session;
  return new Promise((resolve, reject) => {
    const over = setTimeout(() => {
      const why = `session ${now}: nothing of "${what}" in ${job.limit} s (seed ${seed})`;
      reject(new Error(`${why}\n${troubles.join("\n")}\n${browser.said()}`));
    }, job.limit * 1000);
    waiting.set(what, (body) => {
      clearTimeout(over);
      waiting.delete(what);
      resolve(body);
    });
  });
}

function count(opening) {
  kills.all += 1;
  const at = {
    opening,
    writing: writing.size > 0,
    pushing: under.push > 0,
    pulling: under.pull > 0,
  };
  for (const [what, is] of Object.entries(at)) if (is) kills[what] += 1;
  if (!Object.values(at).includes(true)) kills.idle += 1;
}

/** A page of another session may have spoken before it was killed: what it said is true, and it gets no answer. */
function hear(body) {
  const mine = body.session === session;
  if (body.what === "writing") {
    const { trying } = body;
    const clerk = trying.mark.split("-")[1];
    if (body.accepted) accepted.push({ ...body.accepted, session: body.session });
    if (trying.kind === "remove") removing.add(trying.id);
    if (mine) writing.set(clerk, trying);
  } else if (body.what === "deleted") {
    console.log(`  session ${body.session}: the browser deleted its own database: ${body.why}`);
    if (!deleted.includes(body.session)) deleted.push(body.session);
  } else if (body.what === "storage") {
    if (body.kind === "lost") noticed.push(body.session);
  } else if (body.what === "trouble") {
    console.error(`  session ${body.session}: ${body.message}`);
    troubles.push(body.message);
  } else if (mine) {
    waiting.get(body.what)?.(body);
  }
  return mine;
}

async function answer(request, response) {
  const { pathname } = new URL(request.url, origin);
  if (pathname.startsWith("/api/")) return forward(request, response, pathname);
  if (pathname === "/said") {
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // Killed in the middle of a word.
      return;
    }
    return response.writeHead(hear(JSON.parse(Buffer.concat(chunks))) ? 200 : 410).end();
  }
  if (pathname === "/accepted") {
    return response.end(JSON.stringify([...new Set(accepted.map(({ opId }) => opId))]));
  }
  const body = files.get(pathname);
  if (body === undefined) return response.writeHead(404).end();
  response.writeHead(200, {
    "content-type": TYPES[pathname.split(".").at(-1)],
    "content-security-policy": POLICY,
  });
  response.end(body);
}

/** On to the server. A page that is killed meanwhile does not call its request back. */
function forward(request, response, pathname) {
  const kind = pathname === "/api/push" ? "push" : "pull";
  const counts = under;
  counts[kind] += 1;
  response.once("close", () => {
    counts[kind] -= 1;
  });
  const { method, headers, url } = request;
  const onward = ask(job.address + url, { method, headers }, (given) => {
    response.writeHead(given.statusCode, given.headers);
    given.on("error", () => response.destroy());
    given.on("aborted", () => response.destroy());
    given.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

async function news() {
  const id = `news-${Math.floor(random() * 1e9)}`;
  const operation = { opId: `other-${id}`, collection: "news", id, kind: "create", assumed: null };
  const body = {
    holdfast: 1,
    device: "other",
    operations: [{ ...operation, document: { id }, at: Date.now() }],
  };
  const headers = { authorization: `Bearer ${job.token}`, "content-type": "application/json" };
  // The server drops some requests on purpose: then there is less news.
  await fetch(`${job.address}/api/push`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  }).catch(() => {});
}

async function judge(ended) {
  const known = await serverRecords(job.address, job.token);
  const device = new Map(Object.entries(ended.records));
  // What the browser deleted went with it, as far as it had not been sent: the last time that it did so.
  const gone = Math.max(0, ...deleted, ...(job.engine === "firefox" ? noticed : []));
  const lost = [];
  const withStorage = [];
  const fates = {};
  for (const write of accepted) {
    const fate = ended.outcomes[write.opId];
    fates[fate] = (fates[fate] ?? 0) + 1;
    const why = missing(write, known, "server") ?? missing(write, device, "device");
    const settled = fate === "applied" || (fate === "annihilated" && removing.has(write.id));
    if (why === undefined && (settled || write.session < gone)) continue;
    (write.session < gone ? withStorage : lost).push({ ...write, why: why ?? fate });
  }
  const keys = new Set([...known.keys(), ...device.keys()]);
  const differing = [...keys].filter(
    (key) => !isDeepStrictEqual(known.get(key)?.document, device.get(key)),
  );
  const { records: _records, outcomes: _outcomes, ...rest } = ended;
  return {
    ...rest,
    seed,
    kills,
    accepted: accepted.length,
    records: device.size,
    fates,
    lost,
    withStorage: withStorage.length,
    deleted,
    // A notice belongs to the session of the loss, or to a later one if the blow fell before it could be given.
    unnoticed: deleted.filter((at) => !noticed.some((told) => told >= at)),
    falseAlarms:
      job.engine === "firefox" ? [] : noticed.filter((at) => !deleted.some((of) => of <= at)),
    noticed: [...new Set(noticed)],
    differing,
    troubles,
  };
}

/** What is missing of a write's effect, if something is. */
function missing({ kind, id, mark }, records, where) {
  const name = kind === "pay" ? "payments" : "orders";
  const found = records.get(`${name}/${id}`);
  const document = where === "server" ? found?.document : found;
  if (kind === "remove") return document === undefined ? undefined : `still on the ${where}`;
  if (removing.has(id) || document?.marks?.[mark] === true) return undefined;
  return `not on the ${where}`;
}
