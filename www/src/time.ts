const clock = new Intl.DateTimeFormat("en-IE", {
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const day = new Intl.DateTimeFormat("en-IE", { day: "numeric", month: "short" });

export function clockTime(at: number): string {
  return clock.format(at);
}

export function dayText(at: number): string {
  return day.format(at);
}

export function startOfDay(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0);
}

/** The clock time, with the date in front when it was not today; other programs may have left it out. */
export function moment(at: number, now: number): string {
  if (at <= 0) return "no time";
  return at >= startOfDay(now) ? clockTime(at) : `${day.format(at)}, ${clockTime(at)}`;
}

/** How long ago, in one unit; a device clock that was set back reads as "just now". */
export function ago(at: number, now: number): string {
  const seconds = Math.floor((now - at) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ago` : moment(at, now);
}
