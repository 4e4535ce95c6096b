import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "./icons";

type Props = {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  size?: "small" | "wide";
};

/** The browser's own modal dialog: it traps focus, closes on Esc and gives focus back. */
export function Dialog({ title, onClose, children, size = "small" }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const name = useId();
  const close = useRef(onClose);
  close.current = onClose;
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    // To the title, so that it is read out; to an input only where typing is what the dialog is for.
    const first = dialog?.querySelector<HTMLElement>("[data-focus]");
    (first ?? dialog?.querySelector("h2"))?.focus();
    const onBackdrop = (event: MouseEvent) => event.target === dialog && close.current();
    dialog?.addEventListener("click", onBackdrop);
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      class={`dialog is-${size}`}
      aria-labelledby={name}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div class="dialog-inner">
        <header class="dialog-head">
          <h2 id={name} tabIndex={-1}>
            {title}
          </h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
