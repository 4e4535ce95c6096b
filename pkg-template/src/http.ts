import type { DoorCallbacks, HttpHead, TokenReason } from "./door.js";
import { HoldfastError, report } from "./errors.js";
import type { OpenOptions, SignedRequest } from "./types.js";

/** A token of the application; `null` where it could not give one. Never throws. */
export type TokenSource = (
  reason: TokenReason,
  signal: AbortSignal,
) => Promise<string | undefined | null>;

/** The headers that the application signs a request with; `null` where it could not. Never throws. */
type Signer = (
  request: SignedRequest,
  signal: AbortSignal,
) => Promise<Readonly<Record<string, string>> | null>;

type Bytes = Uint8Array<ArrayBuffer>;

/** What may stand in a header: the visible characters of ASCII. */
const VISIBLE = /^[\x21-\x7e]+$/;
const SHA_256 = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]+={0,2}):/;

/** What the core needs around an HTTP request: token, coding, digest and signature before it, the digest of the answer after. */
export function httpCallbacks(
  token: TokenSource,
  signer: Signer | undefined,
): Pick<DoorCallbacks, "pack" | "intact"> {
  return {
    pack: async (text, body, signal) => {
      const head = JSON.parse(text) as HttpHead;
      const headers = new Headers({ Accept: "application/json" });
      if (!authorize(headers, await token(head.reason, signal))) return null;
      const bytes = body === undefined ? undefined : await coded(body, head.gzipFrom, headers);
      if (head.key !== undefined) headers.set("Idempotency-Key", head.key);
      if (head.ifNoneMatch !== undefined) headers.set("If-None-Match", head.ifNoneMatch);
      if (bytes && (head.digest || signer)) await describe(bytes, headers);
      if (signer && !(await sign(head, headers, signer, signal))) return null;
      return [bytes, ...[...headers].flat()];
    },
    intact: async (digest, bytes) => {
      const told = SHA_256.exec(digest)?.[1];
      const known = told === undefined ? undefined : await sha256(bytes);
      return known === undefined || known === told;
    },
  };
}

/** Whether there is a token that can be one, or the application wants none. */
function authorize(headers: Headers, token: string | undefined | null): boolean {
  if (token === undefined) return true;
  if (token === null || !VISIBLE.test(token)) return false;
  headers.set("Authorization", `Bearer ${token}`);
  return true;
}

/** The bytes that leave. A platform that cannot compress sends them as they are. */
async function coded(text: string, gzipFrom: number | undefined, headers: Headers): Promise<Bytes> {
  headers.set("Content-Type", "application/json");
  const plain = new TextEncoder().encode(text);
  if (gzipFrom === undefined || plain.length < gzipFrom) return plain;
  if (typeof CompressionStream !== "function") return plain;
  const zipped = new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"));
  headers.set("Content-Encoding", "gzip");
  return new Uint8Array(await new Response(zipped).arrayBuffer());
}

/** Says what the bytes are. Outside of secure contexts the platform cannot tell. */
async function describe(body: Bytes, headers: Headers): Promise<void> {
  const digest = await sha256(body);
  if (digest !== undefined) headers.set("Content-Digest", `sha-256=:${digest}:`);
}

async function sha256(bytes: Bytes): Promise<string | undefined> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (!subtle) return undefined;
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  return btoa(String.fromCharCode(...digest));
}

async function sign(
  { method, url }: HttpHead,
  headers: Headers,
  signer: Signer,
  signal: AbortSignal,
): Promise<boolean> {
  const given = await signer({ method, url, headers: Object.fromEntries(headers) }, signal);
  for (const [name, value] of Object.entries(given ?? {})) headers.set(name, value);
  return given !== null;
}

/** The application's `getToken`: what it throws is reported, and what it gives is checked. */
export function tokenSource(getToken: OpenOptions<Record<never, never>>["getToken"]): TokenSource {
  return async (reason, signal) => {
    try {
      const token = await getToken?.({ reason, signal });
      if (token === undefined || typeof token === "string") return token;
      report(invalid("getToken", "a string or undefined is needed"));
    } catch (error) {
      report(error);
    }
    return null;
  };
}

/** The application's `signRequest`, likewise. */
export function requestSigner(
  signRequest: OpenOptions<Record<never, never>>["signRequest"],
): Signer | undefined {
  if (!signRequest) return undefined;
  return async (request, signal) => {
    try {
      const headers: unknown = await signRequest(request, { signal });
      if (isHeaders(headers)) return headers;
      report(invalid("signRequest", "an object of header texts is needed"));
    } catch (error) {
      report(error);
    }
    return null;
  };
}

function isHeaders(given: unknown): given is Readonly<Record<string, string>> {
  if (typeof given !== "object" || given === null) return false;
  try {
    // The platform knows best what may be a header.
    new Headers(given as Record<string, string>);
  } catch {
    return false;
  }
  return Object.values(given).every((value) => typeof value === "string");
}

function invalid(place: string, need: string): HoldfastError {
  return new HoldfastError("invalid-options", `${place}: ${need}`, { path: place });
}
