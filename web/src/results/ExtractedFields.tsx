// The faces or lines that were extracted from a picture, as a list. Pointing at an entry marks it in the picture, too.

import type { ReactNode } from "react";

/** The entry that is pointed at, shared by the list and the picture. */
export interface Selection {
  selected: number | null;
  select: (at: number | null) => void;
}

export function ExtractedFields<T>({
  items,
  className,
  selection: { selected, select },
  children,
}: {
  items: T[];
  className: string;
  selection: Selection;
  /** Renders one entry. */
  children: (item: T, at: number) => ReactNode;
}) {
  return (
    <ol className={className}>
      {items.map((item, at) => (
        <li key={at}>
          <button
            type="button"
            className={selected === at ? "selected" : ""}
            onPointerEnter={() => select(at)}
            onPointerLeave={() => select(null)}
            onFocus={() => select(at)}
            onBlur={() => select(null)}
          >
            {children(item, at)}
          </button>
        </li>
      ))}
    </ol>
  );
}
