// A headless Chromium of our own starting: a process group that can be killed whole, and a profile
// that outlives it.
import { spawn } from "node:child_process";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--no-first-run",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-breakpad",
  "--disable-component-update",
  "--disable-extensions",
  "--disable-renderer-backgrounding",
  "--disable-sync",
  "--hide-crash-restore-bubble",
  "--remote-debugging-port=0",
];

const running = new Set();

/** Whatever ends this process ends its browsers too. */
process.on("exit", () => {
  for (const child of running) killGroup(child);
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

function killGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/**
 * Starts Chromium on a profile directory.
 *
 * `context` is its one context; `kill` ends the whole process group with SIGKILL, as a power cut of
 * the browser, and resolves when it is gone; `close` ends it in good order.
 */
export async function start(profile, flags = []) {
  const program = process.env.CHROMIUM ?? "chromium";
  const child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, ...flags, "about:blank"], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const address = await listening(child);
  running.add(child);
  ended.then(() => running.delete(child));
  const kill = async () => {
    killGroup(child);
    await ended;
  };
  try {
    const browser = await chromium.connectOverCDP(address);
    const close = async () => {
      const session = await browser.newBrowserCDPSession();
      // The answer may be lost with the connection it is to come through.
      await Promise.race([session.send("Browser.close").catch(() => {}), ended]);
      await ended;
    };
    return { context: browser.contexts()[0], kill, close };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** Where it listens for us, which it says on its standard error. */
function listening(child) {
  return new Promise((resolve, reject) => {
    let said = "";
    let found = false;
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`Chromium ended (${code}):\n${said}`)));
    child.stderr.on("data", (chunk) => {
      // Read to the end, or Chromium would wait on a full pipe.
      if (found) return;
      said += chunk;
      const address = /^DevTools listening on (ws:\S+)$/m.exec(said)?.[1];
      if (address === undefined) return;
      found = true;
      resolve(address);
    });
  });
}
