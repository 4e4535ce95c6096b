import { type SyncState, stateWords } from "../words";
import { StateIcon } from "./icons";

/** How far an order has come on its way to the server, in shape, colour and words. */
export function StateMark({ state }: { state: SyncState }) {
  const words = stateWords[state];
  return (
    <span class={`state is-${state}`} data-state={state} title={words.sentence}>
      <StateIcon state={state} />
      {words.label}
    </span>
  );
}
