import type { Aggregated, Collection, Totals } from "holdfast";
import type { Cents } from "./money";
import type { Order } from "./order";

/** One bar of a plot: what it is called, how much was taken, in how many orders or pieces. */
export type Bar = { label: string; cents: Cents; count: number };

/** What a day was like, as far as this till knows. */
export type DayReport = {
  orders: number;
  /** What was paid for, and what is still open. */
  taken: Cents;
  open: { orders: number; cents: Cents };
  /** Orders that the server does not have yet. */
  unsent: number;
  hours: readonly Bar[];
  items: readonly Bar[];
  staff: readonly Bar[];
  /** Whether the orders of the other tills are all here. */
  complete: boolean;
};

const hour = 3_600_000;
const topItems = 12;

/** Asks the store on this device; it answers with or without a connection. */
export async function readReport(
  orders: Collection<Order>,
  from: number,
  to: number,
): Promise<DayReport> {
  const where = { createdAt: { gte: from, lt: to } };
  const paid = { ...where, status: { in: ["paid", "served"] as const } };
  const [states, open, hours, items, staff] = await Promise.all([
    orders.aggregate({ where, groupBy: "$state", sum: "total" }),
    orders.aggregate({ where: { ...where, status: "open" }, sum: "total" }),
    orders.aggregate({
      where: paid,
      groupBy: { field: "createdAt", step: hour, origin: from },
      sum: "total",
    }),
    orders.aggregate({
      where: paid,
      each: "lines",
      groupBy: "lines.name",
      sum: ["lines.qty", "lines.cents"],
    }),
    orders.aggregate({ where: paid, groupBy: "staff", sum: "total" }),
  ]);
  const count = (groups: readonly Totals[]) => groups.reduce((sum, one) => sum + one.count, 0);
  return {
    orders: count(states.groups),
    taken: sumOf(hours, "total"),
    open: { orders: count(open.groups), cents: sumOf(open, "total") },
    unsent: count(states.groups.filter((one) => one.key["$state"] !== "synced")),
    hours: everyHour(hours.groups, from, to),
    items: items.groups
      .map((one) => bar(one, "lines.name", "lines.cents", one.sum?.["lines.qty"] ?? 0))
      .sort((a, b) => b.cents - a.cents)
      .slice(0, topItems),
    staff: staff.groups
      .map((one) => bar(one, "staff", "total", one.count))
      .sort((a, b) => b.cents - a.cents),
    complete: states.complete,
  };
}

function sumOf({ groups }: Aggregated, member: string): Cents {
  return groups.reduce((sum, one) => sum + (one.sum?.[member] ?? 0), 0);
}

function bar(one: Totals, key: string, sum: string, count: number): Bar {
  const label = one.key[key];
  return {
    label: typeof label === "string" && label !== "" ? label : "–",
    cents: one.sum?.[sum] ?? 0,
    count,
  };
}

/** From the first hour with a sale to the last, the quiet ones too: a gap says something. */
export function everyHour(groups: readonly Totals[], from: number, to: number): Bar[] {
  const known = new Map(groups.map((one) => [Number(one.key["createdAt"]), one]));
  const starts = [...known.keys()].filter((at) => at >= from && at < to);
  if (starts.length === 0) return [];
  const bars: Bar[] = [];
  for (let at = Math.min(...starts); at <= Math.max(...starts); at += hour) {
    const one = known.get(at);
    bars.push({
      label: String(new Date(at).getHours()).padStart(2, "0"),
      cents: one?.sum?.["total"] ?? 0,
      count: one?.count ?? 0,
    });
  }
  return bars;
}
