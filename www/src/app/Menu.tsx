import { useEffect, useRef, useState } from "preact/hooks";
import { useSnapshot } from "../cell";
import { neighbour, typeDigit } from "../keys";
import { type CategoryId, categories, itemsIn, type MenuItem, menu } from "../menu";
import { money } from "../money";
import { addItem } from "../ticket";
import { useTill } from "./context";
import { CategoryIcon, Icon } from "./icons";
import { shortcutsApply } from "./shortcuts";

/**
 * The whole menu as one grid: one stop for Tab, arrows move inside, digits before Enter say how
 * many. The categories above jump to their part.
 */
export function Menu() {
  const till = useTill();
  const soldOut = useSnapshot(till.soldOut);
  const { lines } = useSnapshot(till.draft);
  const [marking, setMarking] = useState(false);
  const [count, setCount] = useState("");
  const [current, setCurrent] = useState(menu[0]?.sku);
  const [category, setCategory] = useState(categories[0]?.id);
  const grid = useRef<HTMLDivElement>(null);
  // The last parts cannot reach the top, so what was jumped to stays marked until a hand scrolls.
  const jumped = useRef(false);
  const byHand = () => {
    jumped.current = false;
  };

  const jump = (id: CategoryId, focus: boolean) => {
    const section = grid.current?.querySelector<HTMLElement>(`[data-section="${id}"]`);
    grid.current?.scrollTo({ top: section?.offsetTop ?? 0 });
    jumped.current = true;
    setCategory(id);
    if (focus) section?.querySelector<HTMLElement>(".tile")?.focus({ preventScroll: true });
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!shortcutsApply(event)) return;
      const forward = event.key === "]" || event.key === "PageDown";
      if (/^[0-9]$/.test(event.key)) setCount((typed) => typeDigit(typed, event.key));
      else if (event.key === "Escape") setCount("");
      else if (forward || event.key === "[" || event.key === "PageUp") {
        event.preventDefault();
        const at = categories.findIndex((one) => one.id === category) + (forward ? 1 : -1);
        const next = categories[(at + categories.length) % categories.length];
        if (next) jump(next.id, true);
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const choose = (item: MenuItem) => {
    if (marking) return void till.setSoldOut(item.sku, !soldOut.has(item.sku));
    if (soldOut.has(item.sku)) return till.say(`${item.name} is sold out.`);
    const qty = Number(count) || 1;
    till.ring((draft) => addItem(draft, item.sku, qty));
    till.say(`${qty} ${item.name} added.`);
    setCount("");
  };

  const onArrow = (event: KeyboardEvent) => {
    const tiles = [...(grid.current?.querySelectorAll<HTMLElement>(".tile") ?? [])];
    const at = tiles.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    const to = neighbour(
      event.key,
      at,
      tiles.map((tile) => tile.getBoundingClientRect()),
    );
    if (to === undefined) return;
    event.preventDefault();
    byHand();
    tiles[to]?.focus();
  };

  const onScroll = () => {
    const box = grid.current;
    if (!box || jumped.current) return;
    const end = box.scrollTop + box.clientHeight >= box.scrollHeight - 2;
    const sections = [...box.querySelectorAll<HTMLElement>("[data-section]")];
    const seen = end
      ? sections.at(-1)
      : sections.filter((one) => one.offsetTop <= box.scrollTop + 40).at(-1);
    const known = categories.find((one) => one.id === seen?.dataset["section"]);
    if (known) setCategory(known.id);
  };

  return (
    <section class="menu" aria-label="Menu">
      <div class="menu-head">
        <nav class="tabs" aria-label="Categories">
          {categories.map(({ id, name }) => (
            <button
              key={id}
              type="button"
              class={`tab cat-${id}`}
              data-category={id}
              aria-current={id === category ? "true" : undefined}
              onClick={() => jump(id, false)}
            >
              {name}
            </button>
          ))}
        </nav>
        <button
          type="button"
          class="button is-quiet marking"
          aria-pressed={marking}
          aria-label="Mark what is sold out"
          onClick={() => setMarking(!marking)}
        >
          <Icon name="crossed" />
          <span>{marking ? "Done" : "Sold out…"}</span>
        </button>
      </div>
      {(marking || count) && (
        <p class="menu-hint">
          {marking ? "Tap what the kitchen is out of. Every till sees it." : `Next: ${count} ×`}
        </p>
      )}
      <div
        ref={grid}
        class="grid"
        role="toolbar"
        aria-label="Items"
        data-marking={marking}
        onKeyDown={onArrow}
        onScroll={onScroll}
        onWheel={byHand}
        onTouchMove={byHand}
      >
        {categories.map(({ id, name }) => (
          <section key={id} data-section={id} class={`cat-${id}`} aria-label={name}>
            <h2 class="grid-head">{name}</h2>
            <div class="grid-tiles">
              {itemsIn(id).map((item) => (
                <Tile
                  key={item.sku}
                  item={item}
                  qty={lines
                    .filter((line) => line.sku === item.sku)
                    .reduce((sum, line) => sum + line.qty, 0)}
                  soldOut={soldOut.has(item.sku)}
                  marking={marking}
                  tabbable={item.sku === current}
                  onFocus={() => setCurrent(item.sku)}
                  onChoose={() => choose(item)}
                />
              ))}
            </div>
          </section>
        ))}
      </div>
    </section>
  );
}

type TileProps = {
  item: MenuItem;
  qty: number;
  soldOut: boolean;
  marking: boolean;
  tabbable: boolean;
  onFocus: () => void;
  onChoose: () => void;
};

function Tile({ item, qty, soldOut, marking, tabbable, onFocus, onChoose }: TileProps) {
  return (
    <button
      type="button"
      class="tile"
      data-sku={item.sku}
      aria-disabled={soldOut && !marking}
      aria-pressed={marking ? soldOut : undefined}
      tabIndex={tabbable ? 0 : -1}
      onFocus={onFocus}
      onClick={onChoose}
    >
      <CategoryIcon category={item.category} />
      <span class="tile-name">{item.name}</span>
      <span class="tile-price">{money(item.price)}</span>
      {qty > 0 && (
        <span class="tile-count">
          {qty}
          <span class="unseen"> on the ticket</span>
        </span>
      )}
      {soldOut && <span class="tile-out">Sold out</span>}
    </button>
  );
}
