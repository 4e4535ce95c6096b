import type { Core } from "./core.js";
import { HoldfastError } from "./errors.js";
import type { Abortable, EvictReport, ScopeInfo, Scopes, SyncOptions } from "./types.js";

/** `sync.scopes`; see `Scopes` in `types`. */
export class ScopesView implements Scopes {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async add(scope: string, { signal }: Abortable = {}): Promise<void> {
    checkScope(scope);
    await this.#core.call((door) => door.add_scope(scope), signal);
  }

  async list({ signal }: Abortable = {}): Promise<readonly ScopeInfo[]> {
    return JSON.parse(await this.#core.call((door) => door.scopes(), signal)) as ScopeInfo[];
  }

  async evict(scope: string, { signal }: Abortable = {}): Promise<EvictReport> {
    checkScope(scope);
    const report = await this.#core.call((door) => door.evict_scope(scope), signal);
    return JSON.parse(report) as EvictReport;
  }

  async warm(scope: string, { onProgress, signal }: SyncOptions = {}): Promise<ScopeInfo> {
    checkScope(scope);
    const stop =
      onProgress &&
      this.#core.on("progress", (progress) => {
        if (progress.scope === scope) onProgress(progress);
      });
    try {
      return JSON.parse(
        await this.#core.call((door) => door.warm_scope(scope), signal),
      ) as ScopeInfo;
    } finally {
      stop?.();
    }
  }
}

/** Whether it can name a part of the server's data. */
export function isScope(scope: unknown): scope is string {
  return typeof scope === "string" && scope !== "" && scope.length <= 128;
}

export function checkScope(scope: unknown): void {
  if (isScope(scope)) return;
  throw new HoldfastError("invalid-value", "a scope is a text of 1 to 128 characters", {
    path: "scope",
  });
}
