// Headless browsers of our own starting: each a process group that can be killed whole, on a profile
// that outlives it.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
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

/** What Firefox would otherwise do by itself: ask, restore, look for news. */
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.enabled": false,
};

const running = new Set();

/** Whatever ends this process ends its browsers too. */
process.on("exit", () => {
  for (const child of running) killGroup(child);
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** A program as the head of a process group of its own; `kill` ends all of it with SIGKILL. */
function group(program, words) {
  const child = spawn(program, words, { detached: true, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  running.add(child);
  ended.then(() => running.delete(child));
  const kill = async () => {
    killGroup(child);
    await ended;
  };
  return { child, ended, kill };
}

/**
 * Starts a browser on a profile directory and a page, with nobody driving it: whatever is to be known, the page says
 * itself. `said` gives what the browser wrote to its standard error, for the case that the page says nothing.
 */
export function startAlone(engine, program, profile, address) {
  mkdirSync(profile, { recursive: true });
  let words = [...FLAGS, `--user-data-dir=${profile}`, address];
  if (engine === "firefox") {
    const line = ([name, value]) => `user_pref(${JSON.stringify(name)}, ${value});\n`;
    writeFileSync(`${profile}/user.js`, Object.entries(PREFERENCES).map(line).join(""));
    words = ["--headless", "--no-remote", "--profile", profile, address];
  }
  const { child, kill } = group(program, words);
  let said = "";
  child.once("error", (error) => {
    said += error.message;
  });
  child.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-10_000);
  });
  return { kill, said: () => said };
}

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
  const words = [...FLAGS, `--user-data-dir=${profile}`, ...flags, "about:blank"];
  const { child, ended, kill } = group(program, words);
  const address = await listening(child);
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
