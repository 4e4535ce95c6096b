// A page that writes until it is killed, and tells the driver of each write that it was told is stored. It is
// driven by nobody: what it is to do stands in its address.
import { isHoldfastError, SyncManager, standard } from "/pkg/index.js";

/** How many writes are on their way to the disk at once. */
const ABREAST = 4;
/** Cycles that the last drain may need: the server answers one request in a few. */
const CYCLES = 50;

const words = new URLSearchParams(location.search);
const session = Number(words.get("session"));

async function say(what, body = {}) {
  const text = JSON.stringify({ session, what, ...body });
  const answer = await fetch("/said", { method: "POST", body: text });
  // A browser may open an old session's page again by itself: that one has nothing to say.
  if (!answer.ok) await new Promise(() => {});
}

// Chromium deletes a database that it finds corrupt, and says so where one looks: LevelDB goes on writing behind a
// record that a SIGKILL tore, and cannot read it at the start after next. That is a loss, but none of ours.
const open = IDBFactory.prototype.open;
IDBFactory.prototype.open = function (...words) {
  const request = open.apply(this, words);
  request.addEventListener("upgradeneeded", ({ dataLoss, dataLossMessage }) => {
    if (dataLoss !== undefined && dataLoss !== "none") say("deleted", { why: dataLossMessage });
  });
  return request;
};

addEventListener("error", ({ message }) => say("trouble", { message }));
addEventListener("unhandledrejection", ({ reason }) => say("trouble", { message: `${reason}` }));

await say("loaded");
const sync = await SyncManager.open({
  name: "kill",
  remote: standard({ baseUrl: "/api" }),
  getToken: () => words.get("token"),
  collections: {
    orders: { conflicts: "manual" },
    payments: { conflicts: "manual", references: { order: "orders" } },
    news: {},
  },
});
sync.on("storage", ({ kind }) => say("storage", { kind }));
if (sync.status.getSnapshot().kind === "storage-lost") await say("storage", { kind: "lost" });
await say("opened");

if (words.get("mode") === "write") {
  const { items } = await sync.collection("orders").list({ limit: 200 });
  const ids = items.map(({ id }) => id);
  for (let n = 0; n < ABREAST; n++) {
    void write(
      n,
      ids.filter((_, at) => at % ABREAST === n),
    );
  }
} else {
  await end(await (await fetch("/accepted")).json());
}

/** Writes without end, on records that no other clerk touches. Before each write it says what it is going to do. */
async function write(n, mine) {
  const orders = sync.collection("orders");
  const payments = sync.collection("payments");
  let accepted;
  for (let at = 0; ; at++) {
    const mark = `${session}-${n}-${at}`;
    const chance = Math.random();
    const index = Math.floor(Math.random() * mine.length);
    const id = mine[index];
    let trying;
    if (id === undefined || chance < 0.35) trying = { kind: "create", id: `order-${mark}`, mark };
    else if (chance < 0.75) trying = { kind: "patch", id, mark };
    else if (chance < 0.9) trying = { kind: "pay", id: `payment-${mark}`, mark };
    else trying = { kind: "remove", id, mark };
    await say("writing", { accepted, trying });
    accepted = undefined;
    try {
      let receipt;
      if (trying.kind === "create") {
        mine.push(trying.id);
        receipt = await orders.create({ at, marks: { [mark]: true } }, { id: trying.id });
      } else if (trying.kind === "patch") {
        receipt = await orders.patch(id, { at, marks: { [mark]: true } });
      } else if (trying.kind === "pay") {
        const document = { order: id, marks: { [mark]: true } };
        receipt = await payments.create(document, { id: trying.id, priority: "high" });
      } else {
        mine.splice(index, 1);
        receipt = await orders.remove(id);
      }
      accepted = { ...trying, opId: receipt.opId };
    } catch (error) {
      // A payment that is still here names the order: that is a refusal, and so nothing was accepted.
      if (isHoldfastError(error) && error.code === "referenced") continue;
      await say("trouble", { message: `${trying.kind}: ${error}` });
      return;
    }
  }
}

/** Sends all that is left, and says everything that the device knows. */
async function end(opIds) {
  const errors = [];
  let drain;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    try {
      drain = await sync.drain();
      const { halted } = await sync.sync();
      if (halted === undefined && drain.pending === 0) break;
    } catch (error) {
      errors.push(`${error}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  const outcomes = {};
  for (const opId of opIds) outcomes[opId] = (await sync.outcome(opId)).kind;
  const records = {};
  for (const name of ["orders", "payments", "news"]) {
    let after;
    do {
      const page = await sync.collection(name).list({ limit: 1000, after });
      for (const { id, document } of page.items) records[`${name}/${id}`] = document;
      after = page.next;
    } while (after !== undefined);
  }
  await say("ended", {
    drain,
    errors,
    outcomes,
    records,
    audit: await sync.audit(),
    outbox: (await sync.outbox.list()).length,
    conflicts: (await sync.conflicts.list({ resolved: true })).length,
    status: sync.status.getSnapshot(),
  });
}
