import type { Attempt, Status, Task } from "../api/types";
import { duration, moment } from "../format";
import { isFinal } from "../labels";

const OUTCOMES: Record<NonNullable<Attempt["outcome"]>, string> = {
  completed: "Completed",
  permanent: "Failed permanently",
  transient: "Failed, retryable",
  timeout: "Timed out",
  throttled: "Throttled, not counted",
  interrupted: "Interrupted, not counted",
  lost: "The process was lost",
  cancelled: "Cancelled",
};

const WAITS: Partial<Record<Status, string>> = { blocked: "Waiting for other tasks", pending: "Waiting for a worker" };

export function Timeline({ task, now }: { task: Task; now: number }) {
  return (
    <ol className="timeline">
      <Point kind="submitted" title="Submitted" time={task.created_at} />
      {task.attempts.map((attempt, at) => (
        <Point
          key={`${attempt.generation}-${attempt.started_at}-${at}`}
          kind={attempt.outcome ?? "running"}
          title={attempt.outcome ? OUTCOMES[attempt.outcome] : "Running"}
          time={attempt.started_at}
          elapsed={elapsed(attempt, now)}
          error={attempt.error}
          generation={task.generation > 1 ? attempt.generation : undefined}
        />
      ))}
      {!isFinal(task.status) && task.status !== "processing" && (
        <Point
          kind="waiting"
          title={task.next_attempt_at !== undefined ? "Next attempt" : WAITS[task.status]}
          time={task.next_attempt_at}
        />
      )}
      {task.status === "cancelled" && task.attempts.at(-1)?.outcome !== "cancelled" && (
        <Point kind="cancelled" title="Cancelled" time={task.updated_at} />
      )}
    </ol>
  );
}

function elapsed(attempt: Attempt, now: number): string {
  const end = attempt.ended_at === undefined ? now : Date.parse(attempt.ended_at);
  return duration(Math.max(0, end - Date.parse(attempt.started_at)));
}

function Point({
  kind,
  title,
  time,
  elapsed,
  error,
  generation,
}: {
  kind: string;
  title: string | undefined;
  time?: string | undefined;
  elapsed?: string;
  error?: string | undefined;
  generation?: number | undefined;
}) {
  return (
    <li className={`point ${kind}`}>
      <p>
        <strong>{title}</strong>
        {elapsed !== undefined && <span className="muted"> after {elapsed}</span>}
      </p>
      <p className="muted small">
        {time !== undefined && <time dateTime={time}>{moment(time)}</time>}
        {generation !== undefined && ` · generation ${generation}`}
      </p>
      {error !== undefined && <p className="small wrap">{error}</p>}
    </li>
  );
}
