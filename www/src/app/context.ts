import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Till } from "../store";

const context = createContext<Till | undefined>(undefined);
export const TillProvider = context.Provider;

export function useTill(): Till {
  const till = useContext(context);
  if (!till) throw new Error("no till around this component");
  return till;
}
