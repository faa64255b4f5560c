import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";

import { advice } from "../advice";
import { Problem, isAbort } from "../api/client";
import type { Task } from "../api/types";
import { Action } from "../components/Action";
import { Copy } from "../components/Copy";
import { Input } from "../components/Input";
import { ErrorNotice, Loading } from "../components/Notice";
import { Ago, StatusBadge } from "../components/Status";
import { Timeline } from "../components/Timeline";
import { useFeed, useSession } from "../context";
import { bytes, duration, moment } from "../format";
import { useNow, useThrottled, useTitle } from "../hooks";
import { PRIORITY_NAMES, STATUS_NAMES, TYPE_NAMES, isFinal } from "../labels";
import { ResultView } from "../results/ResultView";
import { cameFromList, listAddress } from "../route";

export function TaskPage({ id }: { id: string }) {
  const { client } = useSession();
  const [task, setTask] = useState<Task | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [actionError, setActionError] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const scope = useRef<AbortController | null>(null);
  /** Reads the task. The response has newly signed links. */
  const read = useCallback(async () => {
    const answer = await client.task(id, scope.current?.signal);
    setTask(newest(answer));
    return answer;
  }, [client, id]);
  const load = useCallback(async () => {
    try {
      await read();
      setError(null);
    } catch (error) {
      if (!isAbort(error)) setError(error);
    }
  }, [read]);
  useEffect(() => {
    scope.current = new AbortController();
    void load();
    return () => scope.current?.abort();
  }, [load]);
  const reload = useThrottled(() => void load(), 300);
  useFeed({
    changed: (changes) => {
      if (changes.some((change) => change.id === id)) reload();
    },
    missed: reload,
  });
  const heading = useRef<HTMLHeadingElement>(null);
  const act = async (action: () => Promise<Task>) => {
    setBusy(true);
    setActionError(null);
    hasActed.current = true;
    try {
      setTask(newest(await action()));
    } catch (error) {
      setActionError(Problem.from(error));
      void load();
    } finally {
      setBusy(false);
    }
  };
  const canCancel = task !== null && !isFinal(task.status);
  const canRetry = task?.status === "failed" || task?.status === "cancelled";
  const hasActed = useRef(false);
  const status = task?.status;
  useEffect(() => {
    // The new status has other buttons: the focused one is gone.
    if (hasActed.current && document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
    hasActed.current = false;
  }, [status]);
  const now = useNow(5_000);
  useTitle(task ? `${TYPE_NAMES[task.type]} ${id.slice(-8)}, ${STATUS_NAMES[task.status].toLowerCase()}` : "Task");

  if (!task) {
    return (
      <div className="wide page">
        <Back />
        <h1 className="sr-only">Task</h1>
        {error === null ? <Loading what="the task" /> : <ErrorNotice error={error} retry={() => void load()} />}
      </div>
    );
  }
  return (
    <div className="wide page">
      <Back />
      <header className="task-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {TYPE_NAMES[task.type]}
          </h1>
          <p className="task-id">
            <span role="status">
              <StatusBadge status={task.status} />
            </span>
            <code>{task.id}</code>
            <Copy text={task.id} what="id" />
          </p>
        </div>
        <div className="actions">
          {canCancel && (
            <Action isBusy={isBusy} act={() => void act(() => client.cancel(id))}>
              Cancel
            </Action>
          )}
          {canRetry && (
            <Action isBusy={isBusy} isPrimary act={() => void act(() => client.retry(id))}>
              Retry
            </Action>
          )}
        </div>
      </header>
      {actionError && <ErrorNotice error={actionError} />}
      {error !== null && <ErrorNotice error={error} retry={() => void load()} />}
      {task.error && (
        <section className={`failure ${task.status === "failed" ? "" : "passing"}`} aria-label="Error">
          <h2>
            {task.status === "failed" ? "Failed" : "The last attempt failed"}: <code>{task.error.code}</code>
          </h2>
          <p dir="auto">{task.error.message}</p>
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
            <Input task={task} renew={read} />
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

/** Keeps the newer of two responses. Times are not compared as text: the API omits zeros at the end of a fraction. */
function newest(answer: Task) {
  const isOlder = (before: Task) => Date.parse(before.updated_at) <= Date.parse(answer.updated_at);
  return (before: Task | null): Task => (before && !isOlder(before) ? before : answer);
}

function Back() {
  return (
    <a
      className="back"
      href={listAddress()}
      onClick={(event) => {
        const isPlain = !event.metaKey && !event.ctrlKey && !event.shiftKey;
        if (!isPlain || !cameFromList()) return;
        // Back restores the list with its scroll position.
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
        {PRIORITY_NAMES[task.priority]}, {task.size}
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
        <Detail key={key} name={<bdi>{key}</bdi>}>
          <bdi>{value}</bdi>
        </Detail>
      ))}
      <Detail name="Correlation id">
        <code className="small">{task.correlation_id}</code>
      </Detail>
    </dl>
  );
}

function Detail({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
