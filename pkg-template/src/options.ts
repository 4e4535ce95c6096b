import type { DoorCollection, DoorOptions, DoorRemote } from "./door.js";
import { HoldfastError } from "./errors.js";
import { isScope } from "./scopes.js";
import type {
  CollectionOptions,
  ConflictPolicies,
  ConflictPolicy,
  Documents,
  Monotonic,
  OpenOptions,
  OutboxLimits,
  Remote,
} from "./types.js";

const COLLECTION = /^[A-Za-z0-9_-]{1,64}$/;
const POLICIES: readonly unknown[] = [
  "server-wins",
  "client-wins",
  "last-write-wins",
  "merge",
  "callback",
  "manual",
];
const KINDS = ["updateUpdate", "updateDelete", "deleteUpdate", "createCreate"] as const;
const RULES: readonly unknown[] = [
  "server",
  "client",
  "lww",
  "set",
  "counter",
  "max",
  "min",
  "append",
  "manual",
];
const PRIORITIES: readonly unknown[] = ["high", "normal", "low"];

/** The options as the core takes them: checked (an application in plain JavaScript has no types), complete, plain data. */
export function doorOptions<D extends Documents<D>>(options: OpenOptions<D>): DoorOptions {
  if (typeof options !== "object" || options === null) refuse("options", "an object is needed");
  const { name, user, tenant, collections, durability = "strict", allowMemory = false } = options;
  identity("name", name);
  if (user !== undefined) identity("user", user);
  if (tenant !== undefined) identity("tenant", tenant);
  if (typeof collections !== "object" || collections === null)
    refuse("collections", "an object is needed");
  const names = Object.keys(collections);
  if (names.length === 0) refuse("collections", "at least one is needed");
  if (durability !== "strict" && durability !== "relaxed")
    refuse("durability", '"strict" or "relaxed"');
  if (options.getToken !== undefined && typeof options.getToken !== "function")
    refuse("getToken", "a function is needed");
  if (options.signRequest !== undefined && typeof options.signRequest !== "function")
    refuse("signRequest", "a function is needed");
  if (options.onConflict !== undefined && typeof options.onConflict !== "function")
    refuse("onConflict", "a function is needed");
  return {
    name,
    ...(user === undefined ? {} : { user }),
    ...(tenant === undefined ? {} : { tenant }),
    remote: doorRemote(options.remote),
    resolver: options.onConflict !== undefined,
    collections: Object.entries<CollectionOptions>(collections).map(([key, value]) =>
      doorCollection(key, withDefaults(value, options.remote, key), names),
    ),
    relaxed: durability === "relaxed",
    allowMemory: allowMemory === true,
    ...times(options),
    ...(options.scopes === undefined ? {} : { scopes: scopes(options.scopes) }),
    ...outboxLimits(options.limits),
  };
}

function times({
  remote,
  syncEvery = remote.kind === "rest" ? remote.syncEvery : undefined,
  evictAfter,
}: Pick<OpenOptions<never>, "remote" | "syncEvery" | "evictAfter">): Partial<DoorOptions> {
  for (const [name, value] of Object.entries({ syncEvery, evictAfter })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      refuse(name, "a whole number of ms");
  }
  return {
    ...(syncEvery === undefined ? {} : { syncEvery }),
    ...(evictAfter === undefined ? {} : { evictAfter }),
  };
}

function scopes(given: unknown): readonly string[] {
  if (!Array.isArray(given)) refuse("scopes", "a list of texts");
  for (const [at, scope] of given.entries()) {
    if (!isScope(scope)) refuse(`scopes[${at}]`, "a text of 1 to 128 characters");
  }
  return given;
}

function outboxLimits(limits: OutboxLimits | undefined): Partial<DoorOptions> {
  if (limits === undefined) return {};
  if (typeof limits !== "object" || limits === null) refuse("limits", "an object is needed");
  const { operations, bytes } = limits;
  for (const [name, value] of Object.entries({ operations, bytes })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      refuse(`limits.${name}`, "a whole number, 1 or more");
  }
  return {
    ...(operations === undefined ? {} : { maxOperations: operations }),
    ...(bytes === undefined ? {} : { maxBytes: bytes }),
  };
}

/** What a described backend says of a collection holds where the application says nothing of its own. */
function withDefaults(given: CollectionOptions, remote: Remote, name: string): CollectionOptions {
  const theirs = remote?.kind === "rest" ? remote.collections?.[name] : undefined;
  if (theirs === undefined || typeof given !== "object" || given === null) return given;
  return { ...theirs, ...given, fields: { ...theirs.fields, ...given.fields } };
}

function doorCollection(
  name: string,
  options: CollectionOptions,
  names: readonly string[],
): DoorCollection {
  const place = `collections.${name}`;
  if (!COLLECTION.test(name)) refuse(place, "a name has 1 to 64 letters, digits, - or _");
  if (typeof options !== "object" || options === null) refuse(place, "an object is needed");
  const {
    conflicts = "merge",
    references = {},
    coalesce = true,
    priority = "normal",
    idField,
  } = options;
  if (!PRIORITIES.includes(priority)) refuse(`${place}.priority`, '"high", "normal" or "low"');
  if (idField !== undefined && typeof idField !== "string")
    refuse(`${place}.idField`, "the name of a member");
  if (options.schema !== undefined && typeof options.schema["~standard"]?.validate !== "function") {
    refuse(`${place}.schema`, "a Standard Schema validator is needed");
  }
  return {
    name,
    conflicts: doorPolicies(`${place}.conflicts`, conflicts),
    fields: doorFields(`${place}.fields`, options.fields ?? {}),
    references: Object.entries(references).map(([field, collection]) => {
      if (!names.includes(collection as string))
        refuse(`${place}.references.${field}`, "names no collection of these");
      return { field, collection: collection as string };
    }),
    coalesce: coalesce !== false,
    checked: options.schema !== undefined,
    priority,
    indexes: doorIndexes(`${place}.indexes`, options.indexes ?? []),
  };
}

