/**
 * What a backend must promise (`docs/backend-guide.md`), each promise tried against a running one.
 *
 * @module
 */

import type { Reply, Send } from "./conformance-http.js";
import {
  type Known,
  type Operation,
  overlapped,
  type ProfileName,
  type Row,
  type Verdict,
  type Wire,
} from "./conformance-wires.js";

/** A promise was tried: it is kept, it is broken, or it could not be tried here. */
export interface Finding {
  readonly promise: string;
  readonly title: string;
  readonly result: "kept" | "broken" | "not-tried";
  /** What was seen, where it is not kept. */
  readonly says?: string;
}

/** What a run is given. */
export interface Setting {
  readonly profile: ProfileName;
  readonly wire: Wire;
  readonly send: Send;
  /** Sends as a user of another tenant. */
  readonly other: Send | undefined;
  /** Begins the name of everything that this run makes. */
  readonly run: string;
  /** How many requests are sent at once, to see what too many get. */
  readonly burst: number;
}

/** Why a promise is not kept; thrown by a check. */
class Broken extends Error {}
/** Why a promise cannot be tried. */
class NotTried extends Error {}

function expect(sound: boolean, says: string): asserts sound {
  if (!sound) throw new Broken(says);
}

/** A record that the server has. */
interface Made {
  readonly record: string;
  readonly known: Known;
}

/** The steps that checks are made of. */
class Steps {
  #count = 0;

  constructor(readonly setting: Setting) {}

  get wire(): Wire {
    return this.setting.wire;
  }

  unique(word: string): string {
    this.#count += 1;
    return `${this.setting.run}-${word}${this.#count}`;
  }

  operation(kind: Operation["kind"], record: string, name: string, known?: Known): Operation {
    const operation = { op: this.unique("op"), record, kind, name, at: Date.now() };
    return known ? { ...operation, known } : operation;
  }

  create(name = "Ada"): Operation {
    return this.operation("create", this.unique("r"), name);
  }

  /** Sends operations and gives their verdicts, which must be there. */
  async push(
    operations: readonly Operation[],
    send: Send = this.setting.send,
  ): Promise<readonly Verdict[]> {
    const reply = await send(this.wire.push(operations));
    expect(reply.status === 200, `a push got ${status(reply)} instead of 200`);
    const verdicts = this.wire.verdicts(reply, operations);
    expect(verdicts !== undefined, "a push got 200 and a body that is not one of this protocol");
    return verdicts;
  }

  async one(operation: Operation): Promise<Verdict> {
    const [verdict] = await this.push([operation]);
    return verdict as Verdict;
  }

  /** An operation that must be applied. */
  async apply(operation: Operation): Promise<Made> {
    const verdict = await this.one(operation);
    expect(
      verdict.kind === "applied",
      `a sound ${operation.kind} was not applied: ${verdict.kind}`,
    );
    const known = verdict.known;
    expect(known !== undefined, `a ${operation.kind} was applied, and the verdict has no version`);
    return { record: operation.record, known };
  }

  /** Everything behind a cursor, page by page. */
  async pull(
    cursor: string | undefined,
    limit: number,
    send: Send = this.setting.send,
  ): Promise<{ rows: readonly Row[]; cursor: string; pages: number }> {
    const rows: Row[] = [];
    let from = cursor;
    for (let pages = 1; pages <= 10_000; pages += 1) {
      const page = await this.wire.pull(send, from, limit);
      expect(page.reply.status === 200, `a pull got ${status(page.reply)} instead of 200`);
      expect(page.ours, "a pull got 200 and a body that is not one of this protocol");
      rows.push(...page.rows);
      expect(
        !page.more || page.cursor !== from,
        "a page says that more is there, with the same cursor",
      );
      from = page.cursor;
      if (!page.more) return { rows, cursor: from, pages };
    }
    throw new Broken("a pull does not come to an end");
  }

  /** Where a client goes on that has seen everything so far. */
  async here(): Promise<string> {
    return this.again((await this.pull(undefined, 500)).cursor);
  }

  again(cursor: string): string {
    return overlapped(this.setting.profile, this.wire, cursor);
  }

  async rowsOf(made: Made, cursor: string | undefined): Promise<readonly Row[]> {
    const { rows } = await this.pull(cursor, 500);
    return rows.filter((row) => row.record === made.record || row.id === made.known.id);
  }
}

function status(reply: Reply): string {
  return reply.status === 0 ? "no answer" : String(reply.status);
}

interface Check {
  readonly promise: string;
  readonly title: string;
  run(steps: Steps): Promise<void>;
}

