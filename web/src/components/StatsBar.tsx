import type { ReactNode } from "react";

import { useFeed, useSession, useTelemetry } from "../context";
import { duration, number } from "../format";
import { useThrottled } from "../hooks";
import { STATUSES, STATUS_NAMES } from "../labels";

export function StatsBar({ query }: { query: URLSearchParams }) {
  const { telemetry } = useSession();
  const { samples, isStale } = useTelemetry();
  const refresh = useThrottled(() => void telemetry.readStats(), 1_500);
  useFeed({ changed: refresh, missed: refresh });
  const stats = samples.at(-1)?.stats;
  const chosen = query.get("status");
  const waiting = stats?.queues.reduce((sum, queue) => sum + queue.visible + queue.delayed, 0);
  return (
    <section className={`stats card ${isStale ? "stale" : ""}`} aria-label="Counters">
      <nav className="counts" aria-label="Tasks by status">
        <Count href={address(query, null)} name="All" value={stats?.total} isChosen={chosen === null} />
        {STATUSES.filter((status) => status !== "blocked" || stats?.by_status.blocked).map((status) => (
          <Count
            key={status}
            href={address(query, status)}
            name={STATUS_NAMES[status]}
            value={stats?.by_status[status]}
            isChosen={chosen === status}
            status={status}
          />
        ))}
      </nav>
      <dl className="figures">
        <Figure name="Finished per minute">{stats && number(stats.per_minute.finished.last_1)}</Figure>
        <Figure name="In queues">{waiting !== undefined && number(waiting)}</Figure>
        <Figure name="Median wait">
          {stats && (stats.queue_wait_ms.p50 === null ? "–" : duration(stats.queue_wait_ms.p50))}
        </Figure>
        <Figure name="Median run">{stats && (stats.run_ms.p50 === null ? "–" : duration(stats.run_ms.p50))}</Figure>
      </dl>
      {isStale && <p className="muted small">The API is not responding. The counters are the last known ones.</p>}
    </section>
  );
}

function address(query: URLSearchParams, status: string | null): string {
  const other = new URLSearchParams(query);
  if (status === null) other.delete("status");
  else other.set("status", status);
  return other.size > 0 ? `#/tasks?${other}` : "#/tasks";
}

function Count({
  href,
  name,
  value,
  isChosen,
  status,
}: {
  href: string;
  name: string;
  value: number | undefined;
  isChosen: boolean;
  status?: string;
}) {
  return (
    <a className={`count ${status ?? ""}`} href={href} aria-current={isChosen ? "true" : undefined}>
      <span className="count-value">{value === undefined ? "–" : number(value)}</span>
      <span className="count-name">
        {status !== undefined && <span className="dot" aria-hidden="true" />}
        {name}
      </span>
    </a>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children || "–"}</dd>
    </div>
  );
}
