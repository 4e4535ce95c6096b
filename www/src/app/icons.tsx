import type { CategoryId } from "../menu";
import type { Flag, SyncState } from "../words";

type Drawn = { class?: string };

const Line = ({ d, class: name = "icon" }: Drawn & { d: string }) => (
  <svg class={name} viewBox="0 0 24 24" aria-hidden="true">
    <path d={d} />
  </svg>
);

/** The mark: the root of kelp that grips a rock and lets the rest swing with the sea. */
export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <path class="mark-frond" d="M16 18C16 12 11 11 12 3c5 3 6 8 5 12 1-4 4-6 8-6 0 5-4 7-8 9" />
    <path
      class="mark-root"
      d="M16.5 17v4M16.5 20c-3 1-5 3-7 6M16.5 20c-1 2-2 4-2 7M16.5 20c1 2 2 4 2 7M16.5 20c3 1 5 3 7 6"
    />
    <path class="mark-rock" d="M4 29c2-3 5-2 7-3s4 1 6 0 4-1 6 0 4 0 5 3z" />
  </svg>
);

const paths = {
  sell: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  orders: "M3 5h18M6 5v14l2-1.5L10 19l1-1V5M13.5 5v10l2-1.5 2 1.5 1.5-1V5",
  outbox: "M4 13v6h16v-6M4 13h4l2 3h4l2-3h4M12 4v8M8.5 7.5 12 4l3.5 3.5",
  report: "M4 20h16M6.5 20v-6M11 20V9M15.5 20V5M20 20v-9",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  sync: "M20 12a8 8 0 0 1-14.5 4.600M4 12a8 8 0 0 1 14.5-4.600M18.5 3v4.5H14M5.5 21v-4.5H10",
  back: "M15 5l-7 7 7 7",
  help: "M9 9a3 3 0 1 1 4.5 2.600c-1 .6-1.5 1.200-1.5 2.400M12 17.5v.5",
  pen: "M4 20l1-4L16 5l3 3L8 19z",
  bin: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  crossed: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM6 6l12 12",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-5 4-7 8-7s7 2 8 7",
} as const;

export type IconName = keyof typeof paths;
export const Icon = ({ name }: { name: IconName }) => <Line d={paths[name]} />;

const states: Record<SyncState, string> = {
  pending: "M12 7v5l3 2M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18z",
  syncing: "M12 20V6M6.5 11 12 5.5 17.5 11M5 2.5h14",
  synced: "M12 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM12 8v12M8 11h8M4 14c0 4 4 6 8 6s8-2 8-6",
  conflict: "M12 21v-8M12 13 5.5 5M12 13l6.5-8M5 9V4.5h4.5M19 9V4.5h-4.5",
  rejected: "M8.5 3h7L21 8.5v7L15.5 21h-7L3 15.5v-7zM9 9l6 6M15 9l-6 6",
};

export const StateIcon = ({ state }: { state: SyncState }) => (
  <Line d={states[state]} class={`icon state-icon is-${state}`} />
);

const categories: Record<CategoryId, string> = {
  coffee:
    "M8 20h24v12a10 10 0 0 1-10 10h-4A10 10 0 0 1 8 32zM32 23h4a5 5 0 0 1 0 10h-4M14 14c-2-3 2-4 0-8M22 14c-2-3 2-4 0-8M6 46h30",
  morning: "M8 36a16 16 0 0 1 32 0M2 36h44M24 8v6M8 14l4 5M40 14l-4 5M10 43h28M2 26l5 2M46 26l-5 2",
  pan: "M4 24c6-9 18-11 28-3l10-7c-2 6-2 14 0 20l-10-7C22 35 10 33 4 24zM13 22v.5M22 18c3 4 3 8 0 12",
  sides: "M12 20h24l-4 24H16zM15 20 12 5M21 20l-1-16M27 20l1-15M33 20l4-14M13 27h22",
  cold: "M12 14h24l-4 30H16zM13.5 24h21M24 14 30 3h6M20 31l3 4M27 30l-2 7",
  sweet: "M6 30 40 16c3 3 3 8 2 14zM6 30v10h36V30M6 35h36M30 14a3.5 3.5 0 1 1 5 0",
};

export const CategoryIcon = ({ category }: { category: CategoryId }) => (
  <svg class="category-icon" viewBox="0 0 48 48" aria-hidden="true">
    <path d={categories[category]} />
  </svg>
);

// International signal flags; each says at sea what the status says here.
const flags: Record<Flag, preact.JSX.Element> = {
  // affirmative
  charlie: (
    <>
      <rect class="f-blue" width="20" height="20" />
      <rect class="f-white" y="4" width="20" height="12" />
      <rect class="f-red" y="8" width="20" height="4" />
    </>
  ),
  // about to sail
  papa: (
    <>
      <rect class="f-blue" width="20" height="20" />
      <rect class="f-white" x="6" y="6" width="8" height="8" />
    </>
  ),
  // pilot on board
  hotel: (
    <>
      <rect class="f-white" width="10" height="20" />
      <rect class="f-red" x="10" width="10" height="20" />
    </>
  ),
  // negative
  november: (
    <>
      <rect class="f-white" width="20" height="20" />
      <path
        class="f-blue"
        d="M0 0h5v5H0zM10 0h5v5h-5zM5 5h5v5H5zM15 5h5v5h-5zM0 10h5v5H0zM10 10h5v5h-5zM5 15h5v5H5zM15 15h5v5h-5z"
      />
    </>
  ),
  // stop instantly
  lima: (
    <>
      <rect class="f-yellow" width="20" height="20" />
      <path class="f-black" d="M10 0h10v10H10zM0 10h10v10H0z" />
    </>
  ),
  // I wish to communicate with you
  kilo: (
    <>
      <rect class="f-yellow" width="10" height="20" />
      <rect class="f-blue" x="10" width="10" height="20" />
    </>
  ),
  // you are running into danger
  uniform: (
    <>
      <rect class="f-white" width="20" height="20" />
      <path class="f-red" d="M0 0h10v10H0zM10 10h10v10H10z" />
    </>
  ),
  // I require assistance
  victor: (
    <>
      <rect class="f-white" width="20" height="20" />
      <path class="f-red" d="M0 0h4l6 6 6-6h4v4l-6 6 6 6v4h-4l-6-6-6 6H0v-4l6-6-6-6z" />
    </>
  ),
  // man overboard
  oscar: (
    <>
      <rect class="f-yellow" width="20" height="20" />
      <path class="f-red" d="M0 0h20v20z" />
    </>
  ),
  // stop what you are doing and watch for my signals
  xray: (
    <>
      <rect class="f-white" width="20" height="20" />
      <path class="f-blue" d="M8 0h4v8h8v4h-8v8H8v-8H0V8h8z" />
    </>
  ),
  // my vessel is stopped
  mike: (
    <>
      <rect class="f-blue" width="20" height="20" />
      <path class="f-white" d="M0 0h4l6 6 6-6h4v4l-6 6 6 6v4h-4l-6-6-6 6H0v-4l6-6-6-6z" />
    </>
  ),
  // I am disabled
  foxtrot: (
    <>
      <rect class="f-white" width="20" height="20" />
      <path class="f-red" d="M10 0l10 10-10 10L0 10z" />
    </>
  ),
};

export const SignalFlag = ({ flag }: { flag: Flag }) => (
  <svg class="flag" viewBox="0 0 20 20" aria-hidden="true">
    {flags[flag]}
  </svg>
);
