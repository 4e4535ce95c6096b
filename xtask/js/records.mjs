/** How often a request without an answer is made again. */
const ATTEMPTS = 5;

/** Every live record of the server, read by its protocol and without the package. */
export async function serverRecords(address, token) {
  const records = new Map();
  const headers = { authorization: `Bearer ${token}` };
  let cursor;
  let more = true;
  while (more) {
    const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = await patiently(`${address}/api/pull?limit=1000${query}`, { headers });
    if (!answer.ok) throw new Error(`pull: ${answer.status}`);
    const body = await answer.json();
    for (const { collection, id, document, opId } of body.changes) {
      if (document === null) records.delete(`${collection}/${id}`);
      else records.set(`${collection}/${id}`, { document, opId });
    }
    ({ cursor, more } = body);
  }
  return records;
}

/** The server may drop requests on purpose, every so many of them: it is asked again. */
async function patiently(url, options) {
  for (let left = ATTEMPTS; ; left--) {
    try {
      return await fetch(url, options);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}
