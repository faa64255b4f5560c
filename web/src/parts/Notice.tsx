// What stands in the place of something that is not there: nothing yet, nothing at all, or a refusal.

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

export function Refusal({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = Problem.of(error);
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const refusal = place.current;
    // Whoever has tried again with success goes on from the page, not from before it.
    return () => {
      if (refusal?.contains(document.activeElement)) refusal.closest("main")?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <div ref={place} className="refusal" role="alert">
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
