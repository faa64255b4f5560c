import type { Status } from "../api/types";
import { ago, moment } from "../format";
import { STATUS_NAMES } from "../labels";

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
