import { HoldfastError } from "./errors.js";
import { pathText } from "./json.js";
import type { StandardSchema } from "./types.js";

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
