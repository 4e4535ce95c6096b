import { useSnapshot } from "../cell";
import { useTill } from "./context";
import { Icon, type IconName, Mark } from "./icons";
import { SyncBadge } from "./SyncBadge";

export type View = "sell" | "orders" | "outbox";

const views: readonly { view: View; label: string }[] = [
  { view: "sell", label: "Sell" },
  { view: "orders", label: "Orders" },
  { view: "outbox", label: "Outbox" },
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
  const { parked } = useSnapshot(till.status).outbox;
  const { entries, conflicts } = useSnapshot(till.outbox);
  const waiting = entries.filter(
    (entry) => entry.state === "queued" || entry.state === "in-flight",
  ).length;
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
  if (!step) return null;
  const what = step.phase === "push" ? "Sending" : "Fetching";
  const label = step.total ? `${what} ${step.done} of ${step.total}` : `${what} ${step.done}`;
  return (
    <div class="progress">
      <progress aria-label={label} {...(step.total ? { value: step.done, max: step.total } : {})} />
      <span>{label}</span>
    </div>
  );
}
