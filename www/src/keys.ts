/** Where a cell lies on the screen; only left, top and the size matter. */
export type Place = { left: number; top: number; width: number; height: number };

/**
 * The cell an arrow key leads to: along reading order for left and right, and for up and down the
 * nearest one of the next row, wherever rows begin and however long they are.
 */
export function neighbour(key: string, at: number, places: readonly Place[]): number | undefined {
  const last = places.length - 1;
  const here = places[at];
  if (!here) return last >= 0 ? 0 : undefined;
  switch (key) {
    case "ArrowRight":
      return at < last ? at + 1 : undefined;
    case "ArrowLeft":
      return at > 0 ? at - 1 : undefined;
    case "Home":
      return 0;
    case "End":
      return last;
    case "ArrowDown":
    case "ArrowUp": {
      const sign = key === "ArrowDown" ? 1 : -1;
      const beyond = places
        .map((place, index) => ({ place, index }))
        .filter(({ place }) => sign * (place.top - here.top) > here.height / 2);
      const row = sign * Math.min(...beyond.map(({ place }) => sign * place.top));
      const middle = (place: Place) => place.left + place.width / 2;
      return beyond
        .filter(({ place }) => Math.abs(place.top - row) < here.height / 2)
        .sort(
          (a, b) =>
            Math.abs(middle(a.place) - middle(here)) - Math.abs(middle(b.place) - middle(here)),
        )[0]?.index;
    }
    default:
      return undefined;
  }
}

/**
 * Digits typed before Enter say how many: `1`, `2`, Enter adds twelve. A third digit starts anew,
 * because nobody sells a hundred flat whites in one line.
 */
export function typeDigit(buffer: string, digit: string): string {
  const next = buffer.length >= 2 ? digit : buffer + digit;
  return next === "0" ? "" : next;
}
