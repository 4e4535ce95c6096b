import type { DoorCallbacks, TokenReason } from "./door.js";
import { report } from "./errors.js";
import type { TokenSource } from "./http.js";
import { ANSWER, objectText } from "./json.js";
import type {
  PullRequest,
  PushBatch,
  Remote,
  RemoteContext,
  RemoteFailure,
  RemoteFunctions,
  StandardOptions,
} from "./types.js";

/**
 * A backend that speaks Holdfast's own protocol, over HTTP.
 *
 * @example
 * const remote = standard({ baseUrl: "/api" });   // POST /api/push, GET /api/pull
 */
export function standard(options: StandardOptions): Remote {
  return { kind: "standard", ...options };
}

/**
 * A backend behind two functions of your own, for a protocol that nothing else fits.
 *
 * @example
 * const remote = defineRemote({
 *   async push(batch, { token, signal }) {
 *     return { outcomes: await Promise.all(batch.operations.map((operation) => save(operation, token, signal))) };
 *   },
 *   async pull({ cursor, limit }, { signal }) {
 *     return await changesSince(cursor, limit, signal);
 *   },
 * });
 */
export function defineRemote(functions: RemoteFunctions): Remote {
  return { ...functions, kind: "custom", push: functions.push, pull: functions.pull };
}

/** The two functions as the core calls them: JSON text in and out, a throw told apart from an answer. */
export function remoteCallbacks(
  remote: Remote,
  getToken: TokenSource,
): Pick<DoorCallbacks, "push" | "pull"> {
  if (remote.kind !== "custom") {
    const none = (): Promise<string> => Promise.resolve('{"halt":"misconfigured"}');
    return { push: none, pull: none };
  }
  const told = new Set<string>();
  const answer = async (
    ask: (context: RemoteContext) => Promise<unknown>,
    reason: TokenReason,
    signal: AbortSignal,
  ): Promise<string> => {
    const token = await getToken(reason, signal);
    if (token === null) return '{"halt":"no-token"}';
    let given: unknown;
    try {
      given = await ask(token === undefined ? { signal } : { token, signal });
    } catch (thrown) {
      return failureText(thrown, told);
    }
    try {
      return objectText(given, ANSWER);
    } catch (error) {
      report(error);
      return '{"halt":"protocol"}';
    }
  };
  return {
    push: (batch, reason, signal) =>
      answer((context) => remote.push(JSON.parse(batch) as PushBatch, context), reason, signal),
    pull: (request, reason, signal) =>
      answer((context) => remote.pull(JSON.parse(request) as PullRequest, context), reason, signal),
  };
}

/** Anything thrown that is no {@link RemoteFailure} reads as "unreachable", which is also what a mistake looks like: told once. */
function failureText(thrown: unknown, told: Set<string>): string {
  if (isRemoteFailure(thrown)) return JSON.stringify({ halt: thrown.halt, after: thrown.after });
  const message = String(thrown);
  if (!told.has(message) && told.size < 8) {
    told.add(message);
    console.warn("holdfast: the remote threw, which counts as unreachable:", thrown);
  }
  return '{"halt":"unreachable"}';
}

function isRemoteFailure(thrown: unknown): thrown is RemoteFailure {
  return (
    typeof thrown === "object" &&
    thrown !== null &&
    "halt" in thrown &&
    typeof thrown.halt === "string"
  );
}
