import { type KeyboardEvent, type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";

/** A button that keeps the focus while what it does is under way: one that is disabled would lose it. */
export function Action({
  isBusy,
  isPrimary = false,
  label,
  act,
  children,
}: {
  isBusy: boolean;
  isPrimary?: boolean;
  /** What a screen reader says in place of what is written. */
  label?: string;
  act: () => void;
  children: ReactNode;
}) {
  return (
    <button
      type="button"
      className={isPrimary ? "primary" : ""}
      aria-disabled={isBusy}
      aria-label={label}
      onClick={() => !isBusy && act()}
    >
      {children}
    </button>
  );
}

/** An action that concerns much at once: when it is pressed, its place asks whether that is meant. */
export function Confirmed({
  question,
  isBusy,
  act,
  children,
}: {
  question: string;
  isBusy: boolean;
  act: () => void;
  children: ReactNode;
}) {
  const [isAsked, setAsked] = useState(false);
  const wasAsked = useRef(false);
  const place = useRef<HTMLDivElement>(null);
  const name = useId();
  useLayoutEffect(() => {
    // The button that was pressed has gone. The last takes over: one that is pressed twice has asked, and done nothing.
    if (wasAsked.current !== isAsked) place.current?.querySelector<HTMLElement>("button:last-of-type")?.focus();
    wasAsked.current = isAsked;
  }, [isAsked]);
  if (!isAsked) {
    return (
      <div ref={place}>
        <Action isPrimary isBusy={isBusy} act={() => setAsked(true)}>
          {children}
        </Action>
      </div>
    );
  }
  const answer = (isMeant: boolean) => {
    setAsked(false);
    if (isMeant) act();
  };
  const leave = (event: KeyboardEvent) => {
    if (event.key === "Escape") answer(false);
  };
  return (
    <div ref={place} className="actions" role="group" aria-labelledby={name} onKeyDown={leave}>
      <p id={name}>{question}</p>
      <Action isPrimary isBusy={isBusy} act={() => answer(true)}>
        Yes
      </Action>
      <Action isBusy={false} act={() => answer(false)}>
        Cancel
      </Action>
    </div>
  );
}
