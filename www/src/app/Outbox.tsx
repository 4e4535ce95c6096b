import type { Conflict, OutboxEntry, ParkedEntry } from "holdfast";
import { useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { itemOf } from "../menu";
import { money } from "../money";
import { readOrder, shortId } from "../order";
import { ago } from "../time";
import { useTill } from "./context";
import { EditParked } from "./EditParked";
import { Icon, StateIcon } from "./icons";

type Rejected = Extract<ParkedEntry, { why: "rejected" }>;

const verbs: Record<OutboxEntry["kind"], string> = {
  create: "New",
  change: "Change of",
  replace: "New content of",
  delete: "Void",
  resolve: "Decision on",
};

function subject(entry: Pick<OutboxEntry, "collection" | "entityId">): string {
  if (entry.collection === "menu") return itemOf(entry.entityId)?.name ?? entry.entityId;
  return `order ${shortId(entry.entityId)}`;
}

export function Outbox() {
  const till = useTill();
  const now = useSnapshot(till.now);
  const { entries, conflicts } = useSnapshot(till.outbox);
  const status = useSnapshot(till.status);
  const rejected = entries.filter(
    (entry): entry is Rejected => entry.state === "parked" && entry.why === "rejected",
  );
  const handedOver = entries.filter(
    (entry) => entry.state === "parked" && entry.why === "handed-over",
  );
  const blocked = entries.filter((entry) => entry.state === "blocked");
  const moving = entries.filter(
    (entry) => entry.state === "queued" || entry.state === "in-flight" || entry.state === "acked",
  );
  const unseen = Math.max(0, status.outbox.pending - moving.length);
  return (
    <main class="outbox">
      <header class="page-head">
        <h1>Outbox</h1>
        <p class="page-sum">
          What the server has not confirmed yet. Nothing in here is ever dropped.
        </p>
        <button
          type="button"
          class="button"
          onClick={() => void till.syncNow()}
          disabled={status.kind === "syncing"}
        >
          <Icon name="sync" />
          Sync now
        </button>
      </header>

      {(rejected.length > 0 || conflicts.length > 0) && (
        <section aria-labelledby="needs-you">
          <h2 id="needs-you">Needs you</h2>
          <ul class="parked-list">
            {conflicts.map((conflict) => (
              <li key={conflict.id}>
                <ConflictCard conflict={conflict} />
              </li>
            ))}
            {rejected.map((entry) => (
              <li key={entry.opId}>
                <RejectedCard
                  entry={entry}
                  behind={
                    blocked.filter((one) => one.state === "blocked" && one.by === entry.opId).length
                  }
                />
              </li>
            ))}
          </ul>
        </section>
      )}

      {blocked.length > 0 && (
        <section aria-labelledby="behind">
          <h2 id="behind">Waiting behind these</h2>
          <ul class="entry-list">
            {blocked.map((entry) => (
              <EntryRow key={entry.opId} entry={entry} now={now} state="Waits" />
            ))}
          </ul>
        </section>
      )}

      <section aria-labelledby="leaving">
        <h2 id="leaving">Leaving</h2>
        {moving.length === 0 ? (
          <p class="page-empty">
            <StateIcon state="synced" />
            Nothing is waiting. Everything else is on the server.
          </p>
        ) : (
          <ul class="entry-list">
            {moving.map((entry) => (
              <EntryRow
                key={entry.opId}
                entry={entry}
                now={now}
                state={
                  entry.state === "queued"
                    ? entry.sends > 0
                      ? "Again soon"
                      : "Next"
                    : entry.state === "acked"
                      ? "Confirmed"
                      : "On its way"
                }
              />
            ))}
          </ul>
        )}
        {unseen > 0 && moving.length > 0 && <p class="page-note">and {unseen} more</p>}
      </section>

      {handedOver.length > 0 && (
        <section aria-labelledby="handed-over">
          <h2 id="handed-over">Handed over to another device</h2>
          <ul class="entry-list">
            {handedOver.map((entry) => (
              <EntryRow key={entry.opId} entry={entry} now={now} state="Handed over" />
            ))}
          </ul>
        </section>
      )}
    </main>
  );
}

function EntryRow({ entry, now, state }: { entry: OutboxEntry; now: number; state: string }) {
  return (
    <li class="entry" data-op={entry.opId} data-state={entry.state}>
      <span class="entry-what">
        {verbs[entry.kind]} <b>{subject(entry)}</b>
      </span>
      <span class="entry-when">{ago(entry.at, now)}</span>
      <span class="entry-sends">{entry.sends > 0 ? `sent ${entry.sends} ×` : ""}</span>
      <span class="entry-state">{state}</span>
    </li>
  );
}

function ConflictCard({ conflict }: { conflict: Conflict }) {
  return (
    <article class="parked is-conflict">
      <StateIcon state="conflict" />
      <div>
        <h3>Order {shortId(conflict.entityId)} has two versions</h3>
        <p>Both tills changed: {conflict.fields.join(", ") || "the whole order"}.</p>
      </div>
      <div class="parked-actions">
        <a class="button is-main" href={`#conflict/${conflict.id}`}>
          Decide
        </a>
      </div>
    </article>
  );
}

function RejectedCard({ entry, behind }: { entry: Rejected; behind: number }) {
  const till = useTill();
  const [editing, setEditing] = useState(false);
  const [asking, setAsking] = useState(false);
  const order =
    entry.collection === "orders" && entry.snapshot ? readOrder(entry.snapshot) : undefined;
  return (
    <article class="parked is-rejected" data-op={entry.opId}>
      <StateIcon state="rejected" />
      <div>
        <h3>
          {verbs[entry.kind]} {subject(entry)} was refused
        </h3>
        <p class="parked-message">
          {entry.message} <code>{entry.code}</code>
        </p>
        {order && (
          <p class="parked-order">
            {order.lines.map((line) => `${line.qty} × ${line.name}`).join(", ")} —{" "}
            {money(order.total)}
          </p>
        )}
        {behind > 0 && (
          <p class="parked-behind">
            {behind === 1
              ? "1 later change waits behind it."
              : `${behind} later changes wait behind it.`}
          </p>
        )}
      </div>
      {asking ? (
        <fieldset class="parked-actions plain" aria-label="Give this up?">
          <strong>Give it up for good?</strong>
          <button type="button" class="button" onClick={() => setAsking(false)}>
            Keep it
          </button>
          <button
            type="button"
            class="button is-danger"
            onClick={() => void till.discard(entry.opId, "discard")}
          >
            Discard
          </button>
        </fieldset>
      ) : (
        <div class="parked-actions">
          <button type="button" class="button is-quiet is-danger" onClick={() => setAsking(true)}>
            Discard…
          </button>
          {order && entry.kind !== "delete" && (
            <button type="button" class="button" onClick={() => setEditing(true)}>
              Edit…
            </button>
          )}
          <button type="button" class="button is-main" onClick={() => void till.retry(entry.opId)}>
            Retry
          </button>
        </div>
      )}
      {editing && order && (
        <EditParked entry={entry} order={order} onClose={() => setEditing(false)} />
      )}
    </article>
  );
}
