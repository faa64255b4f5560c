// Routing by the fragment of the address, the part after #: one HTML page serves every route.

import { useSyncExternalStore } from "react";

export interface Route {
  /** The parts of the path, such as ["tasks", "ID"]. */
  path: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const address = hash.replace(/^#\/?/, "");
  const mark = address.indexOf("?");
  const [path, query] = mark < 0 ? [address, ""] : [address.slice(0, mark), address.slice(mark + 1)];
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

/** What this page stores in an entry of the browser's history. */
interface Entry {
  /** The fragment from which the entry was opened; null if that was another site. */
  from: string | null;
}

function entry(): Entry | null {
  const state: unknown = window.history.state;
  return state !== null && typeof state === "object" && "from" in state ? (state as Entry) : null;
}

let returned = false;
let lastList = "#/tasks";

function trackEntry(from: string | null): void {
  // An entry that already has this state was opened by Back or Forward.
  returned = entry() !== null;
  if (!returned) window.history.replaceState({ from } satisfies Entry, "");
  rememberList();
}

function rememberList(): void {
  if (isList(window.location.hash)) lastList = window.location.hash || "#/tasks";
}

trackEntry(null);
window.addEventListener("hashchange", ({ isTrusted, oldURL }) => {
  // An event that `go` dispatches is not trusted: it changes the current entry and adds none.
  if (isTrusted) trackEntry(new URL(oldURL).hash);
  else rememberList();
});

function isList(hash: string): boolean {
  const { path } = parse(hash);
  return path[0] === "tasks" && path.length === 1;
}

/** Whether Back or Forward opened this page. */
export function hasReturned(): boolean {
  return returned;
}

/** Whether this page was opened from the list, so that Back leads to the list. */
export function cameFromList(): boolean {
  const from = entry()?.from ?? null;
  return from !== null && isList(from);
}

/** The address of the list when it was last open, with its filters. */
export function listAddress(): string {
  return lastList;
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

/** Opens another page. With `replace` it changes the current history entry, so that Back skips it. */
export function go(hash: string, replace = false): void {
  if (!replace) {
    window.location.hash = hash;
    return;
  }
  window.history.replaceState(window.history.state, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
