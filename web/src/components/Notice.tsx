// Notices in the place of content: it is loading, there is none, or an error occurred.

import { type ReactNode, useLayoutEffect, useRef } from "react";

import { Problem } from "../api/client";

export function Loading({ what }: { what: string }) {
  return (
    <div className="notice" role="status">
      <span className="spinner" aria-hidden="true" />
      <p>Loading {what}…</p>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="notice">
      <p className="notice-title">{title}</p>
      {children !== undefined && <div className="muted">{children}</div>}
    </div>
  );
}

export function ErrorNotice({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = Problem.from(error);
  const container = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const notice = container.current;
    // When the notice disappears together with its focused button, the focus goes to the page.
    return () => {
      if (notice?.contains(document.activeElement)) notice.closest("main")?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <div ref={container} className="error-notice" role="alert">
      <p className="notice-title">{problem.title}</p>
      <p>{problem.message}</p>
      {problem.requestId !== undefined && (
        <p className="muted small">
          Request <code>{problem.requestId}</code>
        </p>
      )}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
