import { useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { money } from "../money";
import { nextStatus, type OrderStatus, pieces, shortId } from "../order";
import type { OrderView } from "../store";
import { moment, startOfDay } from "../time";
import { useTill } from "./context";
import { StateMark } from "./StateMark";

const filters = ["all", "open", "paid", "served"] as const;
type Filter = (typeof filters)[number];
const filterWords: Record<Filter, string> = {
  all: "All",
  open: "Open",
  paid: "Paid",
  served: "Served",
};
const pageSize = 60;

export const stepWords: Record<OrderStatus, string> = {
  open: "Open",
  paid: "Mark paid",
  served: "Mark served",
};

export function Orders() {
  const till = useTill();
  const { loading, complete, items } = useSnapshot(till.orders);
  const now = useSnapshot(till.now);
  const [filter, setFilter] = useState<Filter>("all");
  const [shown, setShown] = useState(pageSize);
  const midnight = startOfDay(now);
  // Yesterday's are done with, unless somebody still waits for theirs.
  const current = items.filter(
    ({ order, state }) =>
      order.createdAt >= midnight || order.status !== "served" || state !== "synced",
  );
  const chosen = current.filter(({ order }) => filter === "all" || order.status === filter);
  const takings = current
    .filter(({ order }) => order.status !== "open")
    .reduce((sum, { order }) => sum + order.total, 0);
  return (
    <main class="orders">
      <header class="page-head">
        <h1>Today</h1>
        <p class="page-sum">
          {current.length === 1 ? "1 order" : `${current.length} orders`}, {money(takings)} taken
        </p>
        <fieldset class="filters plain" aria-label="Show">
          {filters.map((one) => (
            <button
              key={one}
              type="button"
              class="filter"
              aria-pressed={one === filter}
              onClick={() => setFilter(one)}
            >
              {filterWords[one]}
              <span>
                {one === "all"
                  ? current.length
                  : current.filter(({ order }) => order.status === one).length}
              </span>
            </button>
          ))}
        </fieldset>
      </header>
      {chosen.length === 0 ? (
        <p class="page-empty">
          {loading
            ? "Looking…"
            : filter === "all"
              ? "No orders yet today."
              : `No ${filter} orders.`}
        </p>
      ) : (
        <ul class="dockets">
          {chosen.slice(0, shown).map((item) => (
            <li key={item.id}>
              <Docket item={item} now={now} />
            </li>
          ))}
        </ul>
      )}
      {chosen.length > shown && (
        <button type="button" class="button more" onClick={() => setShown(shown + pageSize)}>
          {chosen.length - shown} more
        </button>
      )}
      {!loading && !complete && (
        <p class="page-note">Orders of other tills follow once the first sync is complete.</p>
      )}
    </main>
  );
}

function Docket({ item, now }: { item: OrderView; now: number }) {
  const till = useTill();
  const { id, order, state } = item;
  const next = nextStatus(order.status);
  const settled = state !== "conflict" && state !== "rejected";
  return (
    <article class={`docket is-${order.status}`} data-id={id}>
      <header>
        <a href={`#order/${id}`} class="docket-id" aria-label={`Order ${shortId(id)}`}>
          {shortId(id)}
        </a>
        <span class="docket-table">
          {/^\d+$/.test(order.table) ? `Table ${order.table}` : order.table || "Counter"}
        </span>
      </header>
      <p class="docket-when">
        {moment(order.createdAt, now)}
        {order.staff && ` · ${order.staff}`}
        {order.till && order.till !== till.name && ` · till ${order.till}`}
      </p>
      <ul class="docket-lines">
        {order.lines.slice(0, 5).map((line, at) => (
          <li key={`${at}-${line.sku}`}>
            <b>{line.qty}</b> {line.name}
            {(line.mods.length > 0 || line.note) && (
              <small>{[...line.mods, line.note].filter(Boolean).join(", ")}</small>
            )}
          </li>
        ))}
        {order.lines.length > 5 && <li class="docket-rest">and {order.lines.length - 5} more</li>}
      </ul>
      {order.note && <p class="docket-note">{order.note}</p>}
      <p class="docket-total">
        <span>{pieces(order.lines)} pcs</span>
        {order.status !== "open" && <span class="stamp">{order.status}</span>}
        <strong>{money(order.total)}</strong>
      </p>
      <footer>
        <StateMark state={state} />
        {state === "conflict" && (
          <a class="button is-small" href={`#order/${id}`}>
            Decide
          </a>
        )}
        {state === "rejected" && (
          <a class="button is-small" href="#outbox">
            Outbox
          </a>
        )}
        {settled && next && (
          <button type="button" class="button is-small" onClick={() => void till.moveOn(id, next)}>
            {stepWords[next]}
          </button>
        )}
      </footer>
    </article>
  );
}
