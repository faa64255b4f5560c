// Where the page is, by what stands behind the # of its address: one page of HTML serves all.

import { useSyncExternalStore } from "react";

export interface Route {
  /** The parts of the path: ["tasks", "ID"], say. */
  path: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const place = hash.replace(/^#\/?/, "");
  const mark = place.indexOf("?");
  const [path, query] = mark < 0 ? [place, ""] : [place.slice(0, mark), place.slice(mark + 1)];
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

/** What an entry of the browser's history remembers: where one was when it was made, if that was here. */
interface Entry {
  from: string | null;
}

function entry(): Entry | null {
  const state: unknown = window.history.state;
  return state !== null && typeof state === "object" && "from" in state ? (state as Entry) : null;
}

let returned = false;
let list = "#/tasks";

function arrive(from: string | null): void {
  // An entry that was here before is one that Back or Forward leads to.
  returned = entry() !== null;
  if (!returned) window.history.replaceState({ from } satisfies Entry, "");
  remember();
}

function remember(): void {
  if (isList(window.location.hash)) list = window.location.hash || "#/tasks";
}

arrive(null);
window.addEventListener("hashchange", ({ isTrusted, oldURL }) => {
  // What this page makes by itself, a browser does not vouch for.
  if (isTrusted) arrive(new URL(oldURL).hash);
  else remember();
});

function isList(hash: string): boolean {
  const { path } = parse(hash);
  return path[0] === "tasks" && path.length === 1;
}

/** Whether Back or Forward led here. */
export function hasReturned(): boolean {
  return returned;
}

/** Whether this page was come to from the list, so that Back leads to it. */
export function cameFromList(): boolean {
  const from = entry()?.from ?? null;
  return from !== null && isList(from);
}

/** The list as it was last looked at, filters and all. */
export function listAddress(): string {
  return list;
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
  window.history.replaceState(window.history.state, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
