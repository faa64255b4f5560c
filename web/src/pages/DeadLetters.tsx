import { useCallback, useEffect, useRef, useState } from "react";

import { Problem, isAbort } from "../api/client";
import type { Task } from "../api/types";
import { useFeed, useNow, useSession, useThrottled, useTitle } from "../context";
import { Action, Confirmed } from "../parts/Action";
import { Empty, Loading, Refusal } from "../parts/Notice";
import { Ago } from "../parts/Status";
import { taskAddress } from "../route";
import { TYPE_NAMES } from "../words";

export function DeadLetters() {
  const { client } = useSession();
  const [letters, setLetters] = useState<Task[] | null>(null);
  const [cursor, setCursor] = useState<string | undefined>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [told, setTold] = useState("");
  const [isBusy, setBusy] = useState(false);
  const scope = useRef<AbortController | null>(null);
  const isReading = useRef(false);
  const isDue = useRef(false);
  const again = useRef(() => {});
  const list = useRef<HTMLUListElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  /** Where in the list the focus goes on, if the button that has it goes. */
  const held = useRef<number | null>(null);
  /** So many letters were asked for, though they may not be read yet. */
  const wanted = useRef(1);
  const now = useNow(10_000);
  useTitle("Dead letters");

  /** Reads the letters after a cursor, at least so many if there are. */
  const read = useCallback(
    async (from: string | undefined, least: number) => {
      if (isReading.current) {
        isDue.current = true;
        return;
      }
      isReading.current = true;
      isDue.current = false;
      const own = scope.current;
      try {
        let page = await client.deadLetters(from, own?.signal);
        const found = [...page.dead_letters];
        // A page may be empty with more to follow.
        while (found.length < least && page.next_cursor !== undefined) {
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
        // What was asked meanwhile may have come too late for this answer.
        if (isDue.current) again.current();
      }
    },
    [client],
  );
  // As many as are shown: nobody is thrown back to the first of them.
  const reread = () => void read(undefined, Math.max(wanted.current, letters?.length ?? 0));
  const showMore = (shown: number) => {
    held.current = shown;
    // If they are being read anew, this is read after that, and from the first letter on.
    wanted.current = shown + 1;
    void read(cursor, 1);
  };
  useEffect(() => {
    scope.current = new AbortController();
    isReading.current = false;
    void read(undefined, 1);
    return () => scope.current?.abort();
  }, [read]);
  const refresh = useThrottled(reread, 1_500);
  useEffect(() => {
    again.current = refresh;
  });
  useFeed({
    changed: (changes) => {
      if (changes.some((change) => change.status === "failed" || change.previous_status === "failed")) refresh();
    },
    missed: refresh,
  });
  useEffect(() => {
    if (held.current === null || isBusy) return;
    if (document.activeElement === document.body) {
      const buttons = list.current?.querySelectorAll("button") ?? [];
      (buttons[Math.min(held.current, buttons.length - 1)] ?? heading.current)?.focus();
      held.current = null;
    } else if (!isReading.current && !isDue.current) {
      // The button has stayed.
      held.current = null;
    }
  }, [letters, isBusy]);

  const redrive = async (ids: string[] | null) => {
    setBusy(true);
    setTold("");
    setRefusal(null);
    held.current = ids ? (letters?.findIndex((letter) => letter.id === ids[0]) ?? null) : 0;
    let given = 0;
    let skipped = 0;
    try {
      let next: string | undefined;
      do {
        const which = ids ? { ids } : { all: true as const, ...(next === undefined ? {} : { cursor: next }) };
        const answer = await client.redrive(which);
        const gone = new Set([...answer.redriven, ...answer.skipped]);
        setLetters((before) => before?.filter((letter) => !gone.has(letter.id)) ?? null);
        given += answer.redriven.length;
        skipped += answer.skipped.length;
        next = answer.next_cursor;
        setTold(outcome(given, skipped));
      } while (next !== undefined);
    } catch (error) {
      // The button has stayed.
      held.current = null;
      setRefusal(Problem.of(error));
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
            Tasks whose attempts were all in vain. Redrive gives them new ones, once the cause is mended.
          </p>
        </div>
        {letters !== null && letters.length > 0 && (
          <div className="actions">
            <Confirmed
              question={`Redrive all ${letters.length}${cursor === undefined ? "" : " shown and older"}?`}
              isBusy={isBusy}
              act={() => void redrive(null)}
            >
              Redrive all
            </Confirmed>
          </div>
        )}
      </header>
      <p className="told" role="status">
        {told}
      </p>
      {refusal && <Refusal error={refusal} />}
      {error !== null && <Refusal error={error} retry={reread} />}
      {letters === null ? (
        error === null && <Loading what="dead letters" />
      ) : letters.length === 0 ? (
        <section className="card">
          <Empty title="No dead letters">
            Every task that failed did so for a reason that another attempt would not change.
          </Empty>
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

function outcome(given: number, skipped: number): string {
  const told = given === 1 ? "1 task has new attempts." : `${given} tasks have new attempts.`;
  if (skipped === 0) return told;
  return `${told} ${skipped === 1 ? "1 was no dead letter" : `${skipped} were no dead letters`} any more.`;
}
