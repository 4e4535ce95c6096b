import type { DoorCallbacks } from "./door.js";
import { HoldfastError, report, toHoldfastError } from "./errors.js";
import { pathText } from "./json.js";
import type { CollectionOptions, Id, JsonObject, StandardSchema } from "./types.js";

/** Runs a Standard Schema validator and returns its output, which may have defaults filled in. */
export async function validate<T>(schema: StandardSchema<T>, value: unknown): Promise<T> {
  const result = await schema["~standard"].validate(value);
  if (!result.issues) return result.value;
  const issue = result.issues[0];
  const path = pathText(
    (issue?.path ?? []).map((step) => (typeof step === "object" ? step.key : step)),
  );
  const why = issue?.message ?? "the schema refuses it";
  throw new HoldfastError("invalid-value", path === "" ? why : `${path}: ${why}`, {
    path: path === "" ? undefined : path,
  });
}

/** The schemas of an application, by collection. */
export type Schemas = ReadonlyMap<string, StandardSchema<unknown>>;

/** The schemas of the collections that have one. */
export function schemasOf(collections: object): Schemas {
  const entries = Object.entries<CollectionOptions>({ ...collections });
  return new Map(entries.flatMap(([name, { schema }]) => (schema ? [[name, schema]] : [])));
}

/** What a pull brought, as the core shows it. */
interface Pulled {
  readonly collection: string;
  readonly id: Id;
  readonly document: JsonObject;
}

/**
 * The schemas of an application as the core asks them about a page that was pulled. A document that one refuses, or that makes it
 * throw, is named by its place; the application hears of all of them in one report. The output is not kept: what a record is, its
 * server says.
 */
export function checkCallback(schemas: Schemas): DoorCallbacks["check"] {
  return async (text) => {
    const refused: number[] = [];
    let first: HoldfastError | undefined;
    for (const [place, pulled] of (JSON.parse(text) as Pulled[]).entries()) {
      const { collection, id, document } = pulled;
      const schema = schemas.get(collection);
      try {
        if (schema) await validate(schema, document);
      } catch (error) {
        refused.push(place);
        first ??= pulledError(`${collection}/${id}`, error);
      }
    }
    if (first) report(first);
    return JSON.stringify(refused);
  };
}

function pulledError(record: string, cause: unknown): HoldfastError {
  const { message, path } = toHoldfastError(cause);
  const why = `${record}: the schema refuses what the server has, and it is kept aside: ${message}`;
  return new HoldfastError("invalid-value", why, {
    path: path === undefined ? record : `${record}/${path}`,
    cause,
  });
}

/** `target` with an RFC 7396 merge patch applied, for the validator to look at. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else if (value !== undefined) merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
