import { Dialog } from "./Dialog";

const keys: readonly [keys: string[], what: string][] = [
  [["←", "↑", "→", "↓"], "move in the menu"],
  [["⏎"], "put the item on the ticket"],
  [["1", "…", "99"], "how many of the next item"],
  [["["], "category before; ] the next one"],
  [["Ctrl", "⏎"], "send the ticket"],
  [["+"], "one more of the line in focus; − one less; Del takes it off"],
  [["M"], "to the menu; T to the table"],
  [["S"], "sell; O orders; B outbox; R report"],
  [["N"], "sync now"],
  [["Esc"], "close, or forget the typed number"],
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {keys.map(([names, what]) => (
          <div key={what}>
            <dt>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
