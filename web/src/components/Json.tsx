// JSON as a tree whose branches open one by one. Of a long list only the first items are rendered at first.

import { type ReactNode, useState } from "react";

/** The number of items that are rendered at first. */
const FIRST_ITEMS = 40;
/** Branches below this depth are closed at first. */
const OPEN_DEPTH = 2;

export function Json({ value, name, depth = 0 }: { value: unknown; name?: string; depth?: number }) {
  const label = name !== undefined && <span className="json-key">{name}</span>;
  if (value === null || typeof value !== "object") {
    return (
      <div className="json-leaf">
        {label}
        <span className={`json-${value === null ? "null" : typeof value}`}>{JSON.stringify(value)}</span>
      </div>
    );
  }
  return <Branch value={value} label={label} depth={depth} />;
}

function Branch({ value, label, depth }: { value: object; label: ReactNode; depth: number }) {
  const entries = Object.entries(value);
  const isList = Array.isArray(value);
  const isFlat = isList && entries.every(([, item]) => typeof item === "number");
  const [isOpen, setOpen] = useState(depth < OPEN_DEPTH && !(isFlat && entries.length > 8));
  const [shown, setShown] = useState(FIRST_ITEMS);
  const unit = isList ? "item" : "member";
  const size = `${entries.length} ${unit}${entries.length === 1 ? "" : "s"}`;
  return (
    <details className="json" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {label}
        <span className="muted">{entries.length === 0 ? (isList ? "[ ]" : "{ }") : size}</span>
      </summary>
      {isOpen && (
        <div className="json-inner">
          {entries.slice(0, shown).map(([key, item]) => (
            <Json key={key} name={key} value={item} depth={depth + 1} />
          ))}
          {entries.length > shown && (
            <button type="button" className="quiet" onClick={() => setShown(shown + 10 * FIRST_ITEMS)}>
              {entries.length - shown} more
            </button>
          )}
        </div>
      )}
    </details>
  );
}
