import type { Cents } from "./money";

export type CategoryId = "coffee" | "morning" | "pan" | "sides" | "cold" | "sweet";
export type Category = { id: CategoryId; name: string };
export type Modifier = { id: string; name: string; price: Cents };
export type MenuItem = { sku: string; name: string; price: Cents; category: CategoryId };

export const categories: readonly Category[] = [
  { id: "coffee", name: "Coffee & tea" },
  { id: "morning", name: "Morning" },
  { id: "pan", name: "From the pan" },
  { id: "sides", name: "On the side" },
  { id: "cold", name: "Cold drinks" },
  { id: "sweet", name: "Sweet" },
];

const list = (category: CategoryId, ...rows: [sku: string, name: string, price: Cents][]) =>
  rows.map(([sku, name, price]): MenuItem => ({ sku, name, price, category }));

export const menu: readonly MenuItem[] = [
  ...list(
    "coffee",
    ["filter", "Filter coffee", 280],
    ["espresso", "Espresso", 240],
    ["flat-white", "Flat white", 360],
    ["cappuccino", "Cappuccino", 350],
    ["mocha", "Harbour mocha", 420],
    ["earl-grey", "Earl Grey, pot", 330],
    ["ginger-tea", "Ginger & lemon", 350],
  ),
  ...list(
    "morning",
    ["porridge", "Porridge & pear", 620],
    ["eggs-rye", "Soft eggs on rye", 790],
    ["trout-bagel", "Smoked trout bagel", 950],
    ["granola", "Granola & yoghurt", 680],
    ["knot", "Cinnamon knot", 340],
  ),
  ...list(
    "pan",
    ["fish-chips", "Fish & chips", 1390],
    ["mussels", "Mussels in cider", 1450],
    ["crab-roll", "Crab roll", 1620],
    ["chowder", "Chowder", 890],
    ["halloumi", "Halloumi bun", 1180],
    ["noodles", "Seaweed noodles", 1240],
  ),
  ...list(
    "sides",
    ["chips", "Chips", 420],
    ["slaw", "Fennel slaw", 350],
    ["sourdough", "Sourdough & butter", 280],
    ["pickles", "Pickles", 260],
    ["greens", "Green leaves", 450],
  ),
  ...list(
    "cold",
    ["lemonade", "Lemonade", 340],
    ["apple", "Apple juice", 320],
    ["water", "Sparkling water", 260],
    ["kombucha", "Kelp kombucha", 450],
    ["lager", "Harbour lager", 520],
    ["cider", "Dry cider", 540],
  ),
  ...list(
    "sweet",
    ["tart", "Almond tart", 480],
    ["brownie", "Sea-salt brownie", 420],
    ["crumble", "Rhubarb crumble", 560],
    ["scoops", "Two scoops", 440],
  ),
];

const offered: Record<CategoryId, readonly Modifier[]> = {
  coffee: [
    { id: "oat", name: "Oat milk", price: 50 },
    { id: "extra-shot", name: "Extra shot", price: 80 },
    { id: "decaf", name: "Decaf", price: 0 },
    { id: "to-go", name: "To go", price: 0 },
  ],
  morning: [
    { id: "gluten-free", name: "Gluten-free bread", price: 120 },
    { id: "no-butter", name: "No butter", price: 0 },
    { id: "extra-egg", name: "Extra egg", price: 150 },
  ],
  pan: [
    { id: "gluten-free", name: "Gluten-free", price: 120 },
    { id: "extra-aioli", name: "Extra aioli", price: 90 },
    { id: "no-onion", name: "No onion", price: 0 },
    { id: "small", name: "Small portion", price: -300 },
  ],
  sides: [
    { id: "large", name: "Large", price: 150 },
    { id: "no-salt", name: "No salt", price: 0 },
  ],
  cold: [
    { id: "no-ice", name: "No ice", price: 0 },
    { id: "large", name: "Large", price: 120 },
  ],
  sweet: [
    { id: "cream", name: "With cream", price: 80 },
    { id: "to-go", name: "To go", price: 0 },
  ],
};

const bySku = new Map(menu.map((item) => [item.sku, item]));

export function itemOf(sku: string): MenuItem | undefined {
  return bySku.get(sku);
}

export function itemsIn(category: CategoryId): readonly MenuItem[] {
  return menu.filter((item) => item.category === category);
}

export function modifiersFor(sku: string): readonly Modifier[] {
  const item = bySku.get(sku);
  return item ? offered[item.category] : [];
}
