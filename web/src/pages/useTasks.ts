// The list of tasks under some filters: it grows page by page, and follows what happens.

import { useCallback, useEffect, useRef, useState } from "react";

import { isAbort } from "../api/client";
import { useFeed, useSession, useThrottled } from "../context";
import { type Listed, appended, headed, patched } from "./merge";

const PAGE = 100;
/** The newest page is read anew at most this often, however much happens. */
const REFRESH_MS = 1_000;

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
      for (let found = 0; found === 0;) {
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
