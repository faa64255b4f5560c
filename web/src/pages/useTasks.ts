// The list of tasks under some filters: it grows page by page, and follows what happens.

import { useCallback, useEffect, useRef, useState } from "react";

import { isAbort } from "../api/client";
import type { Change } from "../api/types";
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
  /** Whether the page after the last is being read, and whether the newest: one read of each at a time. */
  const busy = useRef(false);
  const isRefreshing = useRef(false);
  /** Something happened while it was read: what was read by then may not show it. */
  const isDue = useRef(false);
  /** Whether there may be tasks that no change has told of. */
  const hasMissed = useRef(true);
  /** What has happened since the oldest read under way began: its answer may be of before. */
  const told = useRef<Change[]>([]);
  const again = useRef(() => {});
  const scope = useRef(new AbortController());
  /** What is listed, ahead of what is drawn: reads begin and end in between. */
  const latest = useRef(listed);
  const apply = (change: (before: Listed) => Listed) => {
    latest.current = change(latest.current);
    setListed(latest.current);
  };

  const read = useCallback(
    async (cursor: string | undefined) => {
      const query = new URLSearchParams(filters);
      query.set("limit", String(PAGE));
      if (cursor !== undefined) query.set("cursor", cursor);
      return client.tasks(query, scope.current.signal);
    },
    [client, filters],
  );
  const begin = () => {
    if (!busy.current && !isRefreshing.current) told.current = [];
  };
  const refused = (error: unknown) => {
    if (!isAbort(error)) setError(error);
  };

  /** Reads the page after the last, unless one is under way. */
  const more = useCallback(async () => {
    if (busy.current || latest.current.isEnd) return;
    begin();
    busy.current = true;
    setLoading(true);
    const own = scope.current;
    try {
      const { cursor } = latest.current;
      let page = await read(cursor);
      // A page may be empty with more to follow.
      while (page.tasks.length === 0 && page.next_cursor !== undefined) page = await read(page.next_cursor);
      const below = patched(page.tasks, told.current, filters);
      apply((before) => {
        // A refresh has begun the list anew: this page is not the one below it. A new array is measured again, which asks
        // for that one if its place is in sight.
        if (before.cursor !== cursor) return { ...before, tasks: [...before.tasks] };
        const tasks = before.isBegun ? appended(before.tasks, below) : below;
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
  }, [read, filters]);

  /** Reads the newest page, and what lies between it and the list. */
  const newest = async () => {
    begin();
    isRefreshing.current = true;
    const own = scope.current;
    const isThorough = hasMissed.current;
    hasMissed.current = false;
    try {
      const page = await read(undefined);
      for (let pages = 1; pages < MOST_REFRESHED; pages += 1) {
        // An empty page says nothing of the next. After each change that would be much to read for a rare filter.
        const goesOn = page.tasks.length === 0 ? isThorough : hasGap(latest.current.tasks, page.tasks);
        if (page.next_cursor === undefined || !goesOn) break;
        const next = await read(page.next_cursor);
        page.tasks.push(...next.tasks);
        if (next.next_cursor === undefined) delete page.next_cursor;
        else page.next_cursor = next.next_cursor;
      }
      const head = patched(page.tasks, told.current, filters);
      apply((before) => headed(before, head, page.next_cursor));
      setError(null);
    } catch (error) {
      hasMissed.current ||= isThorough;
      refused(error);
    } finally {
      if (own === scope.current) {
        isRefreshing.current = false;
        if (isDue.current) again.current();
      }
    }
  };
  const refresh = useThrottled(() => {
    const { isBegun } = latest.current;
    isDue.current = isBegun ? isRefreshing.current : busy.current;
    if (!isDue.current) void (isBegun ? newest() : more());
  }, REFRESH_MS);

  useEffect(() => {
    again.current = refresh;
  });

  useEffect(() => {
    const own = new AbortController();
    scope.current = own;
    busy.current = false;
    isRefreshing.current = false;
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
      if (busy.current || isRefreshing.current) told.current.push(...changes);
      apply((before) => ({ ...before, tasks: patched(before.tasks, changes, filters) }));
      refresh();
    },
    missed: () => {
      hasMissed.current = true;
      refresh();
    },
  });

  const retry = () => {
    setError(null);
    if (latest.current.isBegun) refresh();
    void more();
  };
  return { ...listed, isLoading, error, more, retry, latest };
}
