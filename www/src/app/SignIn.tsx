import { useState } from "preact/hooks";
import { useTill } from "./context";
import { Dialog } from "./Dialog";

/** Asks who sells. It can always be put off: selling needs no server, so it needs no sign-in. */
export function SignIn({ onClose }: { onClose: () => void }) {
  const till = useTill();
  const [staff, setStaff] = useState(till.session.staff);
  const [token, setToken] = useState("demo");
  return (
    <Dialog title="Who is at the till?" onClose={onClose}>
      <form
        class="sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          till.signIn(staff.trim(), token.trim());
          onClose();
        }}
      >
        <label class="field">
          <span>Name</span>
          <input
            type="text"
            name="staff"
            data-focus
            autoComplete="off"
            maxLength={40}
            required
            value={staff}
            onInput={(event) => setStaff(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            name="token"
            autoComplete="off"
            required
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p class="small">
          The token stays in this tab and is forgotten when the browser closes. Without it you can
          sell; orders wait on this till.
        </p>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Sell without
          </button>
          <button type="submit" class="button is-main">
            Sign in
          </button>
        </div>
      </form>
    </Dialog>
  );
}
