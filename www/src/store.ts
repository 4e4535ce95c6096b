import {
  type Collection,
  type Conflict,
  type Entity,
  type JsonObject,
  type LiveList,
  type MergePatch,
  type Observable,
  type OutboxEntry,
  type Progress,
  type Resolution,
  type Status,
  SyncManager,
  standard,
} from "holdfast";
import { Cell } from "./cell";
import { DraftBox } from "./draft";
import { dayFloor, newId } from "./ids";
import { menu as dishes } from "./menu";
import { type Order, type OrderStatus, readOrder, shortId } from "./order";
import { type DayReport, readReport } from "./report";
import { Session } from "./session";
import { type Draft, emptyDraft, toOrder } from "./ticket";
import { codeOf, failureWords, type SyncState, statusWords, type Tone } from "./words";

/** Whether the kitchen is out of something; one record per menu item, shared by all tills. */
type Shelf = { soldOut: boolean };
type Documents = { orders: Order; menu: Shelf };

export type Boot =
  | { kind: "opening" }
  | { kind: "ready" }
  | { kind: "failed"; code: string; message: string };
export type OrderView = { id: string; order: Order; state: SyncState; modifiedAt: number };
export type OrdersView = { loading: boolean; complete: boolean; items: readonly OrderView[] };
export type OutboxView = { entries: readonly OutboxEntry[]; conflicts: readonly Conflict[] };
export type Notice = {
  key: number;
  tone: Tone;
  text: string;
  code?: string;
  action?: { label: string; run: () => void };
};

/** Orders of the days before today stay in sight while they are not served. */
const daysKept = 3;

const quiet: Status = {
  kind: "pending",
  since: 0,
  connection: { kind: "connected", reason: "" },
  leader: false,
  outbox: { pending: 0, inFlight: 0, parked: 0, bytes: 0 },
  conflicts: 0,
  storage: { durability: "strict" },
};

/**
 * Everything the page knows. It decides nothing about syncing: it turns what the package says
 * into what is drawn, and what is tapped into calls of the package.
 */
export class Till {
  readonly boot = new Cell<Boot>({ kind: "opening" });
  readonly status = new Cell<Status>(quiet);
  readonly orders = new Cell<OrdersView>({ loading: true, complete: false, items: [] });
  readonly soldOut = new Cell<ReadonlySet<string>>(new Set());
  readonly outbox = new Cell<OutboxView>({ entries: [], conflicts: [] });
  readonly progress = new Cell<Progress | undefined>(undefined);
  readonly notices = new Cell<readonly Notice[]>([]);
  /** What a screen reader says next. */
  readonly spoken = new Cell("");
  readonly draft: Cell<Draft>;
  readonly now = new Cell(Date.now());
  readonly signedIn: Cell<boolean>;
  readonly session: Session;

  #sync: SyncManager<Documents> | undefined;
  #orders: Collection<Order> | undefined;
  #menu: Collection<Shelf> | undefined;
  #stored: readonly OrderView[] = [];
  #given: string | undefined;
  #writing = 0;
  #idle: (() => void)[] = [];
  #refresh: "none" | "running" | "again" = "none";
  #lastKey = 0;

  private constructor(
    readonly name: string,
    box: DraftBox,
    session: Session,
  ) {
    this.session = session;
    session.onJoined = () => {
      this.signedIn.set(true);
      this.#sync?.authenticated();
    };
    this.signedIn = new Cell(this.session.signedIn);
    this.draft = new Cell(box.first);
    this.draft.subscribe((draft) => box.save(draft));
    setInterval(() => this.now.set(Date.now()), 15_000);
  }

  static async start(name: string): Promise<Till> {
    const session = new Session(name);
    const [box] = await Promise.all([DraftBox.open(name), session.join()]);
    const till = new Till(name, box, session);
    void till.open();
    return till;
  }

