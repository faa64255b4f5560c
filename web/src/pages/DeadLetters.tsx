import { useCallback, useEffect, useRef, useState } from "react";

import { Problem, isAbort } from "../api/client";
import type { Task } from "../api/types";
import { Action, ConfirmedAction } from "../components/Action";
import { Empty, ErrorNotice, Loading } from "../components/Notice";
import { Ago } from "../components/Status";
import { useFeed, useSession } from "../context";
import { useNow, useThrottled, useTitle } from "../hooks";
import { TYPE_NAMES } from "../labels";
import { taskAddress } from "../route";

export function DeadLetters() {
  const { client } = useSession();
  const [letters, setLetters] = useState<Task[] | null>(null);
  const [cursor, setCursor] = useState<string | undefined>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [redriveError, setRedriveError] = useState<Problem | null>(null);
  const [message, setMessage] = useState("");
  const [isBusy, setBusy] = useState(false);
  const scope = useRef<AbortController | null>(null);
  const isReading = useRef(false);
  /** Whether a read was requested during another: it follows when that one ends. */
  const isRefreshDue = useRef(false);
  const refreshAgain = useRef(() => {});
  const list = useRef<HTMLUListElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  /** The position in the list that takes the focus if the focused button disappears. */
  const nextFocus = useRef<number | null>(null);
  /** The number of letters that the user requested to see, which may not be loaded yet. */
  const requestedCount = useRef(1);
  const now = useNow(10_000);
  useTitle("Dead letters");

  /** Reads the letters after a cursor: at least `minimum`, if there are as many. */
  const read = useCallback(
    async (from: string | undefined, minimum: number) => {
      if (isReading.current) {
        isRefreshDue.current = true;
        return;
      }
      isReading.current = true;
      isRefreshDue.current = false;
      const own = scope.current;
      try {
        let page = await client.deadLetters(from, own?.signal);
        const found = [...page.dead_letters];
        // A page may be empty although more pages follow.
        while (found.length < minimum && page.next_cursor !== undefined) {
          page = await client.deadLetters(page.next_cursor, own?.signal);
          found.push(...page.dead_letters);
        }
        setLetters((before) => (from === undefined ? found : [...(before ?? []), ...found]));
        setCursor(page.next_cursor);
        setError(null);
      } catch (error) {
        if (!isAbort(error)) setError(error);
      } finally {
        if (own === scope.current) isReading.current = false;
        // This response may be older than the change for which the next read was requested.
        if (isRefreshDue.current) refreshAgain.current();
      }
    },
    [client],
  );
  // Reads as many letters as are shown, so that the list does not shrink under the reader.
  const reload = () => void read(undefined, Math.max(requestedCount.current, letters?.length ?? 0));
  const showMore = (shown: number) => {
    nextFocus.current = shown;
    // If a refresh is in progress, this read follows it and begins at the first letter.
    requestedCount.current = shown + 1;
    void read(cursor, 1);
  };
  useEffect(() => {
    scope.current = new AbortController();
    isReading.current = false;
    void read(undefined, 1);
    return () => scope.current?.abort();
  }, [read]);
  const refresh = useThrottled(reload, 1_500);
  useEffect(() => {
    refreshAgain.current = refresh;
  });
  useFeed({
    changed: (changes) => {
      if (changes.some((change) => change.status === "failed" || change.previous_status === "failed")) refresh();
    },
    missed: refresh,
  });
  useEffect(() => {
    if (nextFocus.current === null || isBusy) return;
    if (document.activeElement === document.body) {
      const buttons = list.current?.querySelectorAll("button") ?? [];
      (buttons[Math.min(nextFocus.current, buttons.length - 1)] ?? heading.current)?.focus();
      nextFocus.current = null;
    } else if (!isReading.current && !isRefreshDue.current) {
      // The focused button is still there.
      nextFocus.current = null;
    }
  }, [letters, isBusy]);

  const redrive = async (ids: string[] | null) => {
    setBusy(true);
    setMessage("");
    setRedriveError(null);
    nextFocus.current = ids ? (letters?.findIndex((letter) => letter.id === ids[0]) ?? null) : 0;
    let redriven = 0;
    let skipped = 0;
    try {
      let next: string | undefined;
      do {
        const which = ids ? { ids } : { all: true as const, ...(next === undefined ? {} : { cursor: next }) };
        const answer = await client.redrive(which);
        const handled = new Set([...answer.redriven, ...answer.skipped]);
        setLetters((before) => before?.filter((letter) => !handled.has(letter.id)) ?? null);
        redriven += answer.redriven.length;
        skipped += answer.skipped.length;
        next = answer.next_cursor;
        setMessage(summary(redriven, skipped));
      } while (next !== undefined);
    } catch (error) {
      // The focused button is still there.
      nextFocus.current = null;
      setRedriveError(Problem.from(error));
    } finally {
      setBusy(false);
      refresh();
    }
  };

  return (
    <div className="wide page">
      <header className="task-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            Dead letters
          </h1>
          <p className="muted">
            Tasks whose attempts all failed. Fix the cause, then redrive them: each gets new attempts.
          </p>
        </div>
        {letters !== null && letters.length > 0 && (
          <div className="actions">
            <ConfirmedAction
              question={`Redrive all ${letters.length}${cursor === undefined ? "" : " shown and older"}?`}
              isBusy={isBusy}
              act={() => void redrive(null)}
            >
              Redrive all
            </ConfirmedAction>
          </div>
        )}
      </header>
      <p className="message" role="status">
        {message}
      </p>
      {redriveError && <ErrorNotice error={redriveError} />}
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {letters === null ? (
        error === null && <Loading what="dead letters" />
      ) : letters.length === 0 ? (
        <section className="card">
          <Empty title="No dead letters">Every failed task failed permanently: another attempt would not help.</Empty>
        </section>
      ) : (
        <ul ref={list} className="letters card" aria-label="Dead letters, newest first">
          {letters.map((letter) => (
            <li key={letter.id}>
              <div className="letter">
                <p>
                  <a href={taskAddress(letter.id)}>
                    <strong>{TYPE_NAMES[letter.type]}</strong> <code className="muted">…{letter.id.slice(-8)}</code>
                  </a>
                  <span className="tag failed">{letter.error?.code}</span>
                </p>
                <p className="wrap" dir="auto">
                  {letter.error?.message}
                </p>
                <p className="muted small">
                  {letter.error?.kind} after {letter.attempt} {letter.attempt === 1 ? "attempt" : "attempts"} ·{" "}
                  <Ago time={letter.updated_at} now={now} />
                </p>
              </div>
              <Action isBusy={isBusy} label={`Redrive …${letter.id.slice(-8)}`} act={() => void redrive([letter.id])}>
                Redrive
              </Action>
            </li>
          ))}
        </ul>
      )}
      {cursor !== undefined && letters !== null && (
        <p className="list-end">
          <button type="button" onClick={() => showMore(letters.length)}>
            Show more
          </button>
        </p>
      )}
    </div>
  );
}

function summary(redriven: number, skipped: number): string {
  const message = redriven === 1 ? "1 task has new attempts." : `${redriven} tasks have new attempts.`;
  if (skipped === 0) return message;
  return `${message} ${skipped === 1 ? "1 was not a dead letter" : `${skipped} were not dead letters`} any more.`;
}
