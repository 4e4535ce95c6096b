import { useEffect, useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { newId } from "../ids";
import { itemOf } from "../menu";
import { money } from "../money";
import { pieces } from "../order";
import {
  changeLine,
  type DraftLine,
  draftTotal,
  emptyDraft,
  isBlank,
  longestNote,
  longestTable,
  modifierNames,
  setQuantity,
  unitPrice,
} from "../ticket";
import { useTill } from "./context";
import { Icon } from "./icons";
import { LineDialog } from "./LineDialog";

export function Ticket({ onBack, onSent }: { onBack: () => void; onSent: () => void }) {
  const till = useTill();
  const draft = useSnapshot(till.draft);
  const ready = useSnapshot(till.boot).kind === "ready";
  const [open, setOpen] = useState<number | undefined>();
  const [sending, setSending] = useState(false);
  const line = draft.lines.find((one) => one.key === open);
  const count = pieces(draft.lines);

  const send = async () => {
    if (sending) return;
    setSending(true);
    if (await till.send()) onSent();
    setSending(false);
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      if (document.querySelector("dialog[open]")) return;
      event.preventDefault();
      void send();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  return (
    <aside class="ticket" aria-label="Ticket" data-order={draft.id}>
      <header class="ticket-head">
        <button
          type="button"
          class="icon-button ticket-back"
          aria-label="Back to the menu"
          onClick={onBack}
        >
          <Icon name="back" />
        </button>
        <h2>Ticket</h2>
        <label class="table-field">
          <span>Table</span>
          <input
            id="table"
            type="text"
            inputMode="numeric"
            autoComplete="off"
            placeholder="Counter"
            maxLength={longestTable}
            value={draft.table}
            onInput={(event) => {
              const table = event.currentTarget.value;
              till.ring((now) => ({ ...now, table }));
            }}
          />
        </label>
      </header>
      {draft.lines.length === 0 ? (
        <p class="ticket-empty">Nothing rung up yet.</p>
      ) : (
        <ol class="ticket-lines">
          {draft.lines.map((one) => (
            <TicketLine key={one.key} line={one} onOpen={() => setOpen(one.key)} />
          ))}
        </ol>
      )}
      <div class="ticket-foot">
        <label class="note-field">
          <span>Note for the kitchen</span>
          <input
            type="text"
            autoComplete="off"
            maxLength={longestNote}
            placeholder="Allergies, birthday, hurry…"
            value={draft.note}
            onInput={(event) => {
              const note = event.currentTarget.value;
              till.ring((now) => ({ ...now, note }));
            }}
          />
        </label>
        <dl class="ticket-total">
          <dt>{count === 1 ? "1 piece" : `${count} pieces`}</dt>
          <dd data-testid="ticket-total">{money(draftTotal(draft))}</dd>
        </dl>
        <div class="ticket-actions">
          <button
            type="button"
            class="button is-quiet"
            disabled={isBlank(draft)}
            onClick={() => till.draft.set(emptyDraft(newId()))}
          >
            Clear
          </button>
          <button
            type="button"
            class="button is-main is-big"
            disabled={!ready || sending || count === 0}
            onClick={() => void send()}
          >
            Send
            <kbd>Ctrl ⏎</kbd>
          </button>
        </div>
      </div>
      {line && <LineDialog line={line} onClose={() => setOpen(undefined)} />}
    </aside>
  );
}

function TicketLine({ line, onOpen }: { line: DraftLine; onOpen: () => void }) {
  const till = useTill();
  const name = itemOf(line.sku)?.name ?? line.sku;
  const set = (qty: number) => till.ring((now) => setQuantity(now, line.key, qty));
  const wishes = [...modifierNames(line), line.note].filter(Boolean).join(", ");
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "+" || event.key === "=") set(line.qty + 1);
    else if (event.key === "-") set(line.qty - 1);
    else if (event.key === "Delete" || event.key === "Backspace")
      till.ring((now) => changeLine(now, line.key, { qty: 0 }));
    else return;
    event.preventDefault();
  };
  return (
    <li class="line" onKeyDown={onKey}>
      <div class="stepper">
        <button type="button" aria-label={`One ${name} less`} onClick={() => set(line.qty - 1)}>
          <Icon name={line.qty === 1 ? "bin" : "minus"} />
        </button>
        <output aria-label={`${line.qty} ${name}`}>{line.qty}</output>
        <button type="button" aria-label={`One ${name} more`} onClick={() => set(line.qty + 1)}>
          <Icon name="plus" />
        </button>
      </div>
      <button type="button" class="line-name" onClick={onOpen} aria-label={`Change ${name}`}>
        <span>{name}</span>
        {wishes && <small>{wishes}</small>}
      </button>
      <span class="line-price">{money(line.qty * unitPrice(line))}</span>
    </li>
  );
}
