/** Measures of one name that are kept in the browser's buffer; a profiler that runs has seen the earlier ones. */
const KEPT = 100;

/** What the core does, as User Timing measures. Where the platform has none, nothing happens. */
export class Spells {
  readonly #began = new Map<string, number>();
  readonly #kept = new Map<string, number>();

  /** `spell` is a name and a number: `"push 7"`. */
  began(spell: string): void {
    if (typeof globalThis.performance?.measure !== "function") return;
    // One that was broken off never ends.
    if (this.#began.size > KEPT) this.#began.clear();
    this.#began.set(spell, performance.now());
  }

  ended(spell: string): void {
    const start = this.#began.get(spell);
    if (start === undefined) return;
    this.#began.delete(spell);
    const name = `holdfast:${spell.slice(0, spell.indexOf(" "))}`;
    const kept = this.#kept.get(name) ?? 0;
    try {
      // Only our own: the buffer is the page's, and nobody else empties it.
      if (kept >= KEPT) performance.clearMeasures?.(name);
      performance.measure(name, { start, end: performance.now() });
      this.#kept.set(name, kept >= KEPT ? 1 : kept + 1);
    } catch {
      // An old platform takes no times here.
    }
  }
}
