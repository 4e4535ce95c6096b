import type { Status } from "holdfast";
import { useId } from "preact/hooks";
import { useSnapshot } from "../cell";
import { ago } from "../time";
import { connectionWords, statusWords } from "../words";
import { useTill } from "./context";
import { Dialog } from "./Dialog";
import { Icon, SignalFlag } from "./icons";

const when = (at: number | undefined, now: number) => (at === undefined ? "not yet" : ago(at, now));

export function SyncBadge({ onOpen }: { onOpen: () => void }) {
  const till = useTill();
  const status = useSnapshot(till.status);
  const boot = useSnapshot(till.boot);
  const now = useSnapshot(till.now);
  const tip = useId();
  if (boot.kind !== "ready") {
    return (
      <span class="badge is-busy" data-status={boot.kind}>
        {boot.kind === "opening" ? "Opening" : "Not open"}
      </span>
    );
  }
  const words = statusWords(status);
  return (
    <div class="badge-box">
      <button
        type="button"
        class={`badge is-${words.tone}`}
        data-status={status.kind}
        aria-describedby={tip}
        onClick={onOpen}
      >
        <SignalFlag flag={words.flag} />
        <span>{words.label}</span>
      </button>
      <div class="tip" id={tip} role="tooltip">
        <p>{words.sentence}</p>
        <p class="tip-times">
          Last sent {when(status.lastPush, now)} · last fetched {when(status.lastPull, now)}
        </p>
      </div>
    </div>
  );
}

const durability: Record<Status["storage"]["durability"], string> = {
  strict: "Survives a power cut",
  relaxed: "Survives a closed browser",
  memory: "Only until this tab closes",
};

export function SyncPanel({ onClose }: { onClose: () => void }) {
  const till = useTill();
  const status = useSnapshot(till.status);
  const now = useSnapshot(till.now);
  const words = statusWords(status);
  const { pending, parked, oldest } = status.outbox;
  const rows: [string, string][] = [
    ["Connection", connectionWords(status.connection)],
    [
      "Waiting to leave",
      pending === 0 ? "nothing" : `${pending}${oldest ? `, oldest ${ago(oldest, now)}` : ""}`,
    ],
    ["Need a decision", String(Math.max(parked, status.conflicts))],
    ["Last sent", when(status.lastPush, now)],
    ["Last fetched", when(status.lastPull, now)],
    [
      "This tab",
      status.leader ? "sends for all tabs of this till" : "another tab of this till sends",
    ],
    ["Storage", durability[status.storage.durability]],
  ];
  return (
    <Dialog title="Sync" onClose={onClose}>
      <div class={`sync-hero is-${words.tone}`}>
        <SignalFlag flag={words.flag} />
        <div>
          <strong>{words.label}</strong>
          <p>{words.sentence}</p>
        </div>
      </div>
      <dl class="facts">
        {rows.map(([term, fact]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{fact}</dd>
          </div>
        ))}
      </dl>
      <div class="dialog-actions">
        {status.kind === "paused" ? (
          <button type="button" class="button" onClick={() => till.resume()}>
            Resume
          </button>
        ) : (
          <button type="button" class="button" onClick={() => till.pause()}>
            Pause
          </button>
        )}
        <button
          type="button"
          class="button is-main"
          onClick={() => void till.syncNow()}
          disabled={status.kind === "syncing"}
        >
          <Icon name="sync" />
          Sync now
        </button>
      </div>
    </Dialog>
  );
}
