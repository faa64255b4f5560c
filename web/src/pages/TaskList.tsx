import { useLayoutEffect, useState } from "react";

import type { TaskSummary } from "../api/types";
import { Filters } from "../components/Filters";
import { Empty, ErrorNotice, Loading } from "../components/Notice";
import { StatsBar } from "../components/StatsBar";
import { Ago, StatusBadge } from "../components/Status";
import { VirtualList } from "../components/VirtualList";
import { useSession } from "../context";
import { useNow, useTitle } from "../hooks";
import { PRIORITY_NAMES, TYPE_NAMES } from "../labels";
import { hasReturned, parse, taskAddress } from "../route";
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
  const { listCache } = useSession();
  const [saved] = useState(() => (hasReturned() ? listCache.restore(filters) : undefined));
  const { tasks, isLoaded, isComplete, isLoading, error, loadMore, retry, latest } = useTasks(filters, saved?.rows);
  const now = useNow(10_000);
  useLayoutEffect(() => {
    if (saved) window.scrollTo({ top: saved.scroll, behavior: "instant" });
    return () => {
      const [, task] = parse(window.location.hash).path;
      listCache.save({ filters, rows: latest.current, scroll: window.scrollY, task });
    };
  }, [listCache, saved, filters, latest]);
  return (
    <section className="card list" aria-label="Tasks, newest first">
      <div className="row head" aria-hidden="true">
        <span>Task</span>
        <span>Status</span>
        <span className="cell-metadata">Metadata</span>
        <span className="cell-attempt">Attempt</span>
        <span className="cell-time">Created</span>
      </div>
      {tasks.length > 0 && (
        <VirtualList
          label="Tasks"
          items={tasks}
          id={idOf}
          initialFocus={saved?.task}
          onNearEnd={() => !isComplete && !error && void loadMore()}
        >
          {(task) => <Row task={task} now={now} />}
        </VirtualList>
      )}
      {error !== null ? (
        <ErrorNotice error={error} retry={retry} />
      ) : !isLoaded || ((isLoading || !isComplete) && tasks.length === 0) ? (
        <Loading what="tasks" />
      ) : tasks.length === 0 ? (
        filters ? (
          <Empty title="No task matches these filters">
            <a href="#/tasks">Show all tasks</a>
          </Empty>
        ) : (
          <Empty title="No tasks yet">
            <a href="#/submit">Submit the first one</a>, or send one to the API.
          </Empty>
        )
      ) : (
        <p className="list-end muted small">
          {isComplete ? `${tasks.length} ${tasks.length === 1 ? "task" : "tasks"}` : "Loading more…"}
        </p>
      )}
    </section>
  );
}

function Row({ task, now }: { task: TaskSummary; now: number }) {
  const metadata = Object.entries(task.metadata);
  return (
    <a className="row" href={taskAddress(task.id)}>
      <span className="cell-name">
        <strong>{TYPE_NAMES[task.type]}</strong>
        {task.priority !== "normal" && (
          <span className={`tag priority-${task.priority}`}>{PRIORITY_NAMES[task.priority]}</span>
        )}
        <code className="muted">{shortId(task.id)}</code>
      </span>
      <span className="cell-status">
        <StatusBadge status={task.status} />
        {task.status === "failed" && task.error && <code className="muted small">{task.error.code}</code>}
      </span>
      <span className="cell-metadata">
        {metadata.slice(0, 2).map(([key, value]) => (
          <span key={key} className="tag" title={`${key}: ${value}`}>
            <bdi>{key}</bdi>: <bdi>{value}</bdi>
          </span>
        ))}
        {metadata.length > 2 && <span className="muted small">+{metadata.length - 2}</span>}
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

/** The end of the id: its beginning is the time, which is alike for tasks of the same moment. */
function shortId(id: string): string {
  return `…${id.slice(-8)}`;
}
