// IndexedDB by hand and as well as it goes: one row per record, the record and its outgoing operation in
// one transaction, nothing awaited inside of it. What every layer above it is measured against.

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Resolves on `complete`: with durability `strict` the data is on the disk then. */
function committed(transaction) {
  const done = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  transaction.commit();
  return done;
}

export async function open({ base, durability }) {
  const opening = indexedDB.open("raw", 1);
  opening.onupgradeneeded = () => {
    const database = opening.result;
    database.createObjectStore("orders").createIndex("status", "status");
    database.createObjectStore("queue", { autoIncrement: true });
    database.createObjectStore("meta");
  };
  const database = await asked(opening);
  const writing = (...stores) => database.transaction(stores, "readwrite", { durability });
  const reading = (store) => database.transaction(store).objectStore(store);

  function write(records) {
    const transaction = writing("orders", "queue");
    const orders = transaction.objectStore("orders");
    const queue = transaction.objectStore("queue");
    for (const { id, document } of records) {
      orders.put(document, id);
      queue.add({
        opId: crypto.randomUUID(),
        collection: "orders",
        id,
        kind: "create",
        assumed: null,
        document,
        at: Date.now(),
      });
    }
    return committed(transaction);
  }

  async function fetchPage(cursor) {
    const query = cursor === undefined ? "" : `&cursor=${cursor}`;
    const answer = await fetch(`${base}/pull?limit=1000${query}`);
    if (!answer.ok) throw new Error(`pull: ${answer.status}`);
    return await answer.json();
  }

  return {
    write: (record) => write([record]),
    writeAll: write,
    /** The next page comes in while this one is written. */
    async pull() {
      let next = fetchPage();
      let before;
      for (;;) {
        const { changes, cursor, more } = await next;
        if (more) next = fetchPage(cursor);
        const transaction = writing("orders", "meta");
        const orders = transaction.objectStore("orders");
        for (const { id, document } of changes) orders.put(document, id);
        transaction.objectStore("meta").put(cursor, "cursor");
        const stored = committed(transaction);
        await before;
        before = stored;
        if (!more) return await stored;
      }
    },
    /** The next batch leaves while this one is deleted. */
    async push() {
      let from = 0;
      let before;
      for (;;) {
        const range = IDBKeyRange.lowerBound(from, true);
        const queue = reading("queue");
        const [keys, operations] = await Promise.all([
          asked(queue.getAllKeys(range, 100)),
          asked(queue.getAll(range, 100)),
        ]);
        if (operations.length === 0) return await before;
        const answer = await fetch(`${base}/push`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ holdfast: 1, device: "raw", operations }),
        });
        const { outcomes } = await answer.json();
        if (outcomes.some(({ kind }) => kind !== "applied")) throw new Error("push: not applied");
        from = keys.at(-1);
        await before;
        const transaction = writing("queue");
        transaction.objectStore("queue").delete(IDBKeyRange.bound(keys[0], from));
        before = committed(transaction);
      }
    },
    queueLength: () => asked(reading("queue").count()),
    get: (id) => asked(reading("orders").get(id)),
  };
}
