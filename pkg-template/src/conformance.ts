#!/usr/bin/env node
/**
 * `npx holdfast-conformance --url URL --profile NAME --token TOKEN`: which promises a running backend keeps
 * (`docs/backend-guide.md`). It writes records of its own, so give it a tenant for tests.
 *
 * @module
 */

import { type Finding, PROMISES, tryAll } from "./conformance-checks.js";
import { sender } from "./conformance-http.js";
import { PROFILES, type ProfileName, wire } from "./conformance-wires.js";

declare const process: {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  exitCode: number;
};

const USAGE = `holdfast-conformance: which promises a running backend keeps

  npx holdfast-conformance --url URL --profile NAME [options]

  --url URL            what the client is given as baseUrl
  --profile NAME       ${PROFILES.join(", ")}
  --token TOKEN        a bearer token that may write; or HOLDFAST_TOKEN in the environment
  --other-token TOKEN  one of another tenant, to try that it sees nothing
  --collection NAME    the collection that is written to on the standard protocol; default conformance
  --burst N            requests at once, to see what too many get; default 50
  --only A,B           only these promises: ${PROMISES.join(", ")}
  --json               the findings as JSON

It writes records of its own. Exit codes: 0 every promise that was tried is kept, 1 one is broken, 2 wrong usage or no backend.
`;

interface Options {
  readonly url: string;
  readonly profile: ProfileName;
  readonly token: string | undefined;
  readonly other: string | undefined;
  readonly collection: string;
  readonly burst: number;
  readonly only: readonly string[];
  readonly json: boolean;
}

class Usage extends Error {}

function parse(words: readonly string[]): Options | "help" {
  const values = new Map<string, string>();
  const named = [
    "--url",
    "--profile",
    "--token",
    "--other-token",
    "--collection",
    "--burst",
    "--only",
  ];
  let json = false;
  for (let place = 0; place < words.length; place += 1) {
    const name = words[place] as string;
    if (name === "--help" || name === "-h") return "help";
    if (name === "--json") {
      json = true;
      continue;
    }
    if (!named.includes(name)) throw new Usage(`unknown argument ${name}`);
    place += 1;
    const value = words[place];
    if (value === undefined) throw new Usage(`${name} needs a value`);
    values.set(name, value);
  }
  const url = values.get("--url");
  if (url === undefined || !URL.canParse(url)) throw new Usage("--url: an address is needed");
  const profile = PROFILES.find((known) => known === values.get("--profile"));
  if (profile === undefined) throw new Usage(`--profile: one of ${PROFILES.join(", ")} is needed`);
  const burst = Number(values.get("--burst") ?? 50);
  if (!Number.isInteger(burst) || burst < 1 || burst > 1000) throw new Usage("--burst: 1 to 1000");
  const only = values.get("--only")?.split(",") ?? [];
  const unknown = only.find((name) => !PROMISES.includes(name));
  if (unknown !== undefined) throw new Usage(`--only: there is no promise ${unknown}`);
  return {
    url,
    profile,
    token: values.get("--token") ?? process.env["HOLDFAST_TOKEN"],
    other: values.get("--other-token"),
    collection: values.get("--collection") ?? "conformance",
    burst,
    only,
    json,
  };
}

function printed(findings: readonly Finding[]): string {
  const words = { kept: "kept", broken: "BROKEN", "not-tried": "not tried" };
  const lines = findings.map(({ promise, title, result, says }) => {
    const why = says === undefined ? "" : `\n${" ".repeat(28)}${says}`;
    return `${words[result].padEnd(11)}${promise.padEnd(17)}${title}${why}`;
  });
  const count = (result: Finding["result"]): number =>
    findings.filter((f) => f.result === result).length;
  const sum = `${count("kept")} kept, ${count("broken")} broken, ${count("not-tried")} not tried`;
  return `${lines.join("\n")}\n\n${sum}\n`;
}

async function main(): Promise<number> {
  const options = parse(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(USAGE);
    return 0;
  }
  const { url, profile, token, other, burst, only } = options;
  const run = `c${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const send = sender(url, token);
  const protocol = wire(profile, run, options.collection);
  const first = await protocol.pull(send, undefined, 1);
  if (first.reply.status === 0) throw new Usage(`${url} does not answer`);
  const setting = {
    profile,
    wire: protocol,
    send,
    other: other ? sender(url, other) : undefined,
    run,
    burst,
  };
  const findings = await tryAll(setting, only);
  process.stdout.write(
    options.json ? `${JSON.stringify({ profile, findings })}\n` : printed(findings),
  );
  return findings.some((finding) => finding.result === "broken") ? 1 : 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (!(error instanceof Usage)) throw error;
    process.stderr.write(`holdfast-conformance: ${error.message}\n\n${USAGE}`);
    process.exitCode = 2;
  },
);
