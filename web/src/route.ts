// Where the page is, by what stands behind the # of its address: one page of HTML serves all.

import { useSyncExternalStore } from "react";

export interface Route {
  /** The parts of the path: ["tasks", "ID"], say. */
  path: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { path: parts.length > 0 ? parts : ["tasks"], query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

let isWithin = false;
// What this page makes by itself, a browser does not vouch for.
window.addEventListener("hashchange", (event) => {
  isWithin ||= event.isTrusted;
});

/** Whether the page before this one in the browser's history is one of ours. */
export function cameFromWithin(): boolean {
  return isWithin;
}

function listen(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

export function useHash(): string {
  return useSyncExternalStore(listen, () => window.location.hash);
}

export function taskAddress(id: string): string {
  return `#/tasks/${encodeURIComponent(id)}`;
}

/** Goes to another page; or, with `replace`, to another look at this one, that Back does not stop at. */
export function go(hash: string, replace = false): void {
  if (!replace) {
    window.location.hash = hash;
    return;
  }
  window.history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
