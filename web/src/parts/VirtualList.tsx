// A list of which only what is near the window is in the document, so that a thousand rows cost as much as twenty. What
// one reads stays where it is, however many rows come above it, and the row that has the focus stays in the document;
// when it leaves the list, its neighbour has the focus.

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { FocusEvent, KeyboardEvent, ReactNode } from "react";

import { NARROW, useMedia } from "../context";

/** Rows above and below the window that are there already, when one scrolls or goes on by key. */
const MARGIN = 8;
/** On a phone a row has two lines. */
const HEIGHTS = { wide: 48, narrow: 72 };

export function VirtualList<T>({
  label,
  items,
  id,
  first,
  children,
  nearEnd,
}: {
  label: string;
  items: readonly T[];
  id: (item: T) => string;
  /** The row that is given the focus at first, if any. */
  first: string | undefined;
  children: (item: T) => ReactNode;
  /** Told whenever the last row is near the window. */
  nearEnd: () => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const height = useMedia(NARROW) ? HEIGHTS.narrow : HEIGHTS.wide;
  const [range, setRange] = useState({ from: 0, to: 40 });
  const [active, setActive] = useState(first);
  /** The row that the focus goes to as soon as it is drawn. */
  const wanted = useRef(first === undefined ? null : { id: first, preventScroll: true });
  const latest = useRef(nearEnd);
  const before = useRef(items);
  useLayoutEffect(() => {
    latest.current = nearEnd;
  });

  useLayoutEffect(() => {
    const known = before.current;
    before.current = items;
    if (known === items) return;
    const places = new Map(items.map((item, at) => [id(item), at]));
    const remains = (item: T) => places.has(id(item));
    const top = list.current?.getBoundingClientRect().top ?? 0;
    // At the top one sees what comes, unless one goes through the rows by key.
    const upper = top < 0 ? known.slice(Math.ceil(-top / height)).find(remains) : undefined;
    let kept = active;
    if (active !== undefined && !places.has(active)) {
      // A row that is taken out of the document tells nobody that it loses the focus.
      const was = known.findIndex((item) => id(item) === active);
      const hadFocus = was >= 0 && document.activeElement === document.body;
      const next = hadFocus ? (known.slice(was).find(remains) ?? known.slice(0, was).findLast(remains)) : undefined;
      if (next !== undefined) wanted.current = { id: id(next), preventScroll: true };
      setActive(next && id(next));
      kept = undefined;
    }
    kept ??= upper && id(upper);
    const was = known.findIndex((item) => id(item) === kept);
    const moved = kept === undefined || was < 0 ? 0 : (places.get(kept) ?? was) - was;
    if (moved === 0) return;
    setRange(({ from, to }) => ({ from: Math.max(0, from + moved), to: to + moved }));
    window.scrollBy({ top: moved * height, behavior: "instant" });
  }, [items, id, active, height]);

  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const at = items.findIndex((item) => id(item) === wanted.current?.id);
    const link = list.current?.querySelector<HTMLElement>(`[aria-posinset="${at + 1}"] a`);
    link?.focus({ preventScroll: wanted.current.preventScroll });
    // One that is not drawn yet is about to be.
    if (link || at < 0) wanted.current = null;
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
  }, [height, items]);

  const rowOf = (target: EventTarget) =>
    Number((target as HTMLElement).closest("li")?.getAttribute("aria-posinset")) - 1;
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = items[rowOf(event.target) + step];
    if (next === undefined) return;
    event.preventDefault();
    wanted.current = { id: id(next), preventScroll: false };
    setActive(id(next));
  };
  const enter = (event: FocusEvent) => {
    const item = items[rowOf(event.target)];
    if (item !== undefined) setActive(id(item));
  };
  const leave = (event: FocusEvent) => {
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
      onKeyDown={move}
      onFocus={enter}
      onBlur={leave}
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
