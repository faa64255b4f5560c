// Lines over time, as SVG. The figures stand beside the lines, so that colour alone says nothing.

import { useId } from "react";

import { NARROW, useMedia } from "../context";
import { number } from "../words";

export interface Line {
  name: string;
  values: readonly number[];
}

/** On a phone a chart is drawn narrower, so that its writing stays as large. */
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
  const told = lines.map((line) => `${line.name} ${number(line.values.at(-1) ?? 0)}`).join(", ");
  return (
    <figure className="chart card">
      <figcaption id={id}>
        <h2>{title}</h2>
        <span className="muted small">{unit}</span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-labelledby={id} aria-description={`Now: ${told}`}>
        {[0, top / 2, top].map((value) => (
          <g key={value} className="grid">
            <line x1={LEFT} x2={width} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 8} y={y(value) + 4} textAnchor="end">
              {number(value)}
            </text>
          </g>
        ))}
        <text className="axis" x={LEFT} y={HEIGHT - 2}>
          {sinceBegin(span)}
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

/** The next of 1, 2, 4, 10, 20, 40 and so on: its half is a round number too, but for the first. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [2, 4, 10].find((step) => value <= step * power) ?? 10;
  return step * power;
}

function sinceBegin(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}