function doorIndexes(place: string, given: readonly string[]): readonly string[] {
  if (!Array.isArray(given) || given.length > 32) refuse(place, "a list of at most 32 members");
  for (const [index, name] of given.entries()) {
    if (typeof name !== "string") refuse(`${place}.${index}`, "the name of a member");
  }
  return given;
}

function doorPolicies(
  place: string,
  given: ConflictPolicy | ConflictPolicies,
): Required<ConflictPolicies> {
  const policy = (at: string, one: ConflictPolicy): ConflictPolicy =>
    POLICIES.includes(one) ? one : refuse(at, `one of ${POLICIES.join(", ")}`);
  const each: ConflictPolicies =
    typeof given === "object" && given !== null
      ? given
      : Object.fromEntries(KINDS.map((kind) => [kind, policy(place, given)]));
  for (const kind of Object.keys(each)) {
    if (!(KINDS as readonly string[]).includes(kind))
      refuse(`${place}.${kind}`, `a kind is one of ${KINDS.join(", ")}`);
  }
  const of = (kind: (typeof KINDS)[number]) => policy(`${place}.${kind}`, each[kind] ?? "merge");
  return {
    updateUpdate: of("updateUpdate"),
    updateDelete: of("updateDelete"),
    deleteUpdate: of("deleteUpdate"),
    createCreate: of("createCreate"),
  };
}

function doorFields(place: string, fields: object): DoorCollection["fields"] {
  if (typeof fields !== "object" || fields === null) refuse(place, "an object is needed");
  return Object.entries<unknown>({ ...fields })
    .filter(([, rule]) => rule !== undefined)
    .map(([name, rule]) => {
      if (RULES.includes(rule)) return { name, rule: rule as string };
      const steps = isMonotonic(rule) ? rule.steps : undefined;
      const sound =
        steps !== undefined &&
        steps.length > 0 &&
        new Set(steps).size === steps.length &&
        steps.every((step) => typeof step === "string");
      if (!sound) {
        refuse(
          `${place}.${name}`,
          `one of ${RULES.join(", ")}, or monotonic([...different texts])`,
        );
      }
      return { name, rule: "monotonic", steps: [...steps] };
    });
}

function isMonotonic(rule: unknown): rule is Monotonic {
  const given = rule as Monotonic | null | undefined;
  return given?.rule === "monotonic" && Array.isArray(given.steps);
}

/**
 * The rule of a field whose value only moves forward in these steps: where two devices changed it, the further one stands.
 *
 * @example
 * const status = monotonic(["open", "paid", "served"]);
 */
export function monotonic<const S extends string>(steps: readonly S[]): Monotonic<S> {
  return { rule: "monotonic", steps };
}

function doorRemote(remote: Remote): DoorRemote {
  if (remote?.kind === "custom") {
    if (typeof remote.push !== "function" || typeof remote.pull !== "function") {
      refuse("remote", "push and pull are functions");
    }
    const {
      groups = false,
      wholeRecord = false,
      versions = false,
      times = false,
    } = remote.capabilities ?? {};
    return { groups, wholeRecord, versions, times };
  }
  if (remote?.kind !== "standard" && remote?.kind !== "rest")
    refuse("remote", "made by standard(...), rest(...), a preset or defineRemote(...)");
  const { timeout } = remote;
  if (timeout !== undefined && !(Number.isSafeInteger(timeout) && timeout > 0)) {
    refuse("remote.timeout", "a whole number of ms");
  }
  const door = { baseUrl: baseUrl(remote.baseUrl), ...(timeout === undefined ? {} : { timeout }) };
  if (remote.kind === "standard") {
    const { gzip = false, digest = false } = remote;
    return { ...door, gzip, digest };
  }
  const { profile, scope } = remote;
  if (typeof profile !== "object" || profile === null)
    refuse("remote.profile", "an object is needed");
  if (scope !== undefined && (typeof scope !== "string" || scope === ""))
    refuse("remote.scope", "a string that is not empty");
  return { ...door, profile, ...(scope === undefined ? {} : { scope }) };
}

/** The address in full, without a slash at the end. A password in it would end up in logs. */
function baseUrl(given: unknown): string {
  const page = typeof document === "object" ? document.baseURI : globalThis.location?.href;
  let url: URL;
  try {
    url = new URL(String(given), page);
  } catch {
    refuse("remote.baseUrl", "an address, absolute or relative to the page");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    refuse("remote.baseUrl", "http or https");
  if (url.username !== "" || url.password !== "")
    refuse("remote.baseUrl", "no user name and password in an address");
  if (url.search !== "" || url.hash !== "") refuse("remote.baseUrl", "no ? and # in it");
  return url.href.replace(/\/+$/, "");
}

function identity(place: string, value: unknown): void {
  if (typeof value !== "string" || value === "" || value.length > 64)
    refuse(place, "a string of 1 to 64 characters");
}

function refuse(place: string, need: string): never {
  throw new HoldfastError("invalid-options", `${place}: ${need}`, { path: place });
}
