// A line chart over time, as SVG. The legend has the values, so that nothing depends on colours alone.

import { useId } from "react";

import { number } from "../format";
import { NARROW, useMedia } from "../hooks";

export interface Line {
  name: string;
  values: readonly number[];
}

/** A chart on a phone has a narrower viewBox, so that its text is not scaled down. */
const WIDTHS = { wide: 600, narrow: 320 };
const HEIGHT = 150;
const LEFT = 34;
const BOTTOM = 18;
const TOP = 8;

export function Chart({
  title,
  unit,
  times,
  lines,
}: {
  title: string;
  unit: string;
  times: readonly number[];
  lines: readonly Line[];
}) {
  const id = useId();
  const width = useMedia(NARROW) ? WIDTHS.narrow : WIDTHS.wide;
  const top = ceiling(Math.max(1, ...lines.flatMap((line) => line.values)));
  const first = times[0] ?? 0;
  const span = Math.max(1, (times.at(-1) ?? 0) - first);
  const x = (time: number) => LEFT + ((time - first) / span) * (width - LEFT);
  const y = (value: number) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const values = lines.map((line) => `${line.name} ${number(line.values.at(-1) ?? 0)}`).join(", ");
  return (
    <figure className="chart card">
      <figcaption id={id}>
        <h2>{title}</h2>
        <span className="muted small">{unit}</span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-labelledby={id} aria-description={`Now: ${values}`}>
        {[0, top / 2, top].map((value) => (
          <g key={value} className="grid">
            <line x1={LEFT} x2={width} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 8} y={y(value) + 4} textAnchor="end">
              {number(value)}
            </text>
          </g>
        ))}
        <text className="axis" x={LEFT} y={HEIGHT - 2}>
          {ageLabel(span)}
        </text>
        <text className="axis" x={width} y={HEIGHT - 2} textAnchor="end">
          now
        </text>
        {times.length > 1 &&
          lines.map((line, at) => (
            <polyline
              key={line.name}
              className={`line line-${at}`}
              points={line.values
                .map((value, index) => `${x(times[index] ?? 0).toFixed(1)},${y(value).toFixed(1)}`)
                .join(" ")}
            />
          ))}
      </svg>
      <ul className="legend">
        {lines.map((line, at) => (
          <li key={line.name}>
            <svg className={`swatch line-${at}`} viewBox="0 0 20 4" width="20" height="4" aria-hidden="true">
              <line className="line" x2="20" y1="2" y2="2" />
            </svg>
            {line.name} <strong>{number(line.values.at(-1) ?? 0)}</strong>
          </li>
        ))}
      </ul>
    </figure>
  );
}

/** Rounds up to 1, 2, 4, 10, 20, 40 and so on: half of it is a round number, too. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [2, 4, 10].find((step) => value <= step * power) ?? 10;
  return step * power;
}

function ageLabel(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}
