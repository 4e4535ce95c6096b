import { useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { money } from "../money";
import { pieces } from "../order";
import { draftTotal } from "../ticket";
import { useTill } from "./context";
import { Menu } from "./Menu";
import { Recent } from "./Recent";
import { Ticket } from "./Ticket";

export function Sell() {
  const till = useTill();
  const draft = useSnapshot(till.draft);
  // Only a phone shows one of the two at a time.
  const [pane, setPane] = useState<"menu" | "ticket">("menu");
  const count = pieces(draft.lines);
  return (
    <main class="sell" data-pane={pane}>
      <h1 class="unseen">Sell</h1>
      <div class="sell-menu">
        <Menu />
        <Recent />
      </div>
      <Ticket onBack={() => setPane("menu")} onSent={() => setPane("menu")} />
      <button
        type="button"
        class="ticket-bar"
        onClick={() => setPane("ticket")}
        disabled={count === 0}
      >
        <span class="ticket-bar-count">{count}</span>
        <span>{count === 0 ? "Tap the menu to begin" : "To the ticket"}</span>
        <span class="ticket-bar-total">{money(draftTotal(draft))}</span>
      </button>
    </main>
  );
}
