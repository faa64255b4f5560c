import type { Status } from "../api/types";
import { STATUS_NAMES, ago, moment } from "../words";

export function StatusBadge({ status }: { status: Status }) {
  return (
    <span className={`status ${status}`}>
      <span className="dot" aria-hidden="true" />
      {STATUS_NAMES[status]}
    </span>
  );
}

export function Ago({ time, now }: { time: string; now: number }) {
  return (
    <time dateTime={time} title={moment(time)}>
      {ago(time, now)}
    </time>
  );
}
