import { useEffect, useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { money } from "../money";
import type { Bar, DayReport } from "../report";
import { dayText, startOfDay } from "../time";
import { useTill } from "./context";

/** The day's takings from what is stored on this device, drawn again when an order changes. */
export function Report() {
  const till = useTill();
  const today = startOfDay(useSnapshot(till.now));
  const [back, setBack] = useState(0);
  const from = new Date(today).setDate(new Date(today).getDate() - back);
  const [report, setReport] = useState<DayReport | undefined>(undefined);
  useEffect(() => till.watchReport(from, setReport), [till, from]);
  return (
    <main class="report">
      <header class="page-head">
        <h1>{back === 0 ? "Today" : dayText(from)}</h1>
        <p class="page-sum" aria-live="polite">
          {report ? sentence(report) : "Adding up…"}
        </p>
        <fieldset class="filters plain" aria-label="Day">
          <button type="button" class="filter" onClick={() => setBack(back + 1)}>
            Day before
          </button>
          <button
            type="button"
            class="filter"
            disabled={back === 0}
            onClick={() => setBack(back - 1)}
          >
            Day after
          </button>
        </fieldset>
      </header>
      {report && report.orders === 0 && <p class="page-empty">No orders on this day.</p>}
      {report && report.orders > 0 && (
        <>
          <dl class="figures">
            <Figure name="Taken" value={money(report.taken)} />
            <Figure name="Orders" value={String(report.orders)} />
            <Figure
              name="Open tickets"
              value={String(report.open.orders)}
              more={money(report.open.cents)}
            />
            <Figure
              name="Not sent yet"
              value={String(report.unsent)}
              more={share(report.unsent, report.orders)}
            />
          </dl>
          <Columns title="Sales by hour" bars={report.hours} />
          <div class="plots">
            <Rows title="By item" unit="pcs" bars={report.items} />
            <Rows title="By person" unit="orders" bars={report.staff} />
          </div>
        </>
      )}
      {report && !report.complete && (
        <p class="page-note">Orders of other tills are missing until the first sync is complete.</p>
      )}
    </main>
  );
}

function sentence({ orders, taken }: DayReport): string {
  return `${orders === 1 ? "1 order" : `${orders} orders`}, ${money(taken)} taken`;
}

function share(part: number, all: number): string {
  return part === 0 ? "all sent" : `${Math.max(1, Math.round((100 * part) / all))} %`;
}

function Figure({ name, value, more }: { name: string; value: string; more?: string }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>
        {value}
        {more && <small>{more}</small>}
      </dd>
    </div>
  );
}

/** Upright bars over time. A table for whoever does not see them: every bar says its figures. */
function Columns({ title, bars }: { title: string; bars: readonly Bar[] }) {
  const most = Math.max(1, ...bars.map((bar) => bar.cents));
  return (
    <section class="plot">
      <h2>{title}</h2>
      <ol class="columns">
        {bars.map((bar) => (
          <li key={bar.label} title={`${bar.label}:00, ${bar.count} orders`}>
            <span class="column-value">{bar.cents > 0 ? Math.round(bar.cents / 100) : ""}</span>
            <span class="column-bar" style={{ height: `${(100 * bar.cents) / most}%` }} />
            <span class="column-label">{bar.label}</span>
            <span class="unseen">
              {money(bar.cents)}, {bar.count} orders
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Rows({ title, unit, bars }: { title: string; unit: string; bars: readonly Bar[] }) {
  const most = Math.max(1, ...bars.map((bar) => bar.cents));
  return (
    <section class="plot">
      <h2>{title}</h2>
      <ol class="rows">
        {bars.map((bar) => (
          <li key={bar.label}>
            <span class="row-label">{bar.label}</span>
            <span class="row-track">
              <span class="row-bar" style={{ width: `${(100 * bar.cents) / most}%` }} />
            </span>
            <span class="row-value">
              {money(bar.cents)} <small>{`${bar.count} ${unit}`}</small>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
