import { Cell } from "./cell";
import type { Till } from "./store";

/** `waiting`: a new version is installed and waits. `taken`: another tab has moved on to it already. */
export type Freshness = "current" | "waiting" | "taken";

const hourly = 3_600_000;

/** Registers the service worker, which keeps the app shell for offline starts. */
export function watchForUpdates(): Cell<Freshness> {
  const freshness = new Cell<Freshness>("current");
  const container = navigator.serviceWorker;
  if (!container) return freshness;
  // The first worker ever also "takes over"; that is no update.
  const updating = container.controller !== null;
  container.addEventListener("controllerchange", () => {
    if (updating) freshness.set("taken");
  });
  container
    .register(new URL("sw.js", document.baseURI), { updateViaCache: "none" })
    .then((registration) => {
      const look = () => {
        if (registration.waiting && container.controller) freshness.set("waiting");
      };
      look();
      registration.addEventListener("updatefound", () =>
        registration.installing?.addEventListener("statechange", look),
      );
      setInterval(() => void registration.update().catch(() => undefined), hourly);
    })
    // Without a worker the till works, but does not start offline: not worth a word to the cashier.
    .catch((error: unknown) => console.warn("no service worker:", error));
  return freshness;
}

/** Moves this tab to the new version; never while a write is on its way to the disk. */
export async function reloadInto(till: Pick<Till, "idle">, freshness: Freshness): Promise<void> {
  await till.idle();
  const waiting = (await navigator.serviceWorker.getRegistration())?.waiting;
  if (freshness === "waiting" && waiting) {
    const moved = new Promise((settle) => {
      navigator.serviceWorker.addEventListener("controllerchange", settle, { once: true });
    });
    waiting.postMessage("activate");
    await moved;
    await till.idle();
  }
  location.reload();
}
