import type { ReactNode } from "react";

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