/** A repeat of an operation: applied as before, and no new effect. */
async function repeats(steps: Steps, operation: Operation): Promise<Made> {
  const made = await steps.apply(operation);
  for (let time = 0; time < 2; time += 1) {
    const again = await steps.one(operation);
    expect(
      again.kind === "applied",
      `a repeat of a ${operation.kind} was not applied: ${again.kind}`,
    );
    const [first, second] = [made.known.version, again.known?.version];
    expect(
      first === second,
      `a repeat of a ${operation.kind} got version ${second} instead of ${first}`,
    );
  }
  return made;
}

const CHECKS: readonly Check[] = [
  {
    promise: "auth",
    title: "a request without a token that is known gets 401",
    async run(steps) {
      for (const token of [null, "conformance-unknown"]) {
        const pull = await steps.wire.pull(
          (ask) => steps.setting.send({ ...ask, token }),
          undefined,
          1,
        );
        expect(
          pull.reply.status === 401,
          `a pull ${token ? "with an unknown" : "without a"} token got ${status(pull.reply)}`,
        );
        const push = await steps.setting.send({ ...steps.wire.push([steps.create()]), token });
        expect(
          push.status === 401,
          `a push ${token ? "with an unknown" : "without a"} token got ${status(push)}`,
        );
      }
    },
  },
  {
    promise: "recognition",
    title: "answers, errors too, are told from a captive portal's",
    async run(steps) {
      await steps.pull(undefined, 500);
      const error = await steps.setting.send({
        ...steps.wire.push([]),
        token: "conformance-unknown",
      });
      expect(
        steps.wire.isError(error),
        `a ${status(error)} has not the body that this protocol gives its errors`,
      );
    },
  },
  {
    promise: "replay",
    title: "a repeat has one effect, and gets the verdict that was stored",
    async run(steps) {
      const made = await repeats(steps, steps.create());
      const updated = await repeats(
        steps,
        steps.operation("update", made.record, "Grace", made.known),
      );
      const rows = await steps.rowsOf(updated, undefined);
      expect(rows.length === 1, `a create that came three times made ${rows.length} records`);
      const remove = steps.operation("delete", made.record, "", updated.known);
      const removed = await steps.one(remove);
      expect(removed.kind === "applied", `a sound delete was not applied: ${removed.kind}`);
      const again = await steps.one(remove);
      // ArxOS answers "not found" to a repeated deletion, which its client takes for success.
      const sound =
        again.kind === "applied" || (steps.setting.profile === "arxos" && again.kind === "refused");
      expect(sound, `a repeat of a delete was not applied: ${again.kind}`);
    },
  },
  {
    promise: "replay-at-once",
    title: "the same request twice at the same moment has one effect",
    async run(steps) {
      const operation = steps.create();
      const both = await Promise.all([steps.push([operation]), steps.push([operation])]);
      const known = both.map(([verdict]) => (verdict as Verdict).known?.id);
      expect(
        both.every(([verdict]) => verdict?.kind === "applied"),
        "one of two equal requests was not applied",
      );
      expect(known[0] === known[1], "two equal requests made two records");
    },
  },
  {
    promise: "reuse",
    title:
      "the same operation id, or the same base version, with other content is no silent success",
    async run(steps) {
      const first = steps.create("Ada");
      const made = await steps.apply(first);
      const other = await steps.one({ ...first, name: "Eve" });
      expect(
        other.kind !== "applied",
        "a create that was used before was taken again with other content",
      );
      const update = steps.operation("update", made.record, "Grace", made.known);
      await steps.apply(update);
      const again = await steps.one({ ...update, name: "Eve" });
      expect(
        again.kind !== "applied",
        "an update that was used before was taken again with other content",
      );
      const rows = await steps.rowsOf(made, undefined);
      expect(
        rows[0]?.name === "Grace",
        `the record is ${rows[0]?.name} instead of what was taken first`,
      );
    },
  },
  {
    promise: "verdicts",
    title: "each operation has its own verdict, and a bad one fails alone",
    async run(steps) {
      const bad = steps.operation("update", steps.unique("none"), "x", steps.wire.nobody);
      const [first, second, third] = await steps.push([steps.create(), bad, steps.create()]);
      expect(
        first?.kind === "applied" && third?.kind === "applied",
        "a bad operation took sound ones down with it",
      );
      expect(
        second?.kind === "refused",
        `an update of a record that was never made got: ${second?.kind}`,
      );
    },
  },
  {
    promise: "versions",
    title: "versions grow with every change, and guard against a stale one",
    async run(steps) {
      const made = await steps.apply(steps.create());
      const second = await steps.apply(steps.operation("update", made.record, "Grace", made.known));
      const third = await steps.apply(
        steps.operation("update", made.record, "Linus", second.known),
      );
      const versions = [made, second, third].map((each) => each.known.version);
      const grow = versions.every((version, place) => {
        const before = versions[place - 1];
        if (before === undefined) return true;
        return Number.isNaN(Number(version)) ? version > before : Number(version) > Number(before);
      });
      expect(grow, `the versions of one record were ${versions.join(", ")}`);
      const [row] = await steps.rowsOf(third, undefined);
      expect(row?.name === "Linus", "the record is not what the last update made of it");
      expect(
        row.version === third.known.version,
        `the verdict says version ${third.known.version}, the pull ${row.version}`,
      );
      const stale = await steps.one(steps.operation("update", made.record, "Eve", made.known));
      expect(stale.kind === "conflict", `an update of a stale version got: ${stale.kind}`);
      expect(
        stale.known?.version === third.known.version,
        "the conflict does not tell the server's version",
      );
      const gone = await steps.one(steps.operation("delete", made.record, "", made.known));
      expect(gone.kind === "conflict", `a deletion of a stale version got: ${gone.kind}`);
      const won = await steps.one(steps.operation("update", made.record, "Eve", stale.known));
      expect(
        won.kind === "applied",
        `an update with the version that a conflict told got: ${won.kind}`,
      );
    },
  },
  {
    promise: "order",
    title: "operations of one request are handled in order",
    async run(steps) {
      if (steps.setting.profile !== "standard") {
        throw new NotTried("a record is once in a request, on this protocol");
      }
      const create = steps.create();
      const known = { id: create.record, version: "1" };
      const update = steps.operation("update", create.record, "Grace", known);
      const [made, changed] = await steps.push([create, update]);
      expect(
        made?.kind === "applied" && changed?.kind === "applied",
        "an update behind its create was not applied",
      );
      const stale = steps.operation("update", create.record, "Eve", known);
      const next = steps.operation("update", create.record, "Linus", { ...known, version: "2" });
      const [lost, behind] = await steps.push([stale, next]);
      expect(lost?.kind === "conflict", `an update of a stale version got: ${lost?.kind}`);
      expect(
        behind?.kind === "retry",
        `what stands behind a conflict of its record got: ${behind?.kind}`,
      );
    },
  },
  {
    promise: "feed",
    title: "a cursor never passes a change that is committed later",
    async run(steps) {
      const start = await steps.here();
      const [writers, each] = [4, 6];
      let writing = writers;
      const made: string[] = [];
      const write = async (): Promise<void> => {
        for (let n = 0; n < each; n += 1) {
          const operation = steps.create();
          made.push(operation.record);
          await steps.apply(operation);
        }
        writing -= 1;
      };
      const seen = new Set<string>();
      const read = async (): Promise<void> => {
        let cursor = start;
        for (let last = false; !last; ) {
          last = writing === 0;
          const page = await steps.pull(cursor, 50);
          for (const row of page.rows) seen.add(row.record ?? row.id);
          cursor = steps.again(page.cursor);
        }
      };
      await Promise.all([...Array.from({ length: writers }, write), read()]);
      const missed = made.filter((record) => !seen.has(record));
      expect(
        missed.length === 0,
        `${missed.length} of ${made.length} changes were never seen by a reader that polled`,
      );
    },
  },
  {
    promise: "pages",
    title: "small pages bring every record, and come to an end",
    async run(steps) {
      if (!steps.wire.paged) throw new NotTried("this protocol has no pages");
      const records = new Set<string>();
      for (let n = 0; n < 5; n += 1) records.add((await steps.apply(steps.create())).record);
      const { rows } = await steps.pull(undefined, 2);
      for (const row of rows) records.delete(row.record ?? "");
      expect(records.size === 0, `${records.size} of 5 records were in no page`);
    },
  },
  {
    promise: "tombstones",
    title: "a deletion is in the feed, and is not undone",
    async run(steps) {
      const made = await steps.apply(steps.create());
      const cursor = await steps.here();
      const remove = steps.operation("delete", made.record, "", made.known);
      expect((await steps.one(remove)).kind === "applied", "a sound delete was not applied");
      const rows = await steps.rowsOf(made, cursor);
      expect(
        rows.some((row) => row.deleted),
        "a device that has pulled before is not told of a deletion",
      );
      const late = await steps.one(steps.operation("update", made.record, "Eve", made.known));
      expect(late.kind !== "applied", "an update of a stale version brought a deleted record back");
    },
  },
  {
    promise: "expiry",
    title: "a cursor that cannot be honoured gets 410",
    async run(steps) {
      const ask = steps.wire.expired;
      if (!ask) throw new NotTried("no such cursor can be made up on this protocol");
      const reply = await steps.setting.send(ask);
      expect(reply.status === 410, `it got ${status(reply)}`);
    },
  },
  {
    promise: "limits",
    title: "a request that is too large is refused as such, and has no effect",
    async run(steps) {
      const { count, status: wanted } = steps.wire.most;
      const many = Array.from({ length: count + 1 }, () => steps.create());
      const reply = await steps.setting.send(steps.wire.push(many));
      expect(
        reply.status === wanted,
        `${count + 1} operations got ${status(reply)} instead of ${wanted}`,
      );
      const big = steps.wire.push([steps.create("x".repeat(1_100_000))]);
      const refused = await steps.setting.send(big);
      expect(
        refused.status === 413,
        `a body of more than 1 MiB got ${status(refused)} instead of 413`,
      );
    },
  },
  {
    promise: "envelope",
    title: "what is not a request of the protocol gets 400 or 422, and what is not JSON 415",
    async run(steps) {
      const ask = steps.wire.push([]);
      const broken = await steps.setting.send({ ...ask, body: '{"half": ' });
      expect([400, 422].includes(broken.status), `half a body got ${status(broken)}`);
      const text = await steps.setting.send({
        ...ask,
        body: "{}",
        headers: { "content-type": "text/plain" },
      });
      expect(text.status === 415, `a body that is declared as text got ${status(text)}`);
    },
  },
  {
    promise: "digest",
    title: "a body that was changed on its way is refused",
    async run(steps) {
      if (!steps.wire.digest) throw new NotTried("this protocol has no digests");
      const wrong = `sha-256=:${"A".repeat(43)}=:`;
      const ask = { ...steps.wire.push([steps.create()]), headers: { "content-digest": wrong } };
      const reply = await steps.setting.send(ask);
      expect(reply.status === 400, `a body with a wrong Content-Digest got ${status(reply)}`);
    },
  },
  {
    promise: "browsers",
    title: "pages of other origins may call, and see when to come back",
    async run(steps) {
      const { path, method } = steps.wire.push([]);
      const origin = "https://conformance.example";
      const reply = await steps.setting.send({
        method: "OPTIONS",
        path,
        token: null,
        headers: {
          origin,
          "access-control-request-method": method,
          "access-control-request-headers": "authorization,content-type",
        },
      });
      expect(reply.status >= 200 && reply.status < 300, `the preflight got ${status(reply)}`);
      const allowed = reply.headers.get("access-control-allow-origin");
      expect(allowed === "*" || allowed === origin, `the preflight allows the origin ${allowed}`);
      const names = (reply.headers.get("access-control-allow-headers") ?? "").toLowerCase();
      for (const name of ["authorization", "content-type"]) {
        expect(names.includes(name), `the preflight does not allow the header ${name}`);
      }
      const error = await steps.setting.send({
        ...steps.wire.push([]),
        token: null,
        headers: { origin },
      });
      const exposed = (error.headers.get("access-control-expose-headers") ?? "").toLowerCase();
      expect(exposed.includes("retry-after"), "an error does not expose Retry-After");
    },
  },
  {
    promise: "tenants",
    title: "a user of another tenant sees nothing, and changes nothing",
    async run(steps) {
      const { other } = steps.setting;
      if (!other) throw new NotTried("give --other-token to try it");
      const made = await steps.apply(steps.create("mine"));
      const theirs = await steps.pull(undefined, 500, other);
      expect(
        !theirs.rows.some((row) => row.record === made.record),
        "another tenant reads the record",
      );
      await other(steps.wire.push([steps.operation("update", made.record, "stolen", made.known)]));
      const rows = await steps.rowsOf(made, undefined);
      expect(rows[0]?.name === "mine", "another tenant changed the record");
    },
  },
  {
    promise: "retry-after",
    title: "429 and 503 say when to come back",
    async run(steps) {
      const ask = async (): Promise<Reply> =>
        (await steps.wire.pull(steps.setting.send, undefined, 1)).reply;
      const replies = await Promise.all(Array.from({ length: steps.setting.burst }, ask));
      const busy = replies.filter((reply) => reply.status === 429 || reply.status === 503);
      if (busy.length === 0)
        throw new NotTried(`${steps.setting.burst} requests at once were all answered`);
      const silent = busy.filter((reply) => reply.headers.get("retry-after") === null);
      expect(
        silent.length === 0,
        `${silent.length} of ${busy.length} such answers had no Retry-After`,
      );
    },
  },
];

/** The names of the promises, in the order in which they are tried. */
export const PROMISES: readonly string[] = CHECKS.map((check) => check.promise);

/** Tries the promises, one after the other. */
export async function tryAll(
  setting: Setting,
  only: readonly string[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    if (only.length > 0 && !only.includes(check.promise)) continue;
    const { promise, title } = check;
    try {
      await check.run(new Steps({ ...setting, run: `${setting.run}-${promise}` }));
      findings.push({ promise, title, result: "kept" });
    } catch (error) {
      if (error instanceof NotTried)
        findings.push({ promise, title, result: "not-tried", says: error.message });
      else if (error instanceof Broken)
        findings.push({ promise, title, result: "broken", says: error.message });
      else throw error;
    }
  }
  return findings;
}
