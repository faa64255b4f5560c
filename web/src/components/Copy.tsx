import { useState } from "react";

/** A button that copies a text. Browsers allow it in secure contexts only; elsewhere there is no button. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [message, setMessage] = useState("");
  if (!window.isSecureContext) return null;
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setMessage("Copied"),
      () => setMessage("The browser did not allow it"),
    );
  return (
    <span className="copy">
      <button type="button" className="quiet" onClick={() => void copy()} onBlur={() => setMessage("")}>
        Copy {what}
      </button>
      <span className="muted small" role="status">
        {message}
      </span>
    </span>
  );
}
