// The list of tasks under some filters. It grows page by page and follows the feed of changes.

import { useCallback, useEffect, useRef, useState } from "react";

import { isAbort } from "../api/client";
import type { Change } from "../api/types";
import { useFeed, useSession } from "../context";
import { useThrottled } from "../hooks";
import { type TaskRows, appendPage, applyChanges, hasGap, replaceNewest } from "../live/merge";

const PAGE_SIZE = 100;
/** The shortest interval between two refreshes, however many changes arrive. */
const REFRESH_MS = 1_000;
/** The number of pages that one refresh reads at most to close the gap between the newest tasks and the list. */
const MAX_REFRESH_PAGES = 10;

const EMPTY: TaskRows = { tasks: [], cursor: undefined, isLoaded: false, isComplete: false };

/** The filters must not change while the hook is mounted. `initial` is the restored list, if there is one. */
export function useTasks(filters: string, initial: TaskRows | undefined) {
  const { client } = useSession();
  const [rows, setRows] = useState(initial ?? EMPTY);
  const [error, setError] = useState<unknown>(null);
  const [isLoading, setLoading] = useState(false);
  /** Whether the next page is being read, and whether the newest: at most one read of each at a time. */
  const isLoadingMore = useRef(false);
  const isRefreshing = useRef(false);
  /** Whether a change arrived during a read, whose response may not include it: another refresh is due. */
  const isRefreshDue = useRef(false);
  /** Whether there may be new tasks that no change has announced. */
  const hasMissed = useRef(true);
  /** The changes since the oldest read in progress began: its response may be older than they are. */
  const pendingChanges = useRef<Change[]>([]);
  const refreshAgain = useRef(() => {});
  const scope = useRef(new AbortController());
  /** The current rows, which are ahead of the rendered ones: reads begin and end between two renders. */
  const latest = useRef(rows);
  const apply = (change: (before: TaskRows) => TaskRows) => {
    latest.current = change(latest.current);
    setRows(latest.current);
  };

  const readPage = useCallback(
    async (cursor: string | undefined) => {
      const query = new URLSearchParams(filters);
      query.set("limit", String(PAGE_SIZE));
      if (cursor !== undefined) query.set("cursor", cursor);
      return client.tasks(query, scope.current.signal);
    },
    [client, filters],
  );
  const beginRead = () => {
    if (!isLoadingMore.current && !isRefreshing.current) pendingChanges.current = [];
  };
  const showError = (error: unknown) => {
    if (!isAbort(error)) setError(error);
  };

  /** Reads the next page, unless one is being read. */
  const loadMore = useCallback(async () => {
    if (isLoadingMore.current || latest.current.isComplete) return;
    beginRead();
    isLoadingMore.current = true;
    setLoading(true);
    const own = scope.current;
    try {
      const { cursor } = latest.current;
      let page = await readPage(cursor);
      // A page may be empty although more pages follow.
      while (page.tasks.length === 0 && page.next_cursor !== undefined) page = await readPage(page.next_cursor);
      const below = applyChanges(page.tasks, pendingChanges.current, filters);
      apply((before) => {
        // A refresh has replaced the list, and this page does not follow it. The new array makes VirtualList measure
        // again, which requests the right page if its place is in sight.
        if (before.cursor !== cursor) return { ...before, tasks: [...before.tasks] };
        const tasks = before.isLoaded ? appendPage(before.tasks, below) : below;
        return { tasks, cursor: page.next_cursor, isLoaded: true, isComplete: page.next_cursor === undefined };
      });
      setError(null);
    } catch (error) {
      showError(error);
    } finally {
      if (own === scope.current) {
        isLoadingMore.current = false;
        setLoading(false);
        if (isRefreshDue.current) refreshAgain.current();
      }
    }
  }, [readPage, filters]);

  /** Reads the newest page, and the pages between it and the list. */
  const refreshNewest = async () => {
    beginRead();
    isRefreshing.current = true;
    const own = scope.current;
    const isThorough = hasMissed.current;
    hasMissed.current = false;
    try {
      const page = await readPage(undefined);
      for (let pages = 1; pages < MAX_REFRESH_PAGES; pages += 1) {
        // An empty page does not mean that the next is empty. Only after missed changes is it worth the reads: a rare
        // filter may have many empty pages.
        const continues = page.tasks.length === 0 ? isThorough : hasGap(latest.current.tasks, page.tasks);
        if (page.next_cursor === undefined || !continues) break;
        const next = await readPage(page.next_cursor);
        page.tasks.push(...next.tasks);
        if (next.next_cursor === undefined) delete page.next_cursor;
        else page.next_cursor = next.next_cursor;
      }
      const newest = applyChanges(page.tasks, pendingChanges.current, filters);
      apply((before) => replaceNewest(before, newest, page.next_cursor));
      setError(null);
    } catch (error) {
      hasMissed.current ||= isThorough;
      showError(error);
    } finally {
      if (own === scope.current) {
        isRefreshing.current = false;
        if (isRefreshDue.current) refreshAgain.current();
      }
    }
  };
  const refresh = useThrottled(() => {
    const { isLoaded } = latest.current;
    isRefreshDue.current = isLoaded ? isRefreshing.current : isLoadingMore.current;
    if (!isRefreshDue.current) void (isLoaded ? refreshNewest() : loadMore());
  }, REFRESH_MS);

  useEffect(() => {
    refreshAgain.current = refresh;
  });

  useEffect(() => {
    const own = new AbortController();
    scope.current = own;
    isLoadingMore.current = false;
    isRefreshing.current = false;
    if (latest.current.isLoaded) refresh();
    else void loadMore();
    return () => own.abort();
    // `refresh` is not a dependency: each render creates another one that does the same.
  }, [loadMore]);

  // All listed tasks may have left the list although more follow.
  const isDrained = rows.isLoaded && !rows.isComplete && rows.tasks.length === 0;
  useEffect(() => {
    if (isDrained && !isLoading && error === null) void loadMore();
  }, [isDrained, isLoading, error, loadMore]);

  useFeed({
    changed: (changes) => {
      if (isLoadingMore.current || isRefreshing.current) pendingChanges.current.push(...changes);
      apply((before) => ({ ...before, tasks: applyChanges(before.tasks, changes, filters) }));
      refresh();
    },
    missed: () => {
      hasMissed.current = true;
      refresh();
    },
  });

  const retry = () => {
    setError(null);
    if (latest.current.isLoaded) refresh();
    void loadMore();
  };
  return { ...rows, isLoading, error, loadMore, retry, latest };
}
