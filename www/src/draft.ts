import { newId } from "./ids";
import { type Draft, emptyDraft, isBlank, parseDraft } from "./ticket";

/** How long a reloaded page waits for the one before it, in ms. */
const patience = 1000;

/**
 * The half-made ticket of this tab, kept in local storage so that it outlives a reload and a
 * killed browser alike. Each tab has its own, under a name it holds a Web Lock for; a tab that
 * starts without one takes over a draft whose lock nobody holds, which is how a ticket comes back
 * after a crash without two tabs ever sharing it.
 */
export class DraftBox {
  private constructor(
    private readonly key: string,
    readonly first: Draft,
  ) {}

  static async open(till: string): Promise<DraftBox> {
    const prefix = `till.${till}.draft.`;
    const own = sessionStorage.getItem(`till.${till}.tab`);
    const stored = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    // After a reload the page before may not have let go yet: wait for the own name. In vain when
    // the tab was duplicated, because session storage is copied with it.
    if (own && (await hold(prefix + own, patience))) {
      const draft = parseDraft(localStorage.getItem(prefix + own));
      return DraftBox.#claim(till, prefix, prefix + own, draft);
    }
    for (const key of stored) {
      if (key === prefix + own || !(await hold(key))) continue;
      const draft = parseDraft(localStorage.getItem(key));
      if (draft) return DraftBox.#claim(till, prefix, key, draft);
      localStorage.removeItem(key);
    }
    const key = prefix + crypto.randomUUID();
    await hold(key);
    return DraftBox.#claim(till, prefix, key, undefined);
  }

  static #claim(till: string, prefix: string, key: string, draft: Draft | undefined): DraftBox {
    sessionStorage.setItem(`till.${till}.tab`, key.slice(prefix.length));
    return new DraftBox(key, draft ?? emptyDraft(newId()));
  }

  save(draft: Draft): void {
    try {
      if (isBlank(draft)) localStorage.removeItem(this.key);
      else localStorage.setItem(this.key, JSON.stringify(draft));
    } catch {
      // Storage refused (full, or switched off): the ticket is still on screen and can be sent.
    }
  }
}

/** Takes a Web Lock for as long as this page lives. False: another tab has it. */
function hold(name: string, patience = 0): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  const options = patience ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true };
  return new Promise((settle) => {
    navigator.locks
      .request(name, options, (lock) => {
        settle(lock !== null);
        return lock ? new Promise<never>(() => undefined) : undefined;
      })
      .catch(() => settle(false));
  });
}
