import { render } from "preact";
import "./styles/main.css";
import { App } from "./app/App";
import { Till } from "./store";
import { watchForUpdates } from "./update";

/** Each till of a shop has a database of its own: `?till=2` is another till, even in one browser. */
function tillName(search: string): string {
  const asked = new URLSearchParams(search).get("till") ?? "";
  return /^[A-Za-z0-9_-]{1,16}$/.test(asked) ? asked : "1";
}

const freshness = watchForUpdates();
const till = await Till.start(tillName(location.search));
document.title = `Till ${till.name} · Slipway Kitchen`;
render(<App till={till} freshness={freshness} />, document.getElementById("app") ?? document.body);
