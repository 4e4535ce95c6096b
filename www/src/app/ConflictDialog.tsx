import type { Conflict } from "holdfast";
import { useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { type FieldRow, fieldRows } from "../diff";
import { money } from "../money";
import { readOrder, shortId } from "../order";
import { moment } from "../time";
import { useTill } from "./context";
import { Dialog } from "./Dialog";

type Side = "mine" | "theirs";

const stories: Record<Conflict["kind"], string> = {
  "update-update": "This till and another one changed the same thing. Choose what holds.",
  "update-delete": "You changed this order; meanwhile it was voided elsewhere.",
  "delete-update": "You voided this order; meanwhile it was changed elsewhere.",
  "create-create": "Two tills made an order with the same id.",
};

export function ConflictDialog({ conflict, onClose }: { conflict: Conflict; onClose: () => void }) {
  const till = useTill();
  const now = useSnapshot(till.now);
  const rows = fieldRows(conflict);
  const [choice, setChoice] = useState<Record<string, Side>>({});
  const [busy, setBusy] = useState(false);
  const perField = conflict.mine !== null && conflict.theirs !== null && rows.length > 0;
  const complete = rows.every((row) => choice[row.field]);

  const settle = async (resolution: Parameters<typeof till.resolve>[1]) => {
    setBusy(true);
    const result = await till.resolve(conflict.id, resolution);
    setBusy(false);
    if (result === "resolved") onClose();
    // A side has moved on meanwhile; the list brings the new sides, so choose again.
    if (result === "moved") setChoice({});
  };

  return (
    <Dialog title={`Two versions of ${shortId(conflict.entityId)}`} size="wide" onClose={onClose}>
      <p>{stories[conflict.kind]}</p>
      <p class="conflict-when">Noticed {moment(conflict.at, now)}</p>
      {perField ? (
        <div class="versions">
          <div class="versions-head" aria-hidden="true">
            <span>Field</span>
            <span>Before</span>
            <span>This till</span>
            <span>The other</span>
          </div>
          {rows.map((row) => (
            <Field
              key={row.field}
              row={row}
              side={choice[row.field]}
              onSide={(side) => setChoice({ ...choice, [row.field]: side })}
            />
          ))}
        </div>
      ) : (
        <div class="whole-versions">
          <Whole title="This till" document={conflict.mine} />
          <Whole title="The other" document={conflict.theirs} />
        </div>
      )}
      <div class="dialog-actions">
        <button
          type="button"
          class="button"
          disabled={busy}
          onClick={() => void settle({ keep: "theirs" })}
        >
          Keep the other
        </button>
        <button
          type="button"
          class="button"
          disabled={busy}
          onClick={() => void settle({ keep: "mine" })}
        >
          Keep this till's
        </button>
        {perField && (
          <button
            type="button"
            class="button is-main"
            disabled={busy || !complete}
            onClick={() => void settle({ fields: choice })}
          >
            Keep what I chose
          </button>
        )}
      </div>
    </Dialog>
  );
}

function Field({
  row,
  side,
  onSide,
}: {
  row: FieldRow;
  side: Side | undefined;
  onSide: (side: Side) => void;
}) {
  const option = (which: Side, text: string, whose: string) => (
    <label class="version" data-side={which}>
      <input
        type="radio"
        name={`field-${row.field}`}
        checked={side === which}
        onChange={() => onSide(which)}
      />
      <span class="version-whose">{whose}</span>
      <span class="version-text">{text}</span>
    </label>
  );
  return (
    <div class="versions-row" role="radiogroup" aria-label={row.label}>
      <span class="version-field">{row.label}</span>
      <span class="version-base">
        <span class="version-whose">Before</span>
        <span class="version-text">{row.base}</span>
      </span>
      {option("mine", row.mine, "This till")}
      {option("theirs", row.theirs, "The other")}
    </div>
  );
}

function Whole({ title, document }: { title: string; document: unknown }) {
  if (document === null) {
    return (
      <section class="whole">
        <h3>{title}</h3>
        <p class="whole-gone">Voided</p>
      </section>
    );
  }
  const order = readOrder(document);
  return (
    <section class="whole">
      <h3>{title}</h3>
      <p>
        {order.table}, {order.status}
      </p>
      <ul>
        {order.lines.map((line, at) => (
          <li key={`${at}-${line.sku}`}>
            {line.qty} × {line.name}
          </li>
        ))}
      </ul>
      {order.note && <p class="docket-note">{order.note}</p>}
      <strong>{money(order.total)}</strong>
    </section>
  );
}
