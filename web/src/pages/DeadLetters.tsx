import { useCallback, useEffect, useRef, useState } from "react";

import { isAbort } from "../api/client";
import type { Task } from "../api/types";
import { useFeed, useNow, useSession, useThrottled } from "../context";
import { Empty, Loading, Refusal } from "../parts/Notice";
import { Ago } from "../parts/Status";
import { taskAddress } from "../route";
import { TYPE_NAMES } from "../words";

export function DeadLetters() {
  const { client } = useSession();
  const [letters, setLetters] = useState<Task[] | null>(null);
  const [cursor, setCursor] = useState<string | undefined>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [told, setTold] = useState("");
  const [isBusy, setBusy] = useState(false);
  const scope = useRef<AbortController | null>(null);
  const now = useNow(10_000);

  const read = useCallback(
    async (from: string | undefined) => {
      try {
        let page = await client.deadLetters(from, scope.current?.signal);
        const found = [...page.dead_letters];
        // A page may be empty with more to follow.
        while (found.length === 0 && page.next_cursor !== undefined) {
          page = await client.deadLetters(page.next_cursor, scope.current?.signal);
          found.push(...page.dead_letters);
        }
        setLetters((before) => (from === undefined ? found : [...(before ?? []), ...found]));
        setCursor(page.next_cursor);
        setError(null);
      } catch (error) {
        if (!isAbort(error)) setError(error);
      }
    },
    [client],
  );
  useEffect(() => {
    scope.current = new AbortController();
    void read(undefined);
    return () => scope.current?.abort();
  }, [read]);
  const refresh = useThrottled(() => void read(undefined), 1_500);
  useFeed({
    changed: (changes) => {
      if (changes.some((change) => change.status === "failed" || change.previous_status === "failed")) refresh();
    },
    missed: refresh,
  });

  const redrive = async (ids: string[] | null) => {
    setBusy(true);
    setTold("");
    try {
      const given = new Set<string>();
      let next: string | undefined;
      do {
        const which = ids ? { ids } : { all: true as const, ...(next === undefined ? {} : { cursor: next }) };
        const answer = await client.redrive(which);
        answer.redriven.forEach((id) => given.add(id));
        next = answer.next_cursor;
      } while (next !== undefined);
      setLetters((before) => before?.filter((letter) => !given.has(letter.id)) ?? null);
      setTold(given.size === 1 ? "1 task has new attempts." : `${given.size} tasks have new attempts.`);
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className="wide page">
      <header className="task-head">
        <div>
          <h1>Dead letters</h1>
          <p className="muted">
            Tasks whose attempts were all in vain. Redrive gives them new ones, once the cause is mended.
          </p>
        </div>
        {letters !== null && letters.length > 0 && (
          <div className="actions">
            <button type="button" className="primary" disabled={isBusy} onClick={() => void redrive(null)}>
              Redrive all
            </button>
          </div>
        )}
      </header>
      <p className="told" role="status">
        {told}
      </p>
      {error !== null && <Refusal error={error} retry={() => void read(undefined)} />}
      {letters === null ? (
        error === null && <Loading what="dead letters" />
      ) : letters.length === 0 ? (
        <section className="card">
          <Empty title="No dead letters">
            Every task that failed did so for a reason that another attempt would not change.
          </Empty>
        </section>
      ) : (
        <ul className="letters card" aria-label="Dead letters, newest first">
          {letters.map((letter) => (
            <li key={letter.id}>
              <div className="letter">
                <p>
                  <a href={taskAddress(letter.id)}>
                    <strong>{TYPE_NAMES[letter.type]}</strong> <code className="muted">…{letter.id.slice(-8)}</code>
                  </a>
                  <span className="tag failed">{letter.error?.code}</span>
                </p>
                <p className="wrap">{letter.error?.message}</p>
                <p className="muted small">
                  {letter.error?.kind} after {letter.attempt} {letter.attempt === 1 ? "attempt" : "attempts"} ·{" "}
                  <Ago time={letter.updated_at} now={now} />
                </p>
              </div>
              <button
                type="button"
                disabled={isBusy}
                aria-label={`Redrive …${letter.id.slice(-8)}`}
                onClick={() => void redrive([letter.id])}
              >
                Redrive
              </button>
            </li>
          ))}
        </ul>
      )}
      {cursor !== undefined && letters !== null && (
        <p className="list-end">
          <button type="button" onClick={() => void read(cursor)}>
            Show more
          </button>
        </p>
      )}
    </div>
  );
}
