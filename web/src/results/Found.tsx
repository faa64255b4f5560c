// What was found in a picture, as a list beside it: what is pointed at in one is marked in both.

import type { ReactNode } from "react";

/** Which of them is pointed at, and how to say so. */
export interface Choice {
  chosen: number | null;
  choose: (at: number | null) => void;
}

export function Found<T>({
  items,
  className,
  choice: { chosen, choose },
  children,
}: {
  items: T[];
  className: string;
  choice: Choice;
  /** What an entry says. */
  children: (item: T, at: number) => ReactNode;
}) {
  return (
    <ol className={className}>
      {items.map((item, at) => (
        <li key={at}>
          <button
            type="button"
            className={chosen === at ? "chosen" : ""}
            onPointerEnter={() => choose(at)}
            onPointerLeave={() => choose(null)}
            onFocus={() => choose(at)}
            onBlur={() => choose(null)}
          >
            {children(item, at)}
          </button>
        </li>
      ))}
    </ol>
  );
}
