/**
 * What the conformance test needs of HTTP: one request, and what came back as data.
 *
 * @module
 */

/** A value of JSON. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A request, relative to the address of the backend. */
export interface Ask {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  readonly path: string;
  readonly body?: Json | string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `null` sends none; left out: the one of the run. */
  readonly token?: string | null;
}

/** An answer. `status` is 0 where there was none. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, if it is JSON and declared as such. */
  readonly json: Json | undefined;
}

/** Sends a request; never throws. */
export type Send = (ask: Ask) => Promise<Reply>;

const SECONDS = 30;

/** A sender for one backend and one token. */
export function sender(url: string, token: string | undefined): Send {
  const base = url.replace(/\/+$/, "");
  return async (ask) => {
    const headers = new Headers(ask.headers);
    const bearer = ask.token === undefined ? token : ask.token;
    if (bearer) headers.set("authorization", `Bearer ${bearer}`);
    const init: RequestInit = {
      method: ask.method,
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(SECONDS * 1000),
    };
    if (ask.body !== undefined) {
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      init.body = typeof ask.body === "string" ? ask.body : JSON.stringify(ask.body);
    }
    try {
      const response = await fetch(base + ask.path, init);
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: parse(response, text),
      };
    } catch {
      return { status: 0, headers: new Headers(), text: "", json: undefined };
    }
  };
}

function parse(response: Response, text: string): Json | undefined {
  const media = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (media !== "application/json" && !media.endsWith("+json")) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** The value at a path of member names and places; `undefined` where there is none. */
export function at(
  value: Json | undefined,
  ...path: readonly (string | number)[]
): Json | undefined {
  let here: Json | undefined = value;
  for (const step of path) {
    if (Array.isArray(here) && typeof step === "number") here = here[step];
    else if (here !== null && typeof here === "object" && !Array.isArray(here))
      here = here[String(step)];
    else return undefined;
  }
  return here;
}

/** A list, or none. */
export function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

/** A text or a number as text. */
export function word(value: Json | undefined): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
