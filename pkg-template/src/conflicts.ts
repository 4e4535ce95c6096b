import { checkId, receipt } from "./collection.js";
import type { Core } from "./core.js";
import type { DoorCallbacks } from "./door.js";
import { HoldfastError, report } from "./errors.js";
import { objectText } from "./json.js";
import { type Schemas, validate } from "./schema.js";
import type {
  Abortable,
  Conflict,
  ConflictContext,
  ConflictQuery,
  Conflicts,
  HandlerAnswer,
  JsonObject,
  Receipt,
  Resolution,
  Resolved,
} from "./types.js";

/** Where both sides changed a record; see {@link Conflicts}. */
export class ConflictsView implements Conflicts {
  readonly #core: Core;

  readonly #schemas: Schemas;

  constructor(core: Core, schemas: Schemas) {
    this.#core = core;
    this.#schemas = schemas;
  }

  async list(query: ConflictQuery = {}): Promise<Conflict[]> {
    const resolved = query.resolved === true;
    return JSON.parse(
      await this.#core.call((door) => door.conflicts(resolved), query.signal),
    ) as Conflict[];
  }

  async resolve(id: string, resolution: Resolution, options: Abortable = {}): Promise<Resolved> {
    checkId(id);
    const plain = resolutionText(resolution);
    const text = await this.#filledIn(id, plain, options);
    return JSON.parse(
      await this.#core.call((door) => door.resolve(id, text), options.signal),
    ) as Resolved;
  }

  /** The resolution as the collection's schema has it. */
  async #filledIn(id: string, plain: string, options: Abortable): Promise<string> {
    if (this.#schemas.size === 0) return plain;
    const conflict = (await this.list(options)).find((open) => open.id === id);
    return conflict ? await filledIn(this.#schemas, conflict.collection, plain) : plain;
  }

  async restore(id: string, options: Abortable = {}): Promise<Receipt> {
    checkId(id);
    return receipt(this.#core, await this.#core.call((door) => door.restore(id), options.signal));
  }
}

/** `onConflict` as the core calls it: whatever is thrown, or makes no sense, is reported and leaves the conflict to a person. */
export function conflictCallback(
  ask: ((conflict: never, context: ConflictContext) => unknown) | undefined,
  schemas: Schemas,
): DoorCallbacks["conflict"] {
  return async (text, signal) => {
    if (ask === undefined) return null;
    try {
      const conflict = JSON.parse(text) as Conflict;
      const answer = await ask(conflict as never, { signal });
      if (answer === "defer") return null;
      const plain = resolutionText(answer as Exclude<HandlerAnswer, "defer">);
      return await filledIn(schemas, conflict.collection, plain);
    } catch (error) {
      report(error);
      return null;
    }
  };
}

/** The document is checked by its own limits, and its path in an error starts at the document. */
function resolutionText(resolution: Resolution): string {
  if (typeof resolution === "object" && resolution !== null) {
    if ("merged" in resolution) {
      return `{"merged":${resolution.merged === null ? "null" : objectText(resolution.merged)}}`;
    }
    if ("keep" in resolution && isSide(resolution.keep))
      return objectText({ keep: resolution.keep });
    if ("fields" in resolution && Object.values(resolution.fields ?? [""]).every(isSide)) {
      return objectText({ fields: resolution.fields });
    }
  }
  throw new HoldfastError(
    "invalid-value",
    'resolution: { keep: "mine" | "theirs" }, { merged } or { fields }',
    {
      path: "resolution",
    },
  );
}

/** A document of the caller's own is a write: its schema sees it, and may fill it in. */
async function filledIn(schemas: Schemas, collection: string, plain: string): Promise<string> {
  const schema = schemas.get(collection);
  const { merged } = JSON.parse(plain) as { readonly merged?: JsonObject | null };
  if (!schema || !merged) return plain;
  return resolutionText({ merged: await validate(schema, merged) });
}

function isSide(side: unknown): boolean {
  return side === "mine" || side === "theirs";
}
