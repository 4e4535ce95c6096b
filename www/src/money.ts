/** Money is whole cents everywhere; it becomes text only here. */
export type Cents = number;

const euro = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });

/** `1250` becomes `€12.50`. */
export function money(cents: Cents): string {
  return euro.format(cents / 100);
}

/** A price difference with its sign: `+€0.50`, or nothing at all for zero. */
export function surcharge(cents: Cents): string {
  if (cents === 0) return "";
  return cents > 0 ? `+${money(cents)}` : `−${money(-cents)}`;
}
