import type { Progress } from "holdfast";
import { useSnapshot } from "../cell";
import { useTill } from "./context";
import { Icon, type IconName, Mark } from "./icons";
import { SyncBadge } from "./SyncBadge";

export type View = "sell" | "orders" | "outbox" | "report";

const views: readonly { view: View; label: string }[] = [
  { view: "sell", label: "Sell" },
  { view: "orders", label: "Orders" },
  { view: "outbox", label: "Outbox" },
  { view: "report", label: "Report" },
];

type Props = { view: View; onSync: () => void; onHelp: () => void; onPerson: () => void };

export function Header({ view, onSync, onHelp, onPerson }: Props) {
  const till = useTill();
  useSnapshot(till.signedIn);
  return (
    <header class="bar">
      <a class="brand" href="#sell" aria-label={`Slipway Kitchen, till ${till.name}`}>
        <Mark />
        <span class="brand-name">Slipway Kitchen</span>
        <span class="brand-till">Till {till.name}</span>
      </a>
      <Navigation view={view} />
      <div class="bar-end">
        <SyncBadge onOpen={onSync} />
        <button
          type="button"
          class="bar-button person"
          onClick={onPerson}
          aria-label={till.session.staff ? `Signed in as ${till.session.staff}` : "Sign in"}
        >
          <Icon name="person" />
          <span class="person-name">{till.session.staff || "Sign in"}</span>
        </button>
        <button
          type="button"
          class="bar-button help-button"
          onClick={onHelp}
          aria-label="Keyboard help"
        >
          <Icon name="help" />
        </button>
      </div>
      <SyncProgress />
    </header>
  );
}

function Navigation({ view }: { view: View }) {
  const till = useTill();
  const { pending: waiting, parked } = useSnapshot(till.status).outbox;
  const { conflicts } = useSnapshot(till.outbox);
  const alarms = Math.max(parked, conflicts.length);
  return (
    <nav class="views" aria-label="Views">
      {views.map(({ view: name, label }) => (
        <a key={name} href={`#${name}`} aria-current={name === view ? "page" : undefined}>
          <Icon name={name satisfies IconName} />
          <span>{label}</span>
          {name === "outbox" && alarms > 0 && (
            <span class="count is-alarm" title={`${alarms} need you`}>
              {alarms}
            </span>
          )}
          {name === "outbox" && alarms === 0 && waiting > 0 && (
            <span class="count" title={`${waiting} waiting`}>
              {waiting}
            </span>
          )}
        </a>
      ))}
    </nav>
  );
}

/** Appears only when a sync takes long enough to be noticed (the delay is in the style sheet). */
function SyncProgress() {
  const till = useTill();
  const step = useSnapshot(till.progress);
  const { kind, outbox } = useSnapshot(till.status);
  if (kind !== "syncing") return null;
  const { label, total } = progressOf(step, outbox.pending);
  return (
    <div class="progress">
      <progress aria-label={label} {...(step && total ? { value: step.done, max: total } : {})} />
      <span>{label}</span>
    </div>
  );
}

function progressOf(
  step: Progress | undefined,
  pending: number,
): { label: string; total?: number } {
  if (!step) return { label: "Syncing" };
  if (step.phase === "pull") {
    const label = step.total ? `${step.done} of ${step.total}` : `${step.done}`;
    return { label: `Fetching ${label}`, ...(step.total && { total: step.total }) };
  }
  // Sales go on while older ones are being sent, so what is still to go may be more than it was.
  const total = Math.max(step.total ?? 0, step.done + pending);
  return { label: `Sending ${step.done} of ${total}`, total };
}
