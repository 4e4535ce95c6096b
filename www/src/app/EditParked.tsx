import type { JsonObject, OutboxEntry } from "holdfast";
import { useState } from "preact/hooks";
import { money } from "../money";
import { type Order, shortId, totalOf, withQuantity } from "../order";
import { longestNote, longestTable } from "../ticket";
import { useTill } from "./context";
import { Dialog } from "./Dialog";
import { Icon } from "./icons";

type Props = {
  entry: OutboxEntry & { code: string; message: string };
  order: Order;
  onClose: () => void;
};

/** Puts right what the server refused, and sends it as a new operation. */
export function EditParked({ entry, order, onClose }: Props) {
  const till = useTill();
  const [table, setTable] = useState(order.table);
  const [note, setNote] = useState(order.note ?? "");
  const [lines, setLines] = useState(order.lines);
  const kept = lines.filter((line) => line.qty > 0);
  const total = totalOf(kept);
  const setQty = (at: number, qty: number) =>
    setLines(
      lines.map((line, index) => (index === at ? withQuantity(line, Math.max(0, qty)) : line)),
    );
  const patch: JsonObject = {
    ...(table.trim() !== order.table && { table: table.trim() || "Counter" }),
    ...(note.trim() !== (order.note ?? "") && { note: note.trim() || null }),
    ...(JSON.stringify(kept) !== JSON.stringify(order.lines) && { lines: kept }),
    ...(total !== order.total && { total }),
  };
  return (
    <Dialog title={`Put order ${shortId(entry.entityId)} right`} onClose={onClose}>
      <p class="parked-message">
        {entry.message} <code>{entry.code}</code>
      </p>
      <form
        onSubmit={async (event) => {
          event.preventDefault();
          if (await till.editParked(entry.opId, patch)) onClose();
        }}
      >
        <ul class="edit-lines">
          {lines.map((line, at) => (
            <li key={`${at}-${line.sku}`}>
              <span>{line.name}</span>
              <div class="stepper">
                <button
                  type="button"
                  aria-label={`One ${line.name} less`}
                  onClick={() => setQty(at, line.qty - 1)}
                >
                  <Icon name="minus" />
                </button>
                <output>{line.qty}</output>
                <button
                  type="button"
                  aria-label={`One ${line.name} more`}
                  onClick={() => setQty(at, line.qty + 1)}
                >
                  <Icon name="plus" />
                </button>
              </div>
              <span>{money(line.cents)}</span>
            </li>
          ))}
        </ul>
        <p class="edit-total">
          Total <strong>{money(total)}</strong>
          {total !== order.total && <small> was {money(order.total)}</small>}
        </p>
        <label class="field is-short">
          <span>Table</span>
          <input
            type="text"
            maxLength={longestTable}
            value={table}
            onInput={(event) => setTable(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Note</span>
          <input
            type="text"
            maxLength={longestNote}
            value={note}
            onInput={(event) => setNote(event.currentTarget.value)}
          />
        </label>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button is-main" disabled={kept.length === 0}>
            Send again
          </button>
        </div>
      </form>
    </Dialog>
  );
}
