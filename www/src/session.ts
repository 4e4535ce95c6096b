type Words = { ask: true } | { staff: string; token: string };

/** How long a new tab waits for another one of its till to say who is signed in, in ms. */
const courtesy = 100;

/**
 * Who stands at this till. The token lives in this tab (memory and session storage) and dies with
 * the browser: it is a secret and must not lie in storage that outlives the person using it. The
 * name is no secret and is remembered, so that orders sold offline still carry it. Tabs of one
 * till tell each other, because any of them may have to take over sending.
 */
export class Session {
  #token: string | undefined;
  #staff: string;
  readonly #tabs: BroadcastChannel;
  /** Called when another tab has signed in. */
  onJoined: () => void = () => undefined;

  constructor(
    readonly till: string,
    private readonly tab: Storage = sessionStorage,
    private readonly device: Storage = localStorage,
  ) {
    this.#token = tab.getItem(this.#key("token")) ?? undefined;
    this.#staff = device.getItem(this.#key("staff")) ?? "";
    this.#tabs = new BroadcastChannel(this.#key("session"));
    this.#tabs.addEventListener("message", ({ data }: MessageEvent<Words>) => {
      if ("ask" in data) this.#tell();
      else if (!this.signedIn) {
        this.#keep(data.staff, data.token);
        this.onJoined();
      }
    });
  }

  /** Asks the other tabs of this till, and waits a moment for an answer. */
  async join(): Promise<void> {
    if (this.signedIn) return;
    const answered = new Promise<void>((settle) => {
      this.onJoined = settle;
    });
    this.#tabs.postMessage({ ask: true } satisfies Words);
    await Promise.race([answered, new Promise((settle) => setTimeout(settle, courtesy))]);
  }

  get staff(): string {
    return this.#staff;
  }

  get signedIn(): boolean {
    return this.#token !== undefined;
  }

  get token(): string | undefined {
    return this.#token;
  }

  signIn(staff: string, token: string): void {
    this.#keep(staff, token);
    this.#tell();
  }

  #tell(): void {
    if (this.#token === undefined) return;
    this.#tabs.postMessage({ staff: this.#staff, token: this.#token } satisfies Words);
  }

  #keep(staff: string, token: string): void {
    this.#staff = staff;
    this.#token = token;
    this.device.setItem(this.#key("staff"), staff);
    this.tab.setItem(this.#key("token"), token);
  }

  /** The server refused the token: forget it, ask again, keep selling. */
  forgetToken(): void {
    this.#token = undefined;
    this.tab.removeItem(this.#key("token"));
  }

  #key(name: string): string {
    return `till.${this.till}.${name}`;
  }
}
