const typing = "input, textarea, select, [contenteditable]";

/** Single keys are shortcuts only where they cannot be meant as text, and not under a dialog. */
export function shortcutsApply(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (document.querySelector("dialog[open]")) return false;
  return !(event.target instanceof Element && event.target.closest(typing));
}
