// The list of tasks under some filters: it grows page by page, and follows what happens.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

import { isAbort } from "../api/client";
import { useFeed, useSession, useThrottled } from "../context";
import { type Listed, appended, hasGap, headed, patched } from "./merge";

const PAGE = 100;
/** The newest page is read anew at most this often, however much happens. */
const REFRESH_MS = 1_000;
/** So many pages are read to close a gap between the newest tasks and those that are listed. */
const MOST_REFRESHED = 10;

const NOTHING: Listed = { tasks: [], cursor: undefined, isBegun: false, isEnd: false };

/** The filters stay the same for as long as it is used; `begun` is what is known of the list already. */
export function useTasks(filters: string, begun: Listed | undefined) {
  const { client } = useSession();
  const [listed, setListed] = useState(begun ?? NOTHING);
  const [error, setError] = useState<unknown>(null);
  const [isLoading, setLoading] = useState(false);
  const busy = useRef(false);
  /** Something happened while the list was begun: what was read by then may not show it. */
  const isDue = useRef(false);
  const again = useRef(() => {});
  const scope = useRef(new AbortController());
  const latest = useRef(listed);
  // Before the list is measured, which asks for more.
  useLayoutEffect(() => {
    latest.current = listed;
  });

  const read = useCallback(
    async (cursor: string | undefined) => {
      const query = new URLSearchParams(filters);
      query.set("limit", String(PAGE));
      if (cursor !== undefined) query.set("cursor", cursor);
      return client.tasks(query, scope.current.signal);
    },
    [client, filters],
  );
  const refused = (error: unknown) => {
    if (!isAbort(error)) setError(error);
  };

  /** Reads the page after the last, unless one is under way. */
  const more = useCallback(async () => {
    if (busy.current) return;
    busy.current = true;
    setLoading(true);
    const own = scope.current;
    try {
      const { cursor } = latest.current;
      let page = await read(cursor);
      // A page may be empty with more to follow.
      while (page.tasks.length === 0 && page.next_cursor !== undefined) page = await read(page.next_cursor);
      setListed((before) => {
        // A refresh has begun the list anew: this page is not the one below it.
        if (before.cursor !== cursor) return before;
        const tasks = before.isBegun ? appended(before.tasks, page.tasks) : page.tasks;
        return { tasks, cursor: page.next_cursor, isBegun: true, isEnd: page.next_cursor === undefined };
      });
      setError(null);
    } catch (error) {
      refused(error);
    } finally {
      if (own === scope.current) {
        busy.current = false;
        setLoading(false);
        if (isDue.current) again.current();
      }
    }
  }, [read]);

  const refresh = useThrottled(() => {
    isDue.current = false;
    if (!latest.current.isBegun) {
      if (busy.current) isDue.current = true;
      else void more();
      return;
    }
    const newest = async () => {
      const page = await read(undefined);
      for (let pages = 1; pages < MOST_REFRESHED; pages += 1) {
        if (page.next_cursor === undefined || !hasGap(latest.current.tasks, page.tasks)) break;
        const next = await read(page.next_cursor);
        page.tasks.push(...next.tasks);
        if (next.next_cursor === undefined) delete page.next_cursor;
        else page.next_cursor = next.next_cursor;
      }
      setListed((before) => headed(before, page.tasks, page.next_cursor));
      setError(null);
    };
    newest().catch(refused);
  }, REFRESH_MS);

  useEffect(() => {
    again.current = refresh;
  });

  useEffect(() => {
    const own = new AbortController();
    scope.current = own;
    busy.current = false;
    if (latest.current.isBegun) refresh();
    else void more();
    return () => own.abort();
    // `refresh` is another one each time, and always does the same.
  }, [more]);

  // All that was listed may have gone, with more below it.
  const isDrained = listed.isBegun && !listed.isEnd && listed.tasks.length === 0;
  useEffect(() => {
    if (isDrained && !isLoading && error === null) void more();
  }, [isDrained, isLoading, error, more]);

  useFeed({
    changed: (changes) => {
      setListed((before) => ({ ...before, tasks: patched(before.tasks, changes, filters) }));
      refresh();
    },
    missed: refresh,
  });

  const retry = () => {
    setError(null);
    void more();
  };
  return { ...listed, isLoading, error, more, retry, latest };
}
