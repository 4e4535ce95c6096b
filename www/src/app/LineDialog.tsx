import { itemOf, modifiersFor } from "../menu";
import { money, surcharge } from "../money";
import { changeLine, type DraftLine, greatestQuantity, longestNote, unitPrice } from "../ticket";
import { useTill } from "./context";
import { Dialog } from "./Dialog";
import { Icon } from "./icons";

/** Wishes for one line: how many, what with, what without. Changes show at once; closing keeps them. */
export function LineDialog({ line, onClose }: { line: DraftLine; onClose: () => void }) {
  const till = useTill();
  const change = (to: Partial<DraftLine>) => till.ring((draft) => changeLine(draft, line.key, to));
  const toggle = (id: string) =>
    change({
      mods: line.mods.includes(id) ? line.mods.filter((one) => one !== id) : [...line.mods, id],
    });
  return (
    <Dialog title={itemOf(line.sku)?.name ?? line.sku} onClose={onClose}>
      <div class="line-quantity">
        <button
          type="button"
          class="button"
          aria-label="One less"
          disabled={line.qty <= 1}
          onClick={() => change({ qty: line.qty - 1 })}
        >
          <Icon name="minus" />
        </button>
        <output>{line.qty}</output>
        <button
          type="button"
          class="button"
          aria-label="One more"
          disabled={line.qty >= greatestQuantity}
          onClick={() => change({ qty: line.qty + 1 })}
        >
          <Icon name="plus" />
        </button>
        <span class="line-sum">{money(line.qty * unitPrice(line))}</span>
      </div>
      <fieldset class="modifiers">
        <legend>With</legend>
        {modifiersFor(line.sku).map((modifier) => (
          <label key={modifier.id} class="chip">
            <input
              type="checkbox"
              checked={line.mods.includes(modifier.id)}
              onChange={() => toggle(modifier.id)}
            />
            <span>{modifier.name}</span>
            <small>{surcharge(modifier.price)}</small>
          </label>
        ))}
      </fieldset>
      <label class="field">
        <span>Note</span>
        <input
          type="text"
          autoComplete="off"
          maxLength={longestNote}
          value={line.note}
          onInput={(event) => change({ note: event.currentTarget.value })}
          onKeyDown={(event) => event.key === "Enter" && onClose()}
        />
      </label>
      <div class="dialog-actions">
        <button
          type="button"
          class="button is-danger"
          onClick={() => {
            change({ qty: 0 });
            onClose();
          }}
        >
          Take off
        </button>
        <button type="button" class="button is-main" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
