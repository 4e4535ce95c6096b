// The workloads, run in the page. Each checks what it measured: nobody wins by not doing the work.
import { idOf, orderOf, ordersOf } from "./orders.js";

const WARM = 30;
let store;

globalThis.bench = {
  async open(peer, options) {
    const { open } = await import(`./${peer}.js`);
    store = await open(options);
  },

  /** Durable writes, one after the other; the times of each in ms. */
  async oneByOne(count) {
    for (const record of ordersOf(0, WARM, "page")) await store.write(record);
    const records = ordersOf(WARM, count, "page");
    const times = [];
    for (const record of records) {
      const from = performance.now();
      await store.write(record);
      times.push(performance.now() - from);
    }
    await readable(records[0]);
    check((await store.queueLength()) === WARM + count, "every write is queued");
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(count - 1, Math.floor(part * count))];
    return { p50: at(0.5), p95: at(0.95), max: times[count - 1] };
  },

  /** The same writes, all started before the first is done. */
  async atOnce(count) {
    const records = ordersOf(WARM + count, count, "page");
    const from = performance.now();
    await Promise.all(records.map((record) => store.write(record)));
    const ms = performance.now() - from;
    await readable(records[count - 1]);
    return { ms, perSecond: (count / ms) * 1000 };
  },

  /** From nothing until the last of `count` records is stored and readable. */
  async pull(count) {
    const measured = await watched(async () => {
      await store.pull();
      await store.get(idOf(count - 1, "server"));
    });
    for (const number of [0, count >> 1, count - 1]) await readable(orderOf(number, "server"));
    return { ...measured, perSecond: (count / measured.ms) * 1000 };
  },

  /** `count` queued operations, until the server has them and the queue is durably empty. */
  async push(count) {
    const records = ordersOf(0, count, "page");
    await store.writeAll(records);
    check((await store.queueLength()) === count, "every write is queued");
    const measured = await watched(() => store.push());
    check((await store.queueLength()) === 0, "the queue is empty");
    await readable(records[count - 1]);
    return { ...measured, perSecond: (count / measured.ms) * 1000 };
  },
};

/** How long it took, and the longest time the page could not have answered its user. */
async function watched(run) {
  let last = performance.now();
  let gapMs = 0;
  const tick = () => {
    const now = performance.now();
    gapMs = Math.max(gapMs, now - last);
    last = now;
  };
  const timer = setInterval(tick, 4);
  const from = performance.now();
  await run();
  const ms = performance.now() - from;
  tick();
  clearInterval(timer);
  return { ms, gapMs };
}

async function readable({ id, document }) {
  const found = await store.get(id);
  check(JSON.stringify(found) === JSON.stringify(document), `${id} is readable and whole`);
}

function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}
