import type { MergePatch } from "holdfast";
import { useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { money } from "../money";
import { flow, nextStatus, type Order, shortId } from "../order";
import type { OrderView } from "../store";
import { longestNote, longestTable } from "../ticket";
import { moment } from "../time";
import { stateWords } from "../words";
import { useTill } from "./context";
import { Dialog } from "./Dialog";
import { Icon } from "./icons";
import { stepWords } from "./Orders";
import { StateMark } from "./StateMark";

export function OrderDialog({ item, onClose }: { item: OrderView; onClose: () => void }) {
  const till = useTill();
  const now = useSnapshot(till.now);
  const { conflicts } = useSnapshot(till.outbox);
  const { id, order, state } = item;
  const [table, setTable] = useState(order.table);
  const [note, setNote] = useState(order.note ?? "");
  const [asking, setAsking] = useState(false);
  const next = nextStatus(order.status);
  const conflict = conflicts.find((one) => one.entityId === id);
  const open = state !== "rejected" && !conflict;
  const patch: MergePatch<Order> = {
    ...(table.trim() !== order.table && { table: table.trim() || "Counter" }),
    ...(note.trim() !== (order.note ?? "") && { note: note.trim() || null }),
  };
  const changed = Object.keys(patch).length > 0;
  const save = async (more: MergePatch<Order> = {}) => {
    const whole = { ...patch, ...more };
    if (Object.keys(whole).length === 0 || (await till.patch(id, whole))) onClose();
  };
  return (
    <Dialog title={`Order ${shortId(id)}`} onClose={onClose}>
      <p class="order-state">
        <StateMark state={state} />
        <span>{stateWords[state].sentence}</span>
      </p>
      <ol class="steps" aria-label="Status">
        {flow.map((one) => (
          <li
            key={one}
            aria-current={one === order.status ? "step" : undefined}
            data-done={flow.indexOf(one) <= flow.indexOf(order.status)}
          >
            {one}
          </li>
        ))}
      </ol>
      <ul class="order-lines">
        {order.lines.map((line, at) => (
          <li key={`${at}-${line.sku}`}>
            <b>{line.qty} ×</b>
            <span>
              {line.name}
              {(line.mods.length > 0 || line.note) && (
                <small>{[...line.mods, line.note].filter(Boolean).join(", ")}</small>
              )}
            </span>
            <span>{money(line.cents)}</span>
          </li>
        ))}
        <li class="order-total">
          <b />
          <span>Total</span>
          <span>{money(order.total)}</span>
        </li>
      </ul>
      <form
        class="order-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label class="field is-short">
          <span>Table</span>
          <input
            type="text"
            name="table"
            maxLength={longestTable}
            value={table}
            disabled={!open}
            onInput={(event) => setTable(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Note</span>
          <input
            type="text"
            name="note"
            maxLength={longestNote}
            value={note}
            disabled={!open}
            onInput={(event) => setNote(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="button" disabled={!open || !changed}>
          Save
        </button>
      </form>
      <p class="order-meta">
        {moment(order.createdAt, now)}
        {order.staff && ` · ${order.staff}`} · till {order.till || "?"}
        <br />
        <code>{id}</code>
      </p>
      {asking ? (
        <fieldset class="dialog-actions is-asking plain" aria-label="Void this order?">
          <strong class="asking">Void this order?</strong>
          <button type="button" class="button" onClick={() => setAsking(false)}>
            Keep it
          </button>
          <button
            type="button"
            class="button is-danger"
            onClick={async () => {
              if (await till.voidOrder(id)) onClose();
            }}
          >
            Void
          </button>
        </fieldset>
      ) : (
        <div class="dialog-actions">
          {open && (
            <button type="button" class="button is-danger is-quiet" onClick={() => setAsking(true)}>
              <Icon name="bin" />
              Void
            </button>
          )}
          {conflict && (
            <a class="button is-main" href={`#conflict/${conflict.id}`}>
              Decide
            </a>
          )}
          {state === "rejected" && (
            <a class="button is-main" href="#outbox">
              To the outbox
            </a>
          )}
          {open && next && (
            <button
              type="button"
              class="button is-main"
              onClick={() => void save({ status: next })}
            >
              {stepWords[next]}
            </button>
          )}
        </div>
      )}
    </Dialog>
  );
}
