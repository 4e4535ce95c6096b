import type { Cents } from "./money";

export type OrderStatus = "open" | "paid" | "served";

/** One position: `unit` is the price of one piece with its modifiers when it was sold, `cents` of all. */
export type OrderLine = {
  sku: string;
  name: string;
  qty: number;
  unit: Cents;
  cents: Cents;
  mods: string[];
  note?: string;
};

/** What one sale is on the wire. The id is not in the document: the package keeps it beside. */
export type Order = {
  table: string;
  lines: OrderLine[];
  note?: string;
  status: OrderStatus;
  total: Cents;
  createdAt: number;
  till: string;
  staff: string;
};

export const flow: readonly OrderStatus[] = ["open", "paid", "served"];

/** The step after this one, or nothing once the order is served. */
export function nextStatus(status: OrderStatus): OrderStatus | undefined {
  return flow[flow.indexOf(status) + 1];
}

export function totalOf(lines: readonly Pick<OrderLine, "cents">[]): Cents {
  return lines.reduce((sum, line) => sum + line.cents, 0);
}

/** The same line with another number of pieces. */
export function withQuantity(line: OrderLine, qty: number): OrderLine {
  return { ...line, qty, cents: qty * line.unit };
}

export function pieces(lines: readonly Pick<OrderLine, "qty">[]): number {
  return lines.reduce((sum, line) => sum + line.qty, 0);
}

/**
 * Five characters a cook can call out. Taken from the end: the head of an id is its time, equal
 * for everything sold in the same minute.
 */
export function shortId(id: string): string {
  return (
    id
      .replace(/[^0-9a-z]/gi, "")
      .slice(-5)
      .toUpperCase() || "?????"
  );
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const whole = (value: unknown): number => (Number.isSafeInteger(value) ? (value as number) : 0);

function readLine(value: unknown): OrderLine {
  const raw = (value ?? {}) as Record<string, unknown>;
  const note = text(raw["note"]);
  const qty = whole(raw["qty"]);
  const unit = whole(raw["unit"]);
  return {
    sku: text(raw["sku"]),
    name: text(raw["name"]) || "?",
    qty,
    unit,
    cents: Number.isSafeInteger(raw["cents"]) ? (raw["cents"] as number) : qty * unit,
    mods: Array.isArray(raw["mods"]) ? raw["mods"].map(text) : [],
    ...(note && { note }),
  };
}

/**
 * Another till, or another program, may have written this record with other fields. What is
 * missing is shown as empty; the record itself is never changed by looking at it.
 */
export function readOrder(value: unknown): Order {
  const raw = (value ?? {}) as Record<string, unknown>;
  const lines = Array.isArray(raw["lines"]) ? raw["lines"].map(readLine) : [];
  const note = text(raw["note"]);
  const status = flow.find((step) => step === raw["status"]) ?? "open";
  return {
    table: text(raw["table"]) || (typeof raw["table"] === "number" ? String(raw["table"]) : ""),
    lines,
    ...(note && { note }),
    status,
    total: Number.isSafeInteger(raw["total"]) ? (raw["total"] as number) : totalOf(lines),
    createdAt: whole(raw["createdAt"]),
    till: text(raw["till"]),
    staff: text(raw["staff"]),
  };
}
