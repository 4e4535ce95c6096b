/**
 * Ids of sales: a UUIDv7, whose first 48 bits are its time. The ticket gets its id before it is
 * sent, so the page makes it and not the package.
 */
export function newId(
  now = Date.now(),
  random = crypto.getRandomValues(new Uint8Array(10)),
): string {
  const hex = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[(random[2] ?? 0) & 3];
  const time = now.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-${variant}${hex.slice(5, 8)}-${hex.slice(8)}`;
}

/** No id made at or after `at` sorts before this. */
export function timeFloor(at: number): string {
  const time = Math.max(0, at).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}

/** The same for the midnight before `at`. */
export function dayFloor(at: number): string {
  return timeFloor(new Date(at).setHours(0, 0, 0, 0));
}
