import type { Source } from "../cell";
import { useSnapshot } from "../cell";
import { type Freshness, reloadInto } from "../update";
import { useTill } from "./context";
import { Icon } from "./icons";

/** Short messages at the edge; what a screen reader says goes through one region that never moves. */
export function Notices({ freshness }: { freshness: Source<Freshness> }) {
  const till = useTill();
  const notices = useSnapshot(till.notices);
  const spoken = useSnapshot(till.spoken);
  const fresh = useSnapshot(freshness);
  return (
    <>
      <p class="unseen" role="status" aria-live="polite">
        {spoken}
      </p>
      <div class="notices" aria-live="assertive">
        {fresh !== "current" && (
          <div class="notice is-calm" data-notice="update">
            <p>A new version of the till is ready.</p>
            <button
              type="button"
              class="button is-small"
              onClick={() => void reloadInto(till, fresh)}
            >
              Reload
            </button>
          </div>
        )}
        {notices.map((notice) => (
          <div key={notice.key} class={`notice is-${notice.tone}`}>
            <p>
              {notice.text} {notice.code && <code>{notice.code}</code>}
            </p>
            {notice.action && (
              <button
                type="button"
                class="button is-small"
                onClick={() => {
                  notice.action?.run();
                  till.dismiss(notice.key);
                }}
              >
                {notice.action.label}
              </button>
            )}
            <button
              type="button"
              class="icon-button"
              aria-label="Dismiss"
              onClick={() => till.dismiss(notice.key)}
            >
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
    </>
  );
}
