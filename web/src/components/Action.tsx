import { type KeyboardEvent, type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";

/** A button that keeps the focus while its action runs. A disabled button would lose it. */
export function Action({
  isBusy,
  isPrimary = false,
  label,
  act,
  children,
}: {
  isBusy: boolean;
  isPrimary?: boolean;
  /** The accessible name, where it differs from the visible text. */
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

/** An action on many items at once. When its button is pressed, a question takes its place. */
export function ConfirmedAction({
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
  const [isOpen, setOpen] = useState(false);
  const wasOpen = useRef(false);
  const container = useRef<HTMLDivElement>(null);
  const name = useId();
  useLayoutEffect(() => {
    // The pressed button is gone. The focus goes to the last button, which is Cancel: a double press does nothing.
    if (wasOpen.current !== isOpen) container.current?.querySelector<HTMLElement>("button:last-of-type")?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  if (!isOpen) {
    return (
      <div ref={container}>
        <Action isPrimary isBusy={isBusy} act={() => setOpen(true)}>
          {children}
        </Action>
      </div>
    );
  }
  const close = (isConfirmed: boolean) => {
    setOpen(false);
    if (isConfirmed) act();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") close(false);
  };
  return (
    <div ref={container} className="actions" role="group" aria-labelledby={name} onKeyDown={onKeyDown}>
      <p id={name}>{question}</p>
      <Action isPrimary isBusy={isBusy} act={() => close(true)}>
        Yes
      </Action>
      <Action isBusy={false} act={() => close(false)}>
        Cancel
      </Action>
    </div>
  );
}
