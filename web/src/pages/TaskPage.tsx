import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";

import { advice } from "../advice";
import { Problem, isAbort } from "../api/client";
import type { Task } from "../api/types";
import { useFeed, useNow, useSession, useThrottled } from "../context";
import { Input } from "../parts/Input";
import { Loading, Refusal } from "../parts/Notice";
import { Ago, StatusBadge } from "../parts/Status";
import { Timeline } from "../parts/Timeline";
import { ResultView } from "../results/ResultView";
import { cameFromWithin } from "../route";
import { TYPE_NAMES, bytes, duration, isFinal, moment } from "../words";

export function TaskPage({ id }: { id: string }) {
  const { client } = useSession();
  const [task, setTask] = useState<Task | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const scope = useRef<AbortController | null>(null);
  const load = useCallback(async () => {
    try {
      setTask(newest(await client.task(id, scope.current?.signal)));
      setError(null);
    } catch (error) {
      if (!isAbort(error)) setError(error);
    }
  }, [client, id]);
  useEffect(() => {
    scope.current = new AbortController();
    void load();
    return () => scope.current?.abort();
  }, [load]);
  const soon = useThrottled(() => void load(), 300);
  useFeed({
    changed: (changes) => {
      if (changes.some((change) => change.id === id)) soon();
    },
    missed: soon,
  });
  const act = async (deed: () => Promise<Task>) => {
    setBusy(true);
    setRefusal(null);
    try {
      setTask(newest(await deed()));
    } catch (error) {
      setRefusal(Problem.of(error));
      void load();
    } finally {
      setBusy(false);
    }
  };
  const now = useNow(5_000);

  if (!task) {
    return (
      <div className="wide page">
        <Back />
        {error === null ? <Loading what="the task" /> : <Refusal error={error} retry={() => void load()} />}
      </div>
    );
  }
  const canRetry = task.status === "failed" || task.status === "cancelled";
  return (
    <div className="wide page">
      <Back />
      <header className="task-head">
        <div>
          <h1>{TYPE_NAMES[task.type]}</h1>
          <p className="task-id">
            <StatusBadge status={task.status} />
            <code>{task.id}</code>
          </p>
        </div>
        <div className="actions">
          {!isFinal(task.status) && (
            <button type="button" disabled={isBusy} onClick={() => void act(() => client.cancel(id))}>
              Cancel
            </button>
          )}
          {canRetry && (
            <button
              type="button"
              className="primary"
              disabled={isBusy}
              onClick={() => void act(() => client.retry(id))}
            >
              Retry
            </button>
          )}
        </div>
      </header>
      {refusal && <Refusal error={refusal} />}
      {error !== null && <Refusal error={error} retry={() => void load()} />}
      {task.error && (
        <section className={`failure ${task.status === "failed" ? "" : "passing"}`} aria-label="Error">
          <h2>
            {task.status === "failed" ? "Failed" : "The last attempt failed"}: <code>{task.error.code}</code>
          </h2>
          <p>{task.error.message}</p>
          <p className="advice">{advice(task.error.code)}</p>
        </section>
      )}
      <div className="task-body">
        <div className="task-main">
          {task.status === "completed" && (
            <section className="card" aria-label="Result">
              <h2>Result</h2>
              <ResultView task={task} renew={() => void load()} />
            </section>
          )}
          <section className="card" aria-label="Input">
            <h2>Input</h2>
            <Input task={task} />
          </section>
        </div>
        <aside className="task-aside">
          <section className="card" aria-label="Attempts">
            <h2>Attempts</h2>
            <Timeline task={task} now={now} />
          </section>
          <section className="card" aria-label="Details">
            <h2>Details</h2>
            <Details task={task} now={now} />
          </section>
        </aside>
      </div>
    </div>
  );
}

/** An answer, unless a newer one overtook it on its way. */
function newest(answer: Task) {
  return (before: Task | null): Task => (before && before.updated_at > answer.updated_at ? before : answer);
}

function Back() {
  return (
    <a
      className="back"
      href="#/tasks"
      onClick={(event) => {
        if (!cameFromWithin()) return;
        // To the list as it was, filters and all.
        event.preventDefault();
        window.history.back();
      }}
    >
      ← Tasks
    </a>
  );
}

function Details({ task, now }: { task: Task; now: number }) {
  const { timings, usage, model } = task;
  return (
    <dl className="details">
      <Detail name="Created">
        <Ago time={task.created_at} now={now} />
        <span className="muted small">{moment(task.created_at)}</span>
      </Detail>
      <Detail name="Priority">
        {task.priority}, {task.size}
      </Detail>
      {model && (
        <Detail name="Model">
          {model.name} <span className="muted small">{model.version}</span>
        </Detail>
      )}
      {timings && <Detail name="Waited">{duration(timings.queued_ms)}</Detail>}
      {timings && <Detail name="Loaded input and model">{duration(timings.load_ms)}</Detail>}
      {timings && <Detail name="Computed">{duration(timings.inference_ms)}</Detail>}
      {usage && (
        <Detail name="Tokens">
          {usage.input_tokens} in, {usage.output_tokens} out
        </Detail>
      )}
      {task.timeout_seconds !== undefined && <Detail name="Time limit">{task.timeout_seconds} s</Detail>}
      {task.input_link && <Detail name="Input size">{bytes(task.input_link.bytes)}</Detail>}
      {Object.entries(task.metadata).map(([key, value]) => (
        <Detail key={key} name={key}>
          {value}
        </Detail>
      ))}
      <Detail name="Correlation id">
        <code className="small">{task.correlation_id}</code>
      </Detail>
    </dl>
  );
}

function Detail({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
