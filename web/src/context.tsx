// The session that every page of a signed-in user works with.

import { createContext, useContext, useEffect, useRef, useSyncExternalStore } from "react";

import type { Client } from "./api/client";
import type { Feed, FeedState, Listener } from "./live/feed";
import type { ListCache } from "./live/listCache";
import type { Snapshot, Telemetry } from "./live/telemetry";

export interface Session {
  client: Client;
  feed: Feed;
  telemetry: Telemetry;
  listCache: ListCache;
  signOut(): void;
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession was called outside of SessionContext: render the page within it");
  return session;
}

/** Listens to changes for as long as the component is mounted. */
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

export function useTelemetry(): Snapshot {
  const { telemetry } = useSession();
  return useSyncExternalStore(telemetry.listen, () => telemetry.snapshot);
}
