// Records to measure with: orders of a till, about 660 bytes of JSON each. The same number gives the same
// order in the page and in the server, so that either can check the other.

const DISHES = [
  "Espresso",
  "Flat White",
  "Crème brûlée",
  "Club Sandwich",
  "Garden Salad",
  "Still Water 0.5 l",
  "Soup of the Day",
  "Pizza Margherita",
  "Cheesecake",
  "House Red 0.2 l",
  "Veggie Burger",
];
const STATES = ["open", "paid", "paid", "paid", "paid", "served", "refunded", "void"];

/** Numbers from 0 to `below`, always the same ones for a seed. */
function dice(seed) {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export function idOf(number, prefix) {
  return `${prefix}-${String(number).padStart(6, "0")}-${dice(number)(0xffffff).toString(16)}`;
}

/** Order `number` as `{id, document}`; those of another prefix are other orders. */
export function orderOf(number, prefix) {
  const roll = dice(number * 2 + (prefix === "server" ? 1 : 0));
  const lines = Array.from({ length: 4 }, () => {
    const dish = roll(DISHES.length);
    const quantity = 1 + roll(3);
    const cents = 180 + roll(2000);
    return {
      sku: `SKU-${1000 + dish}`,
      name: DISHES[dish],
      quantity,
      unitCents: cents,
      taxRate: 19,
      lineCents: quantity * cents,
    };
  });
  const net = lines.reduce((sum, line) => sum + line.lineCents, 0);
  const tax = Math.round(net * 0.19);
  const at = 1_760_000_000_000 + number * 1000;
  const document = {
    number: `POS-2026-${String(number).padStart(6, "0")}`,
    status: STATES[roll(STATES.length)],
    register: `register-${roll(12)}`,
    cashier: `cashier-${100 + roll(60)}`,
    customer: roll(10) < 3 ? `customer-${roll(90_000)}` : null,
    currency: "EUR",
    lines,
    net,
    tax,
    total: net + tax,
    payment: { method: roll(10) < 6 ? "card" : "cash", reference: `ref-${roll(1e9)}` },
    note: roll(4) === 0 ? "no onions please, extra napkins" : "",
    openedAt: at,
    closedAt: at + roll(900_000),
  };
  return { id: idOf(number, prefix), document };
}

export function ordersOf(from, count, prefix) {
  return Array.from({ length: count }, (_, at) => orderOf(from + at, prefix));
}
