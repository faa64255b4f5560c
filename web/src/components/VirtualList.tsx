// A list that renders only the rows near the window, so that a thousand rows cost as much as twenty. New rows above do
// not move the visible ones. The focused row stays in the document; when it leaves the list, its neighbour gets the
// focus.

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { FocusEvent, KeyboardEvent, ReactNode } from "react";

import { NARROW, useMedia } from "../hooks";

/** The number of rows that are rendered above and below the window, for scrolling and for the arrow keys. */
const MARGIN = 8;
/** The height of a row in CSS pixels. On a phone a row has two lines. */
const HEIGHTS = { wide: 48, narrow: 72 };

export function VirtualList<T>({
  label,
  items,
  id,
  initialFocus,
  children,
  onNearEnd,
}: {
  label: string;
  items: readonly T[];
  id: (item: T) => string;
  /** The id of the row that gets the focus at first, if any. */
  initialFocus: string | undefined;
  children: (item: T) => ReactNode;
  /** Called whenever the last row is near the window. */
  onNearEnd: () => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const height = useMedia(NARROW) ? HEIGHTS.narrow : HEIGHTS.wide;
  const [range, setRange] = useState({ from: 0, to: 40 });
  /** The id of the row that has the focus. */
  const [active, setActive] = useState(initialFocus);
  /** The row that gets the focus as soon as it is rendered. */
  const pendingFocus = useRef(initialFocus === undefined ? null : { id: initialFocus, preventScroll: true });
  const latest = useRef(onNearEnd);
  const before = useRef(items);
  useLayoutEffect(() => {
    latest.current = onNearEnd;
  });

  useLayoutEffect(() => {
    const known = before.current;
    before.current = items;
    if (known === items) return;
    const positions = new Map(items.map((item, at) => [id(item), at]));
    const remains = (item: T) => positions.has(id(item));
    const top = list.current?.getBoundingClientRect().top ?? 0;
    // At the top of the list new rows push the others down, unless a row has the focus.
    const topRow = top < 0 ? known.slice(Math.ceil(-top / height)).find(remains) : undefined;
    let anchor = active;
    if (active !== undefined && !positions.has(active)) {
      // A row that is removed from the document fires no blur event.
      const was = known.findIndex((item) => id(item) === active);
      const hadFocus = was >= 0 && document.activeElement === document.body;
      const next = hadFocus ? (known.slice(was).find(remains) ?? known.slice(0, was).findLast(remains)) : undefined;
      if (next !== undefined) pendingFocus.current = { id: id(next), preventScroll: true };
      setActive(next && id(next));
      anchor = undefined;
    }
    anchor ??= topRow && id(topRow);
    const was = known.findIndex((item) => id(item) === anchor);
    const moved = anchor === undefined || was < 0 ? 0 : (positions.get(anchor) ?? was) - was;
    if (moved === 0) return;
    setRange(({ from, to }) => ({ from: Math.max(0, from + moved), to: to + moved }));
    window.scrollBy({ top: moved * height, behavior: "instant" });
  }, [items, id, active, height]);

  useLayoutEffect(() => {
    if (pendingFocus.current === null) return;
    const at = items.findIndex((item) => id(item) === pendingFocus.current?.id);
    const link = list.current?.querySelector<HTMLElement>(`[aria-posinset="${at + 1}"] a`);
    link?.focus({ preventScroll: pendingFocus.current.preventScroll });
    // A row that is in the list but not rendered yet will be.
    if (link || at < 0) pendingFocus.current = null;
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
    const schedule = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener("scroll", schedule, { passive: true });
    window.addEventListener("resize", schedule);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", schedule);
      window.removeEventListener("resize", schedule);
    };
  }, [height, items]);

  const rowOf = (target: EventTarget) =>
    Number((target as HTMLElement).closest("li")?.getAttribute("aria-posinset")) - 1;
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = items[rowOf(event.target) + step];
    if (next === undefined) return;
    event.preventDefault();
    pendingFocus.current = { id: id(next), preventScroll: false };
    setActive(id(next));
  };
  const onFocus = (event: FocusEvent) => {
    const item = items[rowOf(event.target)];
    if (item !== undefined) setActive(id(item));
  };
  const onBlur = (event: FocusEvent) => {
    if (!list.current?.contains(event.relatedTarget)) setActive(undefined);
  };
  const shown = items.slice(range.from, range.to).map((item, at) => ({ item, at: range.from + at }));
  const at = active === undefined ? -1 : items.findIndex((item) => id(item) === active);
  const item = items[at];
  if (item !== undefined && at < range.from) shown.unshift({ item, at });
  if (item !== undefined && at >= range.to) shown.push({ item, at });
  return (
    <ul
      ref={list}
      className="rows"
      aria-label={label}
      onKeyDown={onKeyDown}
      onFocus={onFocus}
      onBlur={onBlur}
      style={{ height: items.length * height }}
    >
      {shown.map(({ item, at }) => (
        <li
          key={id(item)}
          aria-setsize={items.length}
          aria-posinset={at + 1}
          style={{ transform: `translateY(${at * height}px)`, height }}
        >
          {children(item)}
        </li>
      ))}
    </ul>
  );
}
