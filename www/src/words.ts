import type { EntityMeta, Status } from "holdfast";

export type Tone = "calm" | "busy" | "wait" | "alarm";
export type Flag =
  | "charlie"
  | "papa"
  | "hotel"
  | "november"
  | "lima"
  | "kilo"
  | "uniform"
  | "victor"
  | "oscar"
  | "xray"
  | "mike"
  | "foxtrot";
export type StatusWords = { label: string; sentence: string; tone: Tone; flag: Flag };

const changes = (count: number) => (count === 1 ? "1 change" : `${count} changes`);

const because: Record<string, string> = {
  forbidden: "The server does not allow this till to write. Ask whoever runs it.",
  misconfigured: "The server does not know this address or this shop. Check the settings.",
  "foreign-response": "Something else answers in the server's place, perhaps a Wi-Fi sign-in page.",
  "rate-limited": "The server asks for a pause. The till tries again by itself.",
  "protocol-error": "The server answers something this till does not understand. It tries again.",
  unreadable:
    "The server sends orders this version cannot read. Update the till; sales are still sent.",
};

const allSent: StatusWords = {
  label: "All sent",
  sentence: "Every order of this till is stored on the server.",
  tone: "calm",
  flag: "charlie",
};
const decide: StatusWords = {
  label: "Needs you",
  sentence: "Everything else is on the server; some entries wait for a decision.",
  tone: "alarm",
  flag: "charlie",
};
const aboutToSync: StatusWords = {
  label: "About to sync",
  sentence: "Nothing waits on this till; it is about to look for news.",
  tone: "wait",
  flag: "papa",
};

/**
 * Every status in words for a person at a till: a label that fits a badge and a sentence that
 * says what it means for selling. The flag is the signal flag a ship would hoist.
 */
export function statusWords(status: Status): StatusWords {
  // What is in flight is still pending: the server has not said yes.
  const { pending: waiting, parked } = status.outbox;
  const needsYou = parked > 0 || status.conflicts > 0;
  const reason = because[status.reason ?? ""];
  switch (status.kind) {
    case "synced":
      return needsYou ? decide : allSent;
    case "pending":
      if (reason) {
        return { label: "Server hesitates", sentence: reason, tone: "wait", flag: "papa" };
      }
      if (waiting === 0) return needsYou ? decide : aboutToSync;
      return {
        label: `${waiting} waiting`,
        sentence: `Stored on this till and about to leave: ${changes(waiting)}.`,
        tone: "wait",
        flag: "papa",
      };
    case "syncing":
      return {
        label: "Sending",
        sentence: "The till is talking to the server.",
        tone: "busy",
        flag: "hotel",
      };
    case "offline":
      return {
        label: waiting > 0 ? `Offline, ${waiting} kept` : "Offline",
        sentence: `${reason ?? "No connection."} Keep selling: orders are stored on this till and leave by themselves.`,
        tone: "wait",
        flag: "november",
      };
    case "paused":
      return {
        label: "Paused",
        sentence: "Sync is paused on this till. Orders are stored and leave after Resume.",
        tone: "wait",
        flag: "lima",
      };
    case "auth-required":
      return {
        label: "Sign in to send",
        sentence:
          "The server wants a sign-in. Keep selling: orders are stored on this till until then.",
        tone: "wait",
        flag: "kilo",
      };
    case "blocked-by-server":
      return {
        label: "Server refuses",
        sentence: reason ?? `The server refuses this till (${status.reason ?? "no reason given"}).`,
        tone: "alarm",
        flag: "uniform",
      };
    case "storage-full":
      return {
        label: "Storage full",
        sentence:
          "This device has no room left. Free some space; stored orders are still being sent.",
        tone: "alarm",
        flag: "victor",
      };
    case "storage-lost":
      return {
        label: "Storage lost",
        sentence:
          "The browser lost this till's storage. Reload; what had reached the server comes back.",
        tone: "alarm",
        flag: "oscar",
      };
    case "superseded":
      return {
        label: "Newer till open",
        sentence: "A newer version of the till is open in another tab. Reload this one.",
        tone: "alarm",
        flag: "xray",
      };
    case "stalled":
      return {
        label: "Not moving",
        sentence: "Sending makes no headway. The till keeps trying; nothing is lost.",
        tone: "alarm",
        flag: "mike",
      };
    case "crashed":
      return {
        label: "Stopped",
        sentence: "The sync engine stopped. Reload; everything stored is still there.",
        tone: "alarm",
        flag: "foxtrot",
      };
  }
}

const unconnected: Record<string, string> = {
  "no-network": "No network",
  unreachable: "The server cannot be reached",
  "foreign-response": "Something else answers",
  "not-asked": "Not asked yet",
};

export function connectionWords({ kind, reason }: Status["connection"]): string {
  if (kind === "connected") return "Connected";
  if (kind === "limited") return "The server answers, but refuses";
  return unconnected[reason] ?? `No connection (${reason})`;
}

export type SyncState = EntityMeta["state"];

export const stateWords: Record<SyncState, { label: string; sentence: string }> = {
  pending: { label: "On this till", sentence: "Stored on this till, not on the server yet." },
  syncing: { label: "Sending", sentence: "On its way to the server." },
  synced: { label: "On the server", sentence: "Stored on the server." },
  conflict: {
    label: "Two versions",
    sentence: "Changed here and on another till. Choose what holds.",
  },
  rejected: { label: "Refused", sentence: "The server did not take it. See the outbox." },
};

const failures: Record<string, string> = {
  "invalid-value": "This value cannot be stored.",
  exists: "An order with this id is stored already.",
  "not-found": "This order is not on this till.",
  gone: "This order was voided.",
  referenced: "Something else still refers to this.",
  "outbox-full": "The outbox is full. Connect the till so that it can send.",
  "too-large": "This is too large to store.",
  "storage-full": "This device has no room left.",
  "storage-timeout": "The storage of this device did not answer in time.",
  "storage-lost": "The browser lost this till's storage.",
  "no-durable-storage":
    "This browser offers no lasting storage, so orders would not survive a reload.",
  "database-too-new": "A newer version of the till has used this storage. Reload the page.",
  blocked: "Another tab holds the storage. Close the other tabs of this till.",
  superseded: "A newer version of the till is open in another tab.",
  closed: "The till is closed. Reload the page.",
  crashed: "The sync engine stopped. Reload the page; everything stored is still there.",
  "wasm-load": "The sync engine could not be loaded.",
  "auth-required": "Sign in first.",
  unreachable: "The server cannot be reached.",
  "protocol-error": "The server answered something this till does not understand.",
  "already-resolved": "Somebody has settled this already.",
  "pending-work": "There are orders that have not left yet.",
};

/** An error as the person at the till reads it; the code always stands beside, for the phone call. */
export function failureWords(error: unknown): { code: string; message: string } {
  const code = codeOf(error);
  const message = failures[code] ?? (error instanceof Error ? error.message : String(error));
  return { code, message };
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "unexpected";
}
