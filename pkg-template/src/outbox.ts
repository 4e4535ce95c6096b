import { checkId, checkLimit, receipt } from "./collection.js";
import type { Core } from "./core.js";
import { HoldfastError } from "./errors.js";
import { objectText } from "./json.js";
import { mergePatch, type Schemas, validate } from "./schema.js";
import type {
  Abortable,
  DiscardOptions,
  ExportOptions,
  ImportReport,
  JsonObject,
  Outbox,
  OutboxEntry,
  OutboxFile,
  OutboxQuery,
  Receipt,
} from "./types.js";

const STATES: readonly unknown[] = ["queued", "in-flight", "acked", "blocked", "parked"];

/** What is not settled with the server; see {@link Outbox}. */
export class OutboxView implements Outbox {
  readonly #core: Core;

  readonly #schemas: Schemas;

  constructor(core: Core, schemas: Schemas) {
    this.#core = core;
    this.#schemas = schemas;
  }

  async list<S extends OutboxEntry["state"] = OutboxEntry["state"]>(
    query: OutboxQuery<S> = {},
  ): Promise<Extract<OutboxEntry, { state: S }>[]> {
    const { state, limit, signal } = query;
    if (state !== undefined && !STATES.includes(state)) {
      throw new HoldfastError("invalid-value", "state: there is no such state", { path: "state" });
    }
    if (limit !== undefined) checkLimit(limit);
    return JSON.parse(
      await this.#core.call((door) => door.outbox(state, limit), signal),
    ) as Extract<OutboxEntry, { state: S }>[];
  }

  async retry(opId: string, options: Abortable = {}): Promise<Receipt> {
    checkId(opId, "opId");
    return receipt(this.#core, await this.#core.call((door) => door.retry(opId), options.signal));
  }

  async edit(opId: string, patch: JsonObject, options: Abortable = {}): Promise<Receipt> {
    checkId(opId, "opId");
    const text = objectText(patch);
    if (this.#schemas.size > 0) await this.#validated(opId, text, options);
    return receipt(
      this.#core,
      await this.#core.call((door) => door.edit(opId, text), options.signal),
    );
  }

  /** What the correction makes of the document as the user last saw it is a write like any other. */
  async #validated(opId: string, patch: string, { signal }: Abortable): Promise<void> {
    const parked = await this.list({ state: "parked", signal });
    const entry = parked.find((one) => one.opId === opId);
    const schema = entry && this.#schemas.get(entry.collection);
    if (schema && entry.why === "rejected" && entry.snapshot) {
      await validate(schema, mergePatch(entry.snapshot, JSON.parse(patch)));
    }
  }

  async discard(opId: string, options: DiscardOptions = {}): Promise<OutboxEntry[]> {
    checkId(opId, "opId");
    const dependents = options.dependents === "discard";
    return JSON.parse(
      await this.#core.call((door) => door.discard(opId, dependents), options.signal),
    ) as OutboxEntry[];
  }

  async export(options: ExportOptions = {}): Promise<OutboxFile> {
    const { operations = "all", handOver = false, signal } = options;
    const wanted = selectionText(operations);
    return JSON.parse(
      await this.#core.call((door) => door.export_file(wanted, handOver === true), signal),
    ) as OutboxFile;
  }

  async import(file: OutboxFile, options: Abortable = {}): Promise<ImportReport> {
    const text = fileText(file);
    return JSON.parse(
      await this.#core.call((door) => door.import_file(text), options.signal),
    ) as ImportReport;
  }
}

function selectionText(operations: unknown): string {
  if (operations === "all" || operations === "parked" || operations === "handed-over") {
    return operations;
  }
  if (!Array.isArray(operations)) {
    throw new HoldfastError(
      "invalid-value",
      'operations: "all", "parked", "handed-over" or a list of opIds',
      { path: "operations" },
    );
  }
  for (const [index, opId] of operations.entries()) checkId(opId, `operations.${index}`);
  return JSON.stringify(operations);
}

/** What is in it the core judges: a file may come from anywhere. */
function fileText(file: unknown): string {
  let text: unknown;
  try {
    text = JSON.stringify(file);
  } catch {
    // Not JSON.
  }
  if (typeof text !== "string") {
    throw new HoldfastError("invalid-value", "file: not an outbox file", { path: "file" });
  }
  return text;
}
