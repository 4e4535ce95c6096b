import type { Conflict } from "holdfast";
import { money } from "./money";
import { readOrder } from "./order";

export type FieldRow = { field: string; label: string; base: string; mine: string; theirs: string };

const labels: Record<string, string> = {
  table: "Table",
  lines: "Items",
  note: "Note",
  status: "Status",
  total: "Total",
  staff: "Staff",
  createdAt: "Time",
  till: "Till",
};

/** One row for each field that both tills changed, in words. */
export function fieldRows(conflict: Conflict): FieldRow[] {
  return conflict.fields.map((field) => ({
    field,
    label: labels[field] ?? field,
    base: inWords(conflict.base, field),
    mine: inWords(conflict.mine, field),
    theirs: inWords(conflict.theirs, field),
  }));
}

function inWords(document: unknown, field: string): string {
  if (document === null || document === undefined) return "—";
  const value = at(document, field);
  if (value === undefined || value === "") return "nothing";
  if (field === "total" && typeof value === "number") return money(value);
  if (field === "lines") {
    return readOrder(document)
      .lines.map((line) =>
        [`${line.qty} × ${line.name}`, ...line.mods, line.note].filter(Boolean).join(", "),
      )
      .join("\n");
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A field is named by its path; a name that itself holds a dot is tried first. */
function at(document: unknown, field: string): unknown {
  const of = (value: unknown, name: string): unknown =>
    typeof value === "object" && value !== null && Object.hasOwn(value, name)
      ? (value as Record<string, unknown>)[name]
      : undefined;
  return of(document, field) ?? field.split(".").reduce(of, document);
}
