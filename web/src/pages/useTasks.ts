// The list of tasks under some filters: it grows page by page, and follows what happens.

import { useCallback, useEffect, useRef, useState } from "react";

import { isAbort } from "../api/client";
import type { Change, TaskSummary } from "../api/types";
import { useFeed, useSession, useThrottled } from "../context";

const PAGE = 100;
/** The newest page is read anew at most this often, however much happens. */
const REFRESH_MS = 1_000;

interface Listed {
  tasks: TaskSummary[];
  cursor: string | undefined;
  isBegun: boolean;
  isEnd: boolean;
}

const NOTHING: Listed = { tasks: [], cursor: undefined, isBegun: false, isEnd: false };

export function useTasks(filters: string) {
  const { client } = useSession();
  const [listed, setListed] = useState(NOTHING);
  const [error, setError] = useState<unknown>(null);
  const [isLoading, setLoading] = useState(false);
  const busy = useRef(false);
  const scope = useRef(new AbortController());

  const read = useCallback(
    async (cursor: string | undefined) => {
      const query = new URLSearchParams(filters);
      query.set("limit", String(PAGE));
      if (cursor !== undefined) query.set("cursor", cursor);
      return client.tasks(query, scope.current.signal);
    },
    [client, filters],
  );

  /** Reads the page after the last, unless one is under way. A page may be empty with more to follow. */
  const more = useCallback(async () => {
    if (busy.current) return;
    busy.current = true;
    setLoading(true);
    const own = scope.current;
    try {
      let cursor = latest.current.cursor;
      for (let found = 0; found === 0; ) {
        const page = await read(cursor);
        found = page.tasks.length;
        cursor = page.next_cursor;
        setListed((before) => ({
          tasks: before.isBegun ? appended(before.tasks, page.tasks) : page.tasks,
          cursor: page.next_cursor,
          isBegun: true,
          isEnd: page.next_cursor === undefined,
        }));
        if (cursor === undefined) break;
      }
      setError(null);
    } catch (error) {
      if (!isAbort(error)) setError(error);
    } finally {
      if (own === scope.current) {
        busy.current = false;
        setLoading(false);
      }
    }
  }, [read]);

  const latest = useRef(listed);
  useEffect(() => {
    latest.current = listed;
  });

  useEffect(() => {
    const own = new AbortController();
    scope.current = own;
    busy.current = false;
    setListed(NOTHING);
    latest.current = NOTHING;
    void more();
    return () => own.abort();
  }, [more]);

  const refresh = useThrottled(() => {
    void read(undefined).then(
      (page) => setListed((before) => (before.isBegun ? headed(before, page.tasks, page.next_cursor) : before)),
      (error: unknown) => {
        if (!isAbort(error)) setError(error);
      },
    );
  }, REFRESH_MS);

  useFeed({
    changed: (changes) => {
      setListed((before) => ({ ...before, tasks: patched(before.tasks, changes) }));
      refresh();
    },
    missed: refresh,
  });

  const again = () => {
    setError(null);
    void more();
  };
  return { ...listed, isLoading, error, more, again };
}

/** What is listed, with the next page below it. A task that is there already was moved by a refresh. */
export function appended(tasks: TaskSummary[], page: TaskSummary[]): TaskSummary[] {
  const known = new Set(tasks.map((task) => task.id));
  return [...tasks, ...page.filter((task) => !known.has(task.id))];
}

/** What is listed, with its newest page in place of what stood there. Ids are ordered by time. */
export function headed(before: Listed, page: TaskSummary[], cursor: string | undefined): Listed {
  const last = page.at(-1);
  if (cursor === undefined || !last) return { ...before, tasks: page, cursor, isEnd: cursor === undefined };
  const older = before.tasks.filter((task) => task.id < last.id);
  const first = before.tasks[0];
  // More has come than a page holds: what lies between is read as one scrolls.
  if (!first || (older.length === before.tasks.length && first.id < last.id)) {
    return { ...before, tasks: page, cursor, isEnd: false };
  }
  if (older.length === 0) return { ...before, tasks: page, cursor, isEnd: false };
  return { ...before, tasks: [...page, ...older] };
}

/** What is listed, with the changes in it. */
export function patched(tasks: TaskSummary[], changes: Change[]): TaskSummary[] {
  const last = new Map(changes.map((change) => [change.id, change]));
  if (!tasks.some((task) => last.has(task.id))) return tasks;
  return tasks.flatMap((task) => {
    const change = last.get(task.id);
    if (!change) return [task];
    if (change.status === "removed") return [];
    const { status, generation, attempt, updated_at } = change;
    return [{ ...task, status, generation, attempt, updated_at }];
  });
}
