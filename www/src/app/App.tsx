import { useEffect, useState } from "preact/hooks";
import { Cell, type Source, useSnapshot } from "../cell";
import { go, type Till } from "../store";
import type { Freshness } from "../update";
import { ConflictDialog } from "./ConflictDialog";
import { TillProvider } from "./context";
import { Header, type View } from "./Header";
import { Help } from "./Help";
import { Notices } from "./Notices";
import { OrderDialog } from "./OrderDialog";
import { Orders } from "./Orders";
import { Outbox } from "./Outbox";
import { Report } from "./Report";
import { Sell } from "./Sell";
import { SignIn } from "./SignIn";
import { SyncPanel } from "./SyncBadge";
import { shortcutsApply } from "./shortcuts";

const place = new Cell(location.hash.slice(1));
addEventListener("hashchange", () => place.set(location.hash.slice(1)));

type Overlay = "none" | "sync" | "help" | "sign-in";

export function App({ till, freshness }: { till: Till; freshness: Source<Freshness> }) {
  const [name = "", id = ""] = useSnapshot(place).split("/");
  const signedIn = useSnapshot(till.signedIn);
  const { items } = useSnapshot(till.orders);
  const { conflicts } = useSnapshot(till.outbox);
  // Under a dialog that has an address of its own lies the view it was opened from.
  const [view, setView] = useState<View>("sell");
  const [overlay, setOverlay] = useState<Overlay>(signedIn ? "none" : "sign-in");
  useEffect(() => {
    if (name === "orders" || name === "outbox" || name === "sell" || name === "report")
      setView(name);
    else if (name === "conflict" || name === "order")
      setView((now) => (now === "sell" && name === "conflict" ? "orders" : now));
    else setView("sell");
  }, [name]);
  // Whoever looks at the outbox sees there what the notices point to.
  useEffect(() => {
    if (name === "outbox" || name === "conflict") till.dismissPointers();
  }, [name, till]);
  useEffect(() => {
    // Somebody has signed in, here or in another tab: there is nothing to ask any more.
    if (signedIn) setOverlay((now) => (now === "sign-in" ? "none" : now));
  }, [signedIn]);
  useKeys(setOverlay, till);
  const order = name === "order" ? items.find((item) => item.id === id) : undefined;
  const conflict = name === "conflict" ? conflicts.find((one) => one.id === id) : undefined;
  const back = () => go(view);
  return (
    <TillProvider value={till}>
      <Header
        view={view}
        onSync={() => setOverlay("sync")}
        onHelp={() => setOverlay("help")}
        onPerson={() => setOverlay("sign-in")}
      />
      <Banners till={till} onSignIn={() => setOverlay("sign-in")} />
      {view === "sell" && <Sell />}
      {view === "orders" && <Orders />}
      {view === "outbox" && <Outbox />}
      {view === "report" && <Report />}
      {order && overlay === "none" && <OrderDialog key={order.id} item={order} onClose={back} />}
      {conflict && overlay === "none" && (
        <ConflictDialog key={conflict.id} conflict={conflict} onClose={back} />
      )}
      {overlay === "sync" && <SyncPanel onClose={() => setOverlay("none")} />}
      {overlay === "help" && <Help onClose={() => setOverlay("none")} />}
      {overlay === "sign-in" && <SignIn onClose={() => setOverlay("none")} />}
      <Notices freshness={freshness} />
    </TillProvider>
  );
}

/** What stands in the way of selling or sending, with the one thing to do about it. */
function Banners({ till, onSignIn }: { till: Till; onSignIn: () => void }) {
  const boot = useSnapshot(till.boot);
  const status = useSnapshot(till.status);
  const signedIn = useSnapshot(till.signedIn);
  if (boot.kind === "failed") {
    return (
      <div class="banner is-alarm" role="alert">
        <p>
          {boot.message} <code>{boot.code}</code>
        </p>
        <button type="button" class="button is-small" onClick={() => void till.open()}>
          Try again
        </button>
      </div>
    );
  }
  if (
    status.kind === "auth-required" ||
    (!signedIn && boot.kind === "ready" && status.kind !== "offline")
  ) {
    return (
      <div class="banner is-wait">
        <p>Nobody is signed in. Selling goes on; orders stay on this till until somebody does.</p>
        <button type="button" class="button is-small" onClick={onSignIn}>
          Sign in
        </button>
      </div>
    );
  }
  if (status.kind === "superseded" || status.kind === "storage-lost" || status.kind === "crashed") {
    return (
      <div class="banner is-alarm" role="alert">
        <p>The till has to be loaded again. What is stored stays stored.</p>
        <button
          type="button"
          class="button is-small"
          onClick={() => void till.idle().then(() => location.reload())}
        >
          Reload
        </button>
      </div>
    );
  }
  return null;
}

function useKeys(open: (overlay: Overlay) => void, till: Till) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!shortcutsApply(event)) return;
      const run: Record<string, () => void> = {
        s: () => go("sell"),
        o: () => go("orders"),
        b: () => go("outbox"),
        r: () => go("report"),
        n: () => void till.syncNow(),
        "?": () => open("help"),
        m: () => document.querySelector<HTMLElement>(".tile[tabindex='0']")?.focus(),
        t: () => document.querySelector<HTMLElement>("#table")?.focus(),
      };
      const action = run[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [open, till]);
}
