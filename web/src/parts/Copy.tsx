import { useState } from "react";

/** Puts a text on the clipboard. Browsers have one on pages that came safely. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [told, setTold] = useState("");
  if (!window.isSecureContext) return null;
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setTold("Copied"),
      () => setTold("The browser refused"),
    );
  return (
    <span className="copy">
      <button type="button" className="quiet" onClick={() => void copy()} onBlur={() => setTold("")}>
        Copy {what}
      </button>
      <span className="muted small" role="status">
        {told}
      </span>
    </span>
  );
}
