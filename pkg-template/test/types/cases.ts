import type {
  Code,
  Conflict,
  Entity,
  JsonObject,
  OutboxEntry,
  Outcome,
  Receipt,
  StandardSchema,
} from "holdfast";
import {
  defineRemote,
  HoldfastError,
  init,
  isHoldfastError,
  monotonic,
  SyncManager,
  standard,
} from "holdfast";
import { SyncManager as InlineManager } from "holdfast/inline";
import { init as slimInit } from "holdfast/slim";

interface Order {
  table: number;
  status: "open" | "paid";
  note?: string;
  lines: { name: string; cents: number }[];
  customerId?: string;
  address: { city: string; zip?: string };
  owner: string | null;
}
interface Customer {
  name: string;
}
interface Documents {
  orders: Order;
  customers: Customer;
}

const remote = standard({ baseUrl: "/api" });

// Types named by hand.
const sync = await SyncManager.open<Documents>({
  name: "till-7",
  user: "u",
  tenant: "t",
  remote,
  getToken: async ({ reason, signal }) =>
    signal.aborted || reason === "refused" ? undefined : "token",
  collections: {
    orders: {
      conflicts: "merge",
      references: { customerId: "customers" },
      coalesce: false,
      priority: "high",
      idField: "note",
      fields: {
        table: "counter",
        status: monotonic(["open", "paid"]),
        lines: "append",
        note: "max",
        address: "client",
        owner: "manual",
      },
    },
    customers: {
      conflicts: { updateUpdate: "last-write-wins", deleteUpdate: "client-wins" },
    },
  },
  onConflict: async (conflict, { signal }) => {
    void (conflict.kind satisfies string);
    if (signal.aborted || conflict.theirs === null) return "defer";
    if (conflict.collection === "customers") {
      return { merged: { name: conflict.mine?.name ?? conflict.theirs.name } };
    }
    return conflict.theirs.status === "paid" ? { keep: "theirs" } : { fields: { note: "mine" } };
  },
});
const orders = sync.collection("orders");
const order: Order = {
  table: 1,
  status: "open",
  lines: [{ name: "Taco", cents: 875 }],
  address: { city: "X" },
  owner: null,
};
const receipt: Receipt = await orders.create(order, { id: "order-1", priority: "high" });
const outcome: Outcome = await receipt.synced;
if (outcome.kind === "rejected") void (outcome.code satisfies string);
await orders.patch("a", { status: "paid", note: null, address: { zip: null }, lines: [] });
await orders.replace("a", order);
await orders.remove("a");
const entity: Entity<Order> | undefined = await orders.get("a");
void entity?.document.table.toFixed();
const page = await orders.list({ limit: 10 });
await orders.list({ after: page.next });
await orders.list({
  where: { status: "open", table: { gte: 3, lt: 9 }, "guest.name": "Ada", $state: "pending" },
  orderBy: ["table", { field: "status", direction: "desc" }],
});
await orders.list({
  where: { $or: [{ status: { in: ["open", "paid"] } }, { $not: { table: 7 } }] },
});
const totals = await orders.aggregate({
  groupBy: { field: "table", step: 10 },
  sum: "table",
  max: "status",
});
void (totals.groups[0]?.sum?.["table"] satisfies number | null | undefined);
const stop: () => void = orders.live().subscribe((list) => {
  if (list.state === "ready") void list.items[0]?.document.status;
  if (list.state === "error") void (list.error.code satisfies Code);
});
stop();
sync.on("progress", (progress) => void progress.done.toFixed());
sync.on("change", (changes) => void changes[0]?.ids);
sync.on("fatal", (error) => void (error satisfies HoldfastError));
sync.on("auth-required", ({ reason }) => void reason);
const parked = await sync.outbox.list({ state: "parked" });
for (const entry of parked) {
  if (entry.why === "rejected") void (entry.snapshot satisfies JsonObject | null);
  if (entry.why === "conflicted") void (entry.conflictId satisfies string);
}
const all: OutboxEntry[] = await sync.outbox.list();
void all;
const conflicts: Conflict[] = await sync.conflicts.list();
void conflicts;
await sync.conflicts.resolve("c", { keep: "mine" });
await sync.conflicts.resolve("c", { merged: null });
await sync.conflicts.resolve("c", { fields: { note: "theirs" } });
const restored: Receipt = await sync.conflicts.restore("c", { signal: AbortSignal.timeout(1) });
void restored.synced;
await sync.sync({ onProgress: (p) => void p.total, signal: AbortSignal.timeout(1) });
await sync.drain();
await using disposable = sync;
void disposable.name;
void init;
void slimInit;
void InlineManager;

