import { HoldfastError } from "./errors.js";
import type { Code } from "./types.js";

/** How large a value may be. Bytes are UTF-8 bytes of the text. */
export interface Limits {
  readonly depth: number;
  readonly keyBytes: number;
  readonly stringBytes: number;
  readonly totalBytes: number;
}

/** What a document may be: 64 levels, keys of 256 B, strings of 1 MiB, 256 KiB in all. */
export const DOCUMENT: Limits = {
  depth: 64,
  keyBytes: 256,
  stringBytes: 1_048_576,
  totalBytes: 262_144,
};

/** What the answer of a custom remote may be: documents inside of an envelope, 8 MiB in all. */
export const ANSWER: Limits = { ...DOCUMENT, depth: DOCUMENT.depth + 4, totalBytes: 8_388_608 };

/** Half of a character that takes two code units. */
export const LONE_SURROGATE: RegExp = /[\uD800-\uDFFF]/u;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

type Step = string | number;

/**
 * The JSON text of a plain object, made in one walk that reads every member once. `JSON.stringify` would change what it can
 * not say (`NaN` to `null`, a `Map` to `{}`) or ask `toJSON`; here it is refused, with the place where it stands.
 *
 * Members that are `undefined` are left out, and `-0` becomes `0`.
 */
export function objectText(value: unknown, limits: Limits = DOCUMENT): string {
  const path: Step[] = [];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refusal("invalid-value", "a document is an object", path);
  }
  let text: string | undefined;
  try {
    text = write(value, limits, path, []);
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw refusal("invalid-value", "reading the value threw", path, error);
  }
  if (bytesExceed(text, limits.totalBytes)) {
    throw refusal("too-large", `the value has more than ${limits.totalBytes} bytes`, []);
  }
  return text;
}

function write(value: unknown, limits: Limits, path: Step[], inside: object[]): string {
  switch (typeof value) {
    case "string":
      return string(value, limits, path);
    case "number":
      return number(value, path);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      return value === null ? "null" : container(value, limits, path, inside);
    default:
      throw refusal("invalid-value", `${typeof value} is not JSON`, path);
  }
}

function container(value: object, limits: Limits, path: Step[], inside: object[]): string {
  if (inside.includes(value)) throw refusal("invalid-value", "the value contains itself", path);
  if (inside.length >= limits.depth) {
    throw refusal("too-large", `more than ${limits.depth} levels deep`, path);
  }
  inside.push(value);
  const text = Array.isArray(value)
    ? array(value, limits, path, inside)
    : object(value, limits, path, inside);
  inside.pop();
  return text;
}

function array(value: readonly unknown[], limits: Limits, path: Step[], inside: object[]): string {
  let text = "[";
  for (let index = 0; index < value.length; index += 1) {
    path.push(index);
    text += (index === 0 ? "" : ",") + write(value[index], limits, path, inside);
    path.pop();
  }
  return `${text}]`;
}

function object(value: object, limits: Limits, path: Step[], inside: object[]): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm (an iframe) has another Object.prototype, which is the end of its chain all the same.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw refusal("invalid-value", `${nameOf(value)} is not JSON`, path);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw refusal("invalid-value", "a symbol as a key is not JSON", path);
  }
  let text = "{";
  for (const key of Object.keys(value)) {
    path.push(key);
    const member: unknown = (value as Record<string, unknown>)[key];
    if (member !== undefined) {
      if (LONE_SURROGATE.test(key))
        throw refusal("invalid-value", "a key with half a character", path);
      if (bytesExceed(key, limits.keyBytes)) {
        path.pop();
        throw refusal("too-large", `a key has more than ${limits.keyBytes} bytes`, path);
      }
      if (text.length > 1) text += ",";
      text += `${JSON.stringify(key)}:${write(member, limits, path, inside)}`;
    }
    path.pop();
  }
  return `${text}}`;
}

function string(value: string, limits: Limits, path: Step[]): string {
  if (LONE_SURROGATE.test(value)) {
    throw refusal("invalid-value", "half a character (a lone surrogate) is not text", path);
  }
  if (bytesExceed(value, limits.stringBytes)) {
    throw refusal("too-large", `a string has more than ${limits.stringBytes} bytes`, path);
  }
  return JSON.stringify(value);
}

function number(value: number, path: Step[]): string {
  if (!Number.isFinite(value)) throw refusal("invalid-value", `${value} is not JSON`, path);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw refusal("invalid-value", "an integer beyond 2^53 is not exact; use a string", path);
  }
  return String(value);
}

function nameOf(value: object): string {
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" ? name : "an object with a prototype";
}

/** Whether the text has more than `limit` UTF-8 bytes; counts only where the length leaves it open. */
function bytesExceed(text: string, limit: number): boolean {
  if (text.length * 3 <= limit) return false;
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800 || (unit >= 0xd800 && unit < 0xe000)) bytes += 2;
    else bytes += 3;
    if (bytes > limit) return true;
  }
  return false;
}

/** `["items", 2, "price"]` as `items[2].price`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (typeof step === "string" && IDENTIFIER.test(step))
      text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text;
}

function refusal(code: Code, why: string, path: readonly Step[], cause?: unknown): HoldfastError {
  const place = pathText(path);
  return new HoldfastError(code, place === "" ? why : `${place}: ${why}`, {
    path: place === "" ? undefined : place,
    cause,
  });
}
