/**
 * Who stands at this till. The token lives in this tab (memory and session storage) and dies with
 * the browser: it is a secret and must not lie in storage that outlives the person using it. The
 * name is no secret and is remembered, so that orders sold offline still carry it.
 */
export class Session {
  #token: string | undefined;
  #staff: string;

  constructor(
    readonly till: string,
    private readonly tab: Storage = sessionStorage,
    private readonly device: Storage = localStorage,
  ) {
    this.#token = tab.getItem(this.#key("token")) ?? undefined;
    this.#staff = device.getItem(this.#key("staff")) ?? "";
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
