// A list of which only what is near the window is in the document, so that a thousand rows cost as much as twenty.

import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";

/** Rows above and below the window that are there already, when one scrolls or goes on by key. */
const MARGIN = 8;
/** On a phone a row has two lines. */
const NARROW = "(max-width: 720px)";
const HEIGHTS = { wide: 48, narrow: 72 };

export function VirtualList<T>({
  label,
  items,
  id,
  children,
  nearEnd,
}: {
  label: string;
  items: readonly T[];
  id: (item: T) => string;
  children: (item: T) => ReactNode;
  /** Told whenever the last row is near the window. */
  nearEnd: () => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const isNarrow = useMedia(NARROW);
  const height = isNarrow ? HEIGHTS.narrow : HEIGHTS.wide;
  const [range, setRange] = useState({ from: 0, to: 40 });
  const latest = useRef(nearEnd);
  useLayoutEffect(() => {
    latest.current = nearEnd;
  });
  useEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      const top = list.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / height) - MARGIN);
      const to = Math.ceil((window.innerHeight - top) / height) + MARGIN;
      setRange((before) => (before.from === from && before.to === to ? before : { from, to }));
      if (to >= items.length) latest.current();
    };
    const soon = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener("scroll", soon, { passive: true });
    window.addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", soon);
      window.removeEventListener("resize", soon);
    };
  }, [height, items.length]);

  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    const row = (event.target as HTMLElement).closest("li");
    if (step === undefined || !row) return;
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    const link = next?.querySelector<HTMLElement>("a, button");
    if (!link) return;
    event.preventDefault();
    link.focus();
  };
  return (
    <ul ref={list} className="rows" aria-label={label} onKeyDown={move} style={{ height: items.length * height }}>
      {items.slice(range.from, range.to).map((item, at) => (
        <li
          key={id(item)}
          aria-setsize={items.length}
          aria-posinset={range.from + at + 1}
          style={{ transform: `translateY(${(range.from + at) * height}px)`, height }}
        >
          {children(item)}
        </li>
      ))}
    </ul>
  );
}

function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const look = () => setMatches(media.matches);
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, [query]);
  return matches;
}