// Types taken from validators; a collection without one holds any JSON.
declare const schema: StandardSchema<Order>;
const inferred = await SyncManager.open({
  name: "till-7",
  remote: defineRemote({
    capabilities: { groups: false },
    async push(batch, { token, signal }) {
      void token;
      void signal.aborted;
      return {
        outcomes: batch.operations.map((operation) => {
          if (operation.kind === "change") void (operation.patch satisfies JsonObject);
          return { opId: operation.opId, kind: "applied", version: 1 };
        }),
      };
    },
    async pull({ cursor }) {
      return {
        changes: [{ collection: "orders", id: "a", version: 1, document: null }],
        cursor,
        more: false,
      };
    },
  }),
  collections: {
    orders: { schema, references: { customerId: "anything" } },
    anything: { references: { a: "orders" }, fields: { b: "set", c: monotonic(["x", "y"]) } },
  },
});
const table: number | undefined = (await inferred.collection("orders").get("a"))?.document.table;
void table;
await inferred.collection("anything").create({ a: 1, b: [{ c: null }] });
await inferred.collection("anything").patch("a", { a: null, b: { c: null }, d: [1] });

// @ts-expect-error there is no such collection
sync.collection("sales");
// @ts-expect-error there is no such collection
inferred.collection("sales");
// @ts-expect-error a required member can not be removed
orders.patch("a", { status: null });
// @ts-expect-error not one of the values
orders.patch("a", { status: "closed" });
// @ts-expect-error in a merge patch null removes, so it can not set null
orders.patch("a", { owner: null });
// @ts-expect-error there is no such member
orders.patch("a", { total: 1 });
// @ts-expect-error members are missing
orders.create({ table: 1 });
// @ts-expect-error members are missing, by the validator's type
inferred.collection("orders").create({ table: 1 });
// @ts-expect-error an id is a string
orders.get(7);
// @ts-expect-error a date is not JSON
inferred.collection("anything").create({ at: new Date() });
// @ts-expect-error a function is not JSON
inferred.collection("anything").create({ at: () => 1 });
// @ts-expect-error an entity is read-only
if (entity) entity.document = order;
// @ts-expect-error there is no such event
sync.on("progres", () => {});
// @ts-expect-error nor such a state
sync.outbox.list({ state: "waiting" });
// @ts-expect-error a side is mine or theirs
sync.conflicts.resolve("c", { keep: "both" });
// @ts-expect-error only an outcome of this kind has a code
void outcome.code;
// @ts-expect-error the codes are a closed list
isHoldfastError(0) || new HoldfastError("oops", "m");
// @ts-expect-error the remote is made by a function
void SyncManager.open({ name: "n", remote: { baseUrl: "/" }, collections: { orders: {} } });

const open = SyncManager.open<Documents>;
const base = { name: "n", remote };
const customers = {};
// @ts-expect-error there is no such policy here
void open({ ...base, collections: { customers, orders: { conflicts: "x" } } });
// @ts-expect-error nor such a kind of conflict
void open({ ...base, collections: { customers, orders: { conflicts: { deletes: "merge" } } } });
// @ts-expect-error a text is not counted
void open({ ...base, collections: { customers, orders: { fields: { note: "counter" } } } });
// @ts-expect-error a number is no set
void open({ ...base, collections: { customers, orders: { fields: { table: "set" } } } });
const steps = monotonic(["open", "closed"]);
// @ts-expect-error not one of the values
void open({ ...base, collections: { customers, orders: { fields: { status: steps } } } });
// @ts-expect-error there is no such member
void open({ ...base, collections: { customers, orders: { fields: { total: "client" } } } });
// @ts-expect-error the field is not in the document
void open({ ...base, collections: { customers, orders: { references: { x: "customers" } } } });
// @ts-expect-error a collection is missing
void open({ ...base, collections: { orders: {} } });
// @ts-expect-error one collection too many
void open({ ...base, collections: { customers, orders: {}, more: {} } });

const pull = async () => ({ changes: [], cursor: "", more: false });
// @ts-expect-error a kind that no outcome has
defineRemote({ pull, push: async () => ({ outcomes: [{ opId: "o", kind: "done" }] }) });
// @ts-expect-error a handler answers with a resolution or "defer"
void open({ ...base, collections: { customers }, onConflict: () => "mine" });
// @ts-expect-error a document of the collections
void open({ ...base, collections: { customers }, onConflict: () => ({ merged: { age: 7 } }) });
// @ts-expect-error a conflict says what the server has
defineRemote({ pull, push: async () => ({ outcomes: [{ opId: "o", kind: "conflict" }] }) });
