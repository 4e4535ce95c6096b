import { useEffect, useReducer, useRef } from "preact/hooks";

/** The one subscription contract of the package; the page's own values follow it too. */
export type Source<T> = {
  readonly subscribe: (listener: (snapshot: T) => void) => () => void;
  readonly getSnapshot: () => T;
};

export class Cell<T> implements Source<T> {
  #value: T;
  readonly #listeners = new Set<(snapshot: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  readonly getSnapshot = (): T => this.#value;

  readonly subscribe = (listener: (snapshot: T) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }
}

/** Draws the component again whenever `source` changes. */
export function useSnapshot<T>(source: Source<T>): T {
  const [, redraw] = useReducer((count: number, _: unknown) => count + 1, 0);
  const drawn = source.getSnapshot();
  const last = useRef(drawn);
  last.current = drawn;
  useEffect(() => {
    const stop = source.subscribe(redraw);
    // A change between drawing and subscribing would be missed otherwise.
    if (!Object.is(last.current, source.getSnapshot())) redraw(undefined);
    return stop;
  }, [source]);
  return drawn;
}
