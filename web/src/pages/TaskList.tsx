import { useLayoutEffect, useState } from "react";

import type { TaskSummary } from "../api/types";
import { useNow, useSession, useTitle } from "../context";
import { Filters } from "../parts/Filters";
import { Empty, Loading, Refusal } from "../parts/Notice";
import { StatsBar } from "../parts/StatsBar";
import { Ago, StatusBadge } from "../parts/Status";
import { VirtualList } from "../parts/VirtualList";
import { hasReturned, parse, taskAddress } from "../route";
import { TYPE_NAMES } from "../words";
import { useTasks } from "./useTasks";

export function TaskList({ query }: { query: URLSearchParams }) {
  const filters = query.toString();
  useTitle("Tasks");
  return (
    <div className="wide page">
      <h1 className="sr-only">Tasks</h1>
      <StatsBar query={query} />
      <Filters query={query} />
      <List key={filters} filters={filters} />
    </div>
  );
}

const idOf = (task: TaskSummary) => task.id;

function List({ filters }: { filters: string }) {
  const { kept } = useSession();
  const [left] = useState(() => (hasReturned() ? kept.under(filters) : undefined));
  const { tasks, isBegun, isEnd, isLoading, error, more, retry, latest } = useTasks(filters, left?.listed);
  const now = useNow(10_000);
  useLayoutEffect(() => {
    if (left) window.scrollTo({ top: left.scroll, behavior: "instant" });
    return () => {
      const [, task] = parse(window.location.hash).path;
      kept.leave({ filters, listed: latest.current, scroll: window.scrollY, task });
    };
  }, [kept, left, filters, latest]);
  return (
    <section className="card list" aria-label="Tasks, newest first">
      <div className="row head" aria-hidden="true">
        <span>Task</span>
        <span>Status</span>
        <span className="cell-notes">Metadata</span>
        <span className="cell-attempt">Attempt</span>
        <span className="cell-time">Created</span>
      </div>
      {tasks.length > 0 && (
        <VirtualList
          label="Tasks"
          items={tasks}
          id={idOf}
          first={left?.task}
          nearEnd={() => !isEnd && !error && void more()}
        >
          {(task) => <Row task={task} now={now} />}
        </VirtualList>
      )}
      {error !== null ? (
        <Refusal error={error} retry={retry} />
      ) : !isBegun || ((isLoading || !isEnd) && tasks.length === 0) ? (
        <Loading what="tasks" />
      ) : tasks.length === 0 ? (
        filters ? (
          <Empty title="No task fits these filters">
            <a href="#/tasks">Show all tasks</a>
          </Empty>
        ) : (
          <Empty title="No tasks yet">
            <a href="#/submit">Submit the first one</a>, or send one to the API.
          </Empty>
        )
      ) : (
        <p className="list-end muted small">
          {isEnd ? `${tasks.length} ${tasks.length === 1 ? "task" : "tasks"}` : "Loading more…"}
        </p>
      )}
    </section>
  );
}

function Row({ task, now }: { task: TaskSummary; now: number }) {
  const notes = Object.entries(task.metadata);
  return (
    <a className="row" href={taskAddress(task.id)}>
      <span className="cell-name">
        <strong>{TYPE_NAMES[task.type]}</strong>
        {task.priority !== "normal" && <span className={`tag priority-${task.priority}`}>{task.priority}</span>}
        <code className="muted">{shortId(task.id)}</code>
      </span>
      <span className="cell-status">
        <StatusBadge status={task.status} />
        {task.status === "failed" && task.error && <code className="muted small">{task.error.code}</code>}
      </span>
      <span className="cell-notes">
        {notes.slice(0, 2).map(([key, value]) => (
          <span key={key} className="tag" title={`${key}: ${value}`}>
            <bdi>{key}</bdi>: <bdi>{value}</bdi>
          </span>
        ))}
        {notes.length > 2 && <span className="muted small">+{notes.length - 2}</span>}
      </span>
      <span className="cell-attempt muted">
        <span className="sr-only">attempt </span>
        {task.attempt}/{task.max_attempts}
        {task.generation > 1 && <span title={`Generation ${task.generation}`}> · g{task.generation}</span>}
      </span>
      <span className="cell-time muted">
        <Ago time={task.created_at} now={now} />
      </span>
    </a>
  );
}

/** The end of an id is what differs: it begins with the time. */
function shortId(id: string): string {
  return `…${id.slice(-8)}`;
}
