import { useSnapshot } from "../cell";
import { money } from "../money";
import { shortId } from "../order";
import { useTill } from "./context";
import { StateMark } from "./StateMark";

/** The last few sales with their way to the server, in sight of whoever just pressed Send. */
export function Recent() {
  const till = useTill();
  const { items } = useSnapshot(till.orders);
  if (items.length === 0) return null;
  return (
    <section class="recent" aria-label="Last orders">
      <h2>Last orders</h2>
      <ul>
        {items.slice(0, 6).map(({ id, order, state }) => (
          <li key={id}>
            <a href={`#order/${id}`}>
              <strong>{shortId(id)}</strong>
              <span>{money(order.total)}</span>
              <StateMark state={state} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
