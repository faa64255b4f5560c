// What every page of a signed-in session works with.

import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";

import type { Client } from "./api/client";
import type { Feed, FeedState, Listener } from "./live/feed";
import type { Seen, Telemetry } from "./live/telemetry";
import type { Kept } from "./pages/kept";

export interface Session {
  client: Client;
  feed: Feed;
  telemetry: Telemetry;
  kept: Kept;
  signOut(): void;
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("a page is shown without a session");
  return session;
}

/** Hears of changes for as long as the component is shown. */
export function useFeed(listener: Pick<Listener, "changed" | "missed">): void {
  const { feed } = useSession();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(
    () =>
      feed.listen({
        changed: (changes) => latest.current.changed?.(changes),
        missed: () => latest.current.missed?.(),
      }),
    [feed],
  );
}

export function useFeedState(): FeedState {
  const { feed } = useSession();
  return useSyncExternalStore(
    (listener) => feed.listen({ state: listener }),
    () => feed.state,
  );
}

export function useTelemetry(): Seen {
  const { telemetry } = useSession();
  return useSyncExternalStore(telemetry.listen, () => telemetry.seen);
}

/** Where the page is as narrow as a phone's. */
export const NARROW = "(max-width: 720px)";

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const look = () => setMatches(media.matches);
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, [query]);
  return matches;
}

/** What the page is called in tabs, in the history and by screen readers. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · AI Mesh`;
  }, [title]);
}

/** The present, anew every so many milliseconds: for what is said to be "2 min ago". */
export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), every);
    return () => window.clearInterval(timer);
  }, [every]);
  return now;
}

/** Calls at most once in so many milliseconds, and once more at the end of a burst. */
export function useThrottled(call: () => void, milliseconds: number): () => void {
  const latest = useRef(call);
  const timer = useRef<number | undefined>(undefined);
  const last = useRef(0);
  useEffect(() => {
    latest.current = call;
  });
  useEffect(
    () => () => {
      window.clearTimeout(timer.current);
      // React's strict mode mounts twice: what was called off is none under way.
      timer.current = undefined;
    },
    [],
  );
  return () => {
    if (timer.current !== undefined) return;
    const wait = Math.max(0, last.current + milliseconds - Date.now());
    timer.current = window.setTimeout(() => {
      timer.current = undefined;
      last.current = Date.now();
      latest.current();
    }, wait);
  };
}
