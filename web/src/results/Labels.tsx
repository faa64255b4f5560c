import type { LabelScore } from "../api/types";
import { percent } from "../format";

/** Labels with their scores as bars, best first. */
export function Labels({ scores }: { scores: LabelScore[] }) {
  return (
    <ul className="bars">
      {scores.map(({ label, score }, at) => (
        <li key={`${label}-${at}`} className={at === 0 ? "best" : ""}>
          <span className="bar-label" dir="auto">
            {label}
          </span>
          <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
            <rect className="track" width="100" height="8" />
            <rect className="fill" width={100 * score} height="8" />
          </svg>
          <span className="bar-value">{percent(score)}</span>
        </li>
      ))}
    </ul>
  );
}
