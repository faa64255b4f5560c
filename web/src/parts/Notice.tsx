// What stands in the place of something that is not there: nothing yet, nothing at all, or a refusal.

import type { ReactNode } from "react";

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
  return (
    <div className="refusal" role="alert">
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
