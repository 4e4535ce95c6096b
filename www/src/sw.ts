/// <reference lib="webworker" />
export {};

declare const self: ServiceWorkerGlobalScope;
/** Written by the build: the version is a hash over the content of all files. */
declare const VERSION: string;
declare const FILES: readonly string[];

// The app shell and nothing else. Answers of the server are never kept here: the till's own
// database holds what it knows, and a cached answer would be one more copy to be wrong.
const prefix = "till-shell-";
const name = prefix + VERSION;
const scope = new URL(self.registration.scope);
const shell = new URL("./", scope).href;
const files = new Set(FILES.map((file) => new URL(file, scope).href));

self.addEventListener("install", (event) => {
  // All or nothing: a half-filled cache would be an app that starts and then fails.
  event.waitUntil(
    caches
      .open(name)
      .then((cache) =>
        cache.addAll([...files].map((url) => new Request(url, { cache: "reload" }))),
      ),
  );
});

self.addEventListener("activate", (event) => {
  const tidy = caches
    .keys()
    .then((names) =>
      Promise.all(
        names
          .filter((one) => one.startsWith(prefix) && one !== name)
          .map((one) => caches.delete(one)),
      ),
    );
  event.waitUntil(tidy.then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "activate") void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  if (url.origin !== scope.origin) return;
  const bare = url.origin + url.pathname;
  // `?till=2` is the same page; which till it is, the page reads for itself.
  const page = request.mode === "navigate" && (bare === shell || bare === `${shell}index.html`);
  if (!page && !files.has(bare)) return;
  const key = page ? shell : bare;
  event.respondWith(
    caches.open(name).then(async (cache) => (await cache.match(key)) ?? fetch(request)),
  );
});
