// Hooks that need no session: media queries, the title, the time, and throttling.

import { useEffect, useRef, useState } from "react";

/** Matches a window as narrow as a phone's. */
export const NARROW = "(max-width: 720px)";

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const update = () => setMatches(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, [query]);
  return matches;
}

/** Sets the page's title, which tabs, the browser's history and screen readers show. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · AI Mesh`;
  }, [title]);
}

/** The current time, updated at this interval in milliseconds: relative times such as "2 min ago" depend on it. */
export function useNow(interval: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), interval);
    return () => window.clearInterval(timer);
  }, [interval]);
  return now;
}

/** Calls at most once per interval, and once more at the end of a burst. */
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
      // React's strict mode mounts twice. A cancelled timer must not count as a pending one.
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
