import { itemOf, modifiersFor } from "./menu";
import type { Cents } from "./money";
import { type Order, type OrderLine, totalOf } from "./order";

export type DraftLine = { key: number; sku: string; qty: number; mods: string[]; note: string };

/**
 * A ticket that is not sent yet. It carries the id that its order will have, so that sending it
 * twice (a crash between "stored" and "cleared") is recognised as the same sale.
 */
export type Draft = { id: string; table: string; note: string; lines: DraftLine[] };

export const greatestQuantity = 99;
export const longestNote = 200;
export const longestTable = 12;
export const mostLines = 60;

export function emptyDraft(id: string): Draft {
  return { id, table: "", note: "", lines: [] };
}

export function isBlank(draft: Draft): boolean {
  return draft.lines.length === 0 && draft.note === "" && draft.table === "";
}

const clampQuantity = (qty: number) =>
  Math.max(0, Math.min(greatestQuantity, Math.trunc(qty) || 0));

/** Adds to a plain line of the same item; a line with wishes of its own stays apart. */
export function addItem(draft: Draft, sku: string, qty = 1): Draft {
  if (!itemOf(sku) || clampQuantity(qty) === 0) return draft;
  const plain = draft.lines.find((l) => l.sku === sku && l.mods.length === 0 && l.note === "");
  if (plain) return setQuantity(draft, plain.key, plain.qty + qty);
  if (draft.lines.length >= mostLines) return draft;
  const key = 1 + Math.max(0, ...draft.lines.map((line) => line.key));
  const line: DraftLine = { key, sku, qty: clampQuantity(qty), mods: [], note: "" };
  return { ...draft, lines: [...draft.lines, line] };
}

/** Zero takes the line away. */
export function setQuantity(draft: Draft, key: number, qty: number): Draft {
  return changeLine(draft, key, { qty: clampQuantity(qty) });
}

export function changeLine(draft: Draft, key: number, change: Partial<DraftLine>): Draft {
  const lines = draft.lines
    .map((line) => (line.key === key ? { ...line, ...change, key } : line))
    .filter((line) => line.qty > 0);
  return { ...draft, lines };
}

export function unitPrice(line: Pick<DraftLine, "sku" | "mods">): Cents {
  const extra = modifiersFor(line.sku)
    .filter((modifier) => line.mods.includes(modifier.id))
    .reduce((sum, modifier) => sum + modifier.price, 0);
  return (itemOf(line.sku)?.price ?? 0) + extra;
}

export function modifierNames(line: Pick<DraftLine, "sku" | "mods">): string[] {
  return modifiersFor(line.sku)
    .filter((modifier) => line.mods.includes(modifier.id))
    .map((modifier) => modifier.name);
}

export function draftTotal(draft: Draft): Cents {
  return totalOf(draft.lines.map((line) => ({ cents: line.qty * unitPrice(line) })));
}

export function toOrder(draft: Draft, at: { till: string; staff: string; now: number }): Order {
  const lines = draft.lines.map((line): OrderLine => {
    const note = line.note.trim();
    return {
      sku: line.sku,
      name: itemOf(line.sku)?.name ?? line.sku,
      qty: line.qty,
      unit: unitPrice(line),
      cents: line.qty * unitPrice(line),
      mods: modifierNames(line),
      ...(note && { note }),
    };
  });
  const note = draft.note.trim();
  return {
    table: draft.table.trim() || "Counter",
    lines,
    ...(note && { note }),
    status: "open",
    total: totalOf(lines),
    createdAt: at.now,
    till: at.till,
    staff: at.staff,
  };
}

/** Reads a stored draft; anything that is not one gives `undefined`, never an exception. */
export function parseDraft(stored: string | null): Draft | undefined {
  if (!stored) return undefined;
  try {
    const raw = JSON.parse(stored) as Partial<Draft>;
    if (typeof raw.id !== "string" || !Array.isArray(raw.lines)) return undefined;
    const lines = raw.lines.flatMap((line, at): DraftLine[] => {
      if (typeof line?.sku !== "string" || !itemOf(line.sku)) return [];
      const qty = clampQuantity(Number(line.qty));
      const known = modifiersFor(line.sku).map((modifier) => modifier.id);
      const mods = Array.isArray(line.mods) ? known.filter((id) => line.mods.includes(id)) : [];
      return qty ? [{ key: at + 1, sku: line.sku, qty, mods, note: String(line.note ?? "") }] : [];
    });
    return { id: raw.id, table: String(raw.table ?? ""), note: String(raw.note ?? ""), lines };
  } catch {
    return undefined;
  }
}