  async open(): Promise<void> {
    this.boot.set({ kind: "opening" });
    try {
      const sync = await SyncManager.open<Documents>({
        name: `till-${this.name}`,
        remote: standard({ baseUrl: new URL("api", document.baseURI).href }),
        getToken: ({ reason }) => this.#token(reason),
        collections: {
          // A person decides only where two tills changed the same field of one order.
          orders: {
            conflicts: "merge",
            priority: "high",
            indexes: ["createdAt", "status", "total", "staff"],
          },
          menu: { conflicts: "server-wins" },
        },
      });
      await this.#attach(sync);
      this.boot.set({ kind: "ready" });
    } catch (error) {
      this.boot.set({ kind: "failed", ...failureWords(error) });
    }
  }

  /** Resolves once no write is on its way to the disk. */
  idle(): Promise<void> {
    if (this.#writing === 0) return Promise.resolve();
    return new Promise((settle) => this.#idle.push(settle));
  }

  // ---- selling

  /** Changes the ticket. The first item gives it a fresh id, so an id tells when its sale began. */
  ring(change: (draft: Draft) => Draft): void {
    this.draft.update((draft) => {
      const next = change(draft);
      return draft.lines.length === 0 && next.lines.length > 0 ? { ...next, id: newId() } : next;
    });
  }

  async send(): Promise<boolean> {
    const draft = this.draft.getSnapshot();
    const orders = this.#orders;
    if (!orders || draft.lines.length === 0) return false;
    const order = toOrder(draft, { till: this.name, staff: this.session.staff, now: Date.now() });
    const stored = await this.#write(() =>
      orders.create(order, { id: draft.id }).catch((error: unknown) => {
        // Stored before a crash that came before the ticket was cleared: the same sale.
        if (codeOf(error) !== "exists") throw error;
      }),
    );
    if (!stored) return false;
    // Only what was sent is cleared, not what was rung up while it was being stored.
    if (this.draft.getSnapshot().id === draft.id) this.draft.set(emptyDraft(newId()));
    this.say(`Order ${shortId(draft.id)} stored.`);
    return true;
  }

  moveOn(id: string, status: OrderStatus): Promise<boolean> {
    return this.patch(id, { status });
  }

  async patch(id: string, patch: MergePatch<Order>): Promise<boolean> {
    return this.#write(() => this.#orders?.patch(id, patch));
  }

  async voidOrder(id: string): Promise<boolean> {
    const done = await this.#write(() => this.#orders?.remove(id));
    if (done) this.say(`Order ${shortId(id)} voided.`);
    return done;
  }

  async setSoldOut(sku: string, soldOut: boolean): Promise<boolean> {
    return this.#write(async () => {
      const known = await this.#menu?.get(sku);
      if (known) await this.#menu?.patch(sku, { soldOut });
      else await this.#menu?.create({ soldOut }, { id: sku });
    });
  }

  // ---- what needs a person

  retry(opId: string): Promise<boolean> {
    return this.#write(() => this.#sync?.outbox.retry(opId));
  }

  editParked(opId: string, patch: JsonObject): Promise<boolean> {
    return this.#write(() => this.#sync?.outbox.edit(opId, patch));
  }

  async discard(opId: string, dependents: "refuse" | "discard" = "refuse"): Promise<boolean> {
    return this.#write(() => this.#sync?.outbox.discard(opId, { dependents }));
  }

  async resolve(id: string, resolution: Resolution): Promise<"resolved" | "moved" | "failed"> {
    let result: "resolved" | "moved" | "failed" = "failed";
    await this.#write(async () => {
      const answer = await this.#sync?.conflicts.resolve(id, resolution);
      if (answer) result = answer.kind;
    });
    return result;
  }

  // ---- syncing

  async syncNow(): Promise<void> {
    try {
      const report = await this.#sync?.sync({ onProgress: (step) => this.progress.set(step) });
      if (!report?.halted) return;
      this.notify({
        tone: "wait",
        text: statusWords(this.status.getSnapshot()).sentence,
        code: report.halted,
      });
    } catch (error) {
      this.#complain(error);
    } finally {
      this.progress.set(undefined);
    }
  }

  pause(): void {
    this.#sync?.pause();
  }

  resume(): void {
    this.#sync?.resume();
  }

  signIn(staff: string, token: string): void {
    this.session.signIn(staff, token);
    this.signedIn.set(true);
    this.#sync?.authenticated();
  }

  // ---- reporting

  /** Shows the report of the day that begins at `from`, now and whenever an order changes, until the caller is done. */
  watchReport(from: number, show: (report: DayReport | undefined) => void): () => void {
    let state: "idle" | "reading" | "stale" | "done" = "idle";
    const read = async (): Promise<void> => {
      const orders = this.#orders;
      if (!orders || state === "done") return;
      if (state !== "idle") {
        state = "stale";
        return;
      }
      do {
        state = "reading";
        try {
          const next = new Date(from);
          const report = await readReport(orders, from, next.setDate(next.getDate() + 1));
          if ((state as string) !== "done") show(report);
        } catch (error) {
          this.#complain(error);
        }
      } while ((state as string) === "stale");
      if ((state as string) !== "done") state = "idle";
    };
    show(undefined);
    const stop = [this.boot.subscribe(() => void read()), this.orders.subscribe(() => void read())];
    void read();
    return () => {
      state = "done";
      for (const one of stop) one();
    };
  }

  // ---- telling

  say(text: string): void {
    this.spoken.set(text);
  }

  notify(notice: Omit<Notice, "key">): void {
    const key = ++this.#lastKey;
    this.notices.update((all) => [
      ...all.filter((other) => other.text !== notice.text).slice(-3),
      { ...notice, key },
    ]);
    // What has a place of its own in the outbox need not stay; a failed action does.
    if (notice.tone !== "alarm" || notice.action) setTimeout(() => this.dismiss(key), 10_000);
  }

  dismiss(key: number): void {
    this.notices.update((all) => all.filter((notice) => notice.key !== key));
  }

  /** Takes away the notices that only lead to the outbox. */
  dismissPointers(): void {
    this.notices.update((all) => all.filter((notice) => !notice.action));
  }

  // ---- inside

  async #attach(sync: SyncManager<Documents>): Promise<void> {
    this.#sync = sync;
    this.#orders = sync.collection("orders");
    this.#menu = sync.collection("menu");
    follow(sync.status, (status) => this.#onStatus(status));
    // Ids begin with their time, so a day is a lower bound for the ids to read.
    follow(this.#orders.live({ after: dayFloor(Date.now() - daysKept * 86_400_000) }), (list) =>
      this.#onOrders(list),
    );
    follow(this.#menu.live(), (list) => this.#onMenu(list));
    sync.on("progress", (step) => this.progress.set(step));
    sync.on("cycle", () => {
      this.progress.set(undefined);
      this.#readOutbox();
    });
    sync.on("change", () => this.#readOutbox());
    sync.on("conflict", (conflict) => {
      this.notify({
        tone: "alarm",
        text: `Order ${shortId(conflict.entityId)} was changed on two tills.`,
        action: { label: "Decide", run: () => go(`conflict/${conflict.id}`) },
      });
    });
    sync.on("parked", (entry) => {
      if (entry.why !== "rejected") return;
      this.notify({
        tone: "alarm",
        text: `The server refused order ${shortId(entry.entityId)}.`,
        code: entry.code,
        action: { label: "Outbox", run: () => go("outbox") },
      });
    });
    sync.on("fatal", (error) => this.#complain(error));
    await this.#forgetSentDraft();
  }

  #token(reason: "initial" | "refused"): string | undefined {
    // Forget the token that was refused, not one that somebody has typed in meanwhile.
    if (reason === "refused" && this.session.token === this.#given) {
      this.session.forgetToken();
      this.signedIn.set(false);
    }
    this.#given = this.session.token;
    return this.#given;
  }

  /** A crash between "order stored" and "ticket cleared" leaves both; the order is the truth. */
  async #forgetSentDraft(): Promise<void> {
    const draft = this.draft.getSnapshot();
    if (await this.#orders?.get(draft.id)) this.draft.set(emptyDraft(newId()));
  }

  #onStatus(status: Status): void {
    const before = this.status.getSnapshot();
    this.status.set(status);
    if (before.kind !== status.kind && status.kind !== "syncing")
      this.say(statusWords(status).label);
    if (status.kind !== "syncing") this.progress.set(undefined);
    this.#readOutbox();
  }

  #onOrders(list: LiveList<Order>): void {
    if (list.state === "loading") return;
    if (list.state === "error") {
      this.#complain(list.error);
      return;
    }
    this.#stored = list.items.map(viewOf);
    this.#drawOrders(list.complete);
    this.#readOutbox();
  }

  #onMenu(list: LiveList<Shelf>): void {
    if (list.state !== "ready") return;
    const known = new Set(dishes.map((dish) => dish.sku));
    const out = list.items.filter((item) => item.document.soldOut === true && known.has(item.id));
    this.soldOut.set(new Set(out.map((item) => item.id)));
  }

  /**
   * A refused new order is in no list, because the server does not have it; the customer still
   * waits for it. The outbox holds it as it was last seen, so it is drawn from there.
   */
  #drawOrders(complete = this.orders.getSnapshot().complete): void {
    const listed = new Set(this.#stored.map((item) => item.id));
    const refused = this.outbox.getSnapshot().entries.flatMap((entry): OrderView[] => {
      if (entry.collection !== "orders" || listed.has(entry.entityId)) return [];
      if (entry.state !== "parked" || entry.why !== "rejected" || !entry.snapshot) return [];
      return [
        {
          id: entry.entityId,
          order: readOrder(entry.snapshot),
          state: "rejected",
          modifiedAt: entry.at,
        },
      ];
    });
    const items = [...this.#stored, ...refused].sort(
      (a, b) => b.order.createdAt - a.order.createdAt,
    );
    this.orders.set({ loading: false, complete, items });
  }

  #readOutbox(): void {
    const sync = this.#sync;
    if (!sync) return;
    if (this.#refresh !== "none") {
      this.#refresh = "again";
      return;
    }
    this.#refresh = "running";
    Promise.all([sync.outbox.list({ limit: 300 }), sync.conflicts.list()])
      .then(([entries, conflicts]) => {
        this.outbox.set({ entries, conflicts });
        this.#drawOrders();
      })
      .catch((error: unknown) => this.#complain(error))
      .finally(() => {
        const again = this.#refresh === "again";
        this.#refresh = "none";
        if (again) this.#readOutbox();
      });
  }

  async #write(run: () => Promise<unknown> | undefined): Promise<boolean> {
    this.#writing += 1;
    try {
      await run();
      this.#readOutbox();
      return true;
    } catch (error) {
      this.#complain(error);
      return false;
    } finally {
      this.#writing -= 1;
      if (this.#writing === 0) for (const settle of this.#idle.splice(0)) settle();
    }
  }

  #complain(error: unknown): void {
    const { code, message } = failureWords(error);
    if (code === "aborted" || code === "closed") return;
    this.notify({ tone: "alarm", text: message, code });
  }
}

function viewOf(item: Entity<Order>): OrderView {
  return {
    id: item.id,
    order: readOrder(item.document),
    state: item.meta.state,
    modifiedAt: item.meta.modifiedAt,
  };
}

function follow<T>(source: Observable<T>, listener: (value: T) => void): void {
  source.subscribe(listener);
  listener(source.getSnapshot());
}

/** Views are named in the fragment, so the back button works and a reload stays where it was. */
export function go(view: string): void {
  location.hash = view;
}
