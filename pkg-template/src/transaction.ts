import { checkId, receiptOf, sameId } from "./collection.js";
import type { Core } from "./core.js";
import { HoldfastError, isHoldfastError, throwIfAborted } from "./errors.js";
import { objectText } from "./json.js";
import { mergePatch, validate } from "./schema.js";
import type {
  Abortable,
  CollectionOptions,
  Entity,
  Id,
  MemberCreateOptions,
  MemberOptions,
  MergePatch,
  Receipt,
  TransactionCollection,
} from "./types.js";

/** One write of a transaction, as it was at the moment of the call. */
interface Member {
  readonly collection: string;
  readonly kind: "create" | "patch" | "replace" | "remove";
  readonly id: Id;
  readonly priority: string | undefined;
  /** Text of the document or the patch. */
  content: string | undefined;
}

/** Runs the callback of a transaction, checks what it recorded and has it stored, all or none. */
export async function transact(
  core: Core,
  collections: Iterable<readonly [string, CollectionOptions]>,
  callback: (tx: never) => void,
  { signal }: Abortable,
): Promise<readonly Receipt[]> {
  throwIfAborted(signal);
  const declared = new Map(collections);
  const members: Member[] = [];
  let open = true;
  const record = (make: () => Member): Id => {
    if (!open) {
      const late = "the transaction is over: what it writes is recorded while its callback runs";
      throw new HoldfastError("invalid-value", late, { path: "callback" });
    }
    return within(members.length, () => {
      const member = make();
      members.push(member);
      return member.id;
    });
  };
  const tx = Object.fromEntries(
    [...declared].map(([name, given]) => [name, recorder(core, name, given, record)]),
  );
  let returned: unknown;
  try {
    returned = (callback as (tx: unknown) => unknown)(tx);
  } catch (thrown) {
    if (isHoldfastError(thrown)) throw thrown;
    throw new HoldfastError("aborted", "the callback of the transaction threw", { cause: thrown });
  } finally {
    open = false;
  }
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then === "function") {
    // Whatever it comes to: it is told here that it should not wait.
    Promise.resolve(returned).catch(() => {});
    const message = "the callback of a transaction cannot wait: nothing was stored";
    throw new HoldfastError("invalid-value", message, { path: "callback" });
  }
  if (members.length === 0) return [];
  await check(core, declared, members, signal);
  const text = `[${members.map(memberText).join(",")}]`;
  const stored = await core.call((door) => door.transaction(text), signal);
  return (JSON.parse(stored) as { id: Id; opId: string }[]).map((one) => receiptOf(core, one));
}

function recorder(
  core: Core,
  collection: string,
  { idField }: CollectionOptions,
  record: (make: () => Member) => Id,
): TransactionCollection<unknown> {
  const write = (
    kind: Member["kind"],
    id: Id,
    value: unknown,
    { priority }: MemberOptions = {},
  ): void => {
    record(() => {
      checkId(id);
      let content = value === undefined ? undefined : objectText(value);
      if (content !== undefined && idField !== undefined) {
        const inside = JSON.parse(content) as Record<string, unknown>;
        sameId(idField, inside[idField], id);
        if (kind === "replace") content = objectText({ ...inside, [idField]: id });
      }
      return { collection, kind, id, priority, content };
    });
  };
  return {
    create: (document: unknown, { id, priority }: MemberCreateOptions = {}) =>
      record(() => {
        let content = objectText(document);
        const value = JSON.parse(content) as Record<string, unknown>;
        const inside = idField === undefined ? undefined : value[idField];
        const given = id ?? inside ?? core.ask((door) => door.new_id());
        checkId(given, id === undefined && idField !== undefined ? idField : "id");
        if (idField !== undefined) {
          sameId(idField, inside, given);
          content = objectText({ ...value, [idField]: given });
        }
        return { collection, kind: "create", id: given, priority, content };
      }),
    patch: (id: Id, patch: MergePatch<unknown>, options?: MemberOptions) =>
      write("patch", id, patch ?? null, options),
    replace: (id: Id, document: unknown, options?: MemberOptions) =>
      write("replace", id, document ?? null, options),
    remove: (id: Id, options?: MemberOptions) => write("remove", id, undefined, options),
  };
}

/** Has the schemas look at the members, each over what those before it make of its record. */
async function check(
  core: Core,
  declared: ReadonlyMap<string, CollectionOptions>,
  members: readonly Member[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const made = new Map<string, unknown>();
  for (const [index, member] of members.entries()) {
    const schema = declared.get(member.collection)?.schema;
    if (!schema) continue;
    const { collection, id, content } = member;
    const key = JSON.stringify([collection, id]);
    const value: unknown = content === undefined ? undefined : JSON.parse(content);
    if (member.kind === "patch") {
      if (!made.has(key)) {
        const text = await core.call((door) => door.get(collection, id), signal);
        made.set(
          key,
          text === undefined ? undefined : (JSON.parse(text) as Entity<unknown>).document,
        );
      }
      const before = made.get(key);
      if (before === undefined) continue;
      const merged = mergePatch(before, value);
      await within(index, () => validate(schema, merged));
      made.set(key, merged);
    } else if (member.kind === "remove") {
      made.set(key, undefined);
    } else {
      const whole = await within(index, () => validate(schema, value));
      member.content = within(index, () => objectText(whole));
      made.set(key, JSON.parse(member.content));
    }
  }
}

/** Runs what is about one member; an error says which. */
function within<R>(index: number, run: () => R): R {
  const named = (thrown: unknown): never => {
    if (!isHoldfastError(thrown)) throw thrown;
    const path = `members/${index}${thrown.path === undefined ? "" : `/${thrown.path}`}`;
    throw new HoldfastError(thrown.code, thrown.message, { path, cause: thrown.cause });
  };
  try {
    const result = run();
    return result instanceof Promise ? (result.catch(named) as R) : result;
  } catch (thrown) {
    return named(thrown);
  }
}

function memberText({ collection, kind, id, priority, content }: Member): string {
  const head = JSON.stringify({ collection, kind, id, priority });
  return content === undefined ? head : `${head.slice(0, -1)},"content":${content}}`;
}
