import { checkId, receipt } from "./collection.js";
import type { Core } from "./core.js";
import type { DoorCallbacks } from "./door.js";
import { HoldfastError, report } from "./errors.js";
import { objectText } from "./json.js";
import type {
  Abortable,
  Conflict,
  ConflictContext,
  ConflictQuery,
  Conflicts,
  HandlerAnswer,
  Receipt,
  Resolution,
  Resolved,
} from "./types.js";

/** Where both sides changed a record; see {@link Conflicts}. */
export class ConflictsView implements Conflicts {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async list(query: ConflictQuery = {}): Promise<Conflict[]> {
    const resolved = query.resolved === true;
    return JSON.parse(
      await this.#core.call((door) => door.conflicts(resolved), query.signal),
    ) as Conflict[];
  }

  async resolve(id: string, resolution: Resolution, options: Abortable = {}): Promise<Resolved> {
    checkId(id);
    const text = resolutionText(resolution);
    return JSON.parse(
      await this.#core.call((door) => door.resolve(id, text), options.signal),
    ) as Resolved;
  }

  async restore(id: string, options: Abortable = {}): Promise<Receipt> {
    checkId(id);
    return receipt(this.#core, await this.#core.call((door) => door.restore(id), options.signal));
  }
}

/** `onConflict` as the core calls it: whatever is thrown, or makes no sense, is reported and leaves the conflict to a person. */
export function conflictCallback(
  ask: ((conflict: never, context: ConflictContext) => unknown) | undefined,
): DoorCallbacks["conflict"] {
  return async (conflict, signal) => {
    if (ask === undefined) return null;
    try {
      const answer = await ask(JSON.parse(conflict) as never, { signal });
      return answer === "defer" ? null : resolutionText(answer as Exclude<HandlerAnswer, "defer">);
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

function isSide(side: unknown): boolean {
  return side === "mine" || side === "theirs";
}
