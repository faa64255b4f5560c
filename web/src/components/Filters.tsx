// The filters of the task list. They are part of the address, so that a filtered list can be shared as a link.

import { type FormEvent, useRef, useState } from "react";

import { PRIORITIES, PRIORITY_NAMES, STATUSES, STATUS_NAMES, TASK_TYPES, TYPE_NAMES } from "../labels";
import { go } from "../route";

const PREFIX = "metadata.";

export function Filters({ query }: { query: URLSearchParams }) {
  const [message, setMessage] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const tags = [...query].filter(([name]) => name.startsWith(PREFIX));
  const show = (other: URLSearchParams) => go(other.size > 0 ? `#/tasks?${other}` : "#/tasks", true);
  const set = (name: string, value: string) => {
    const other = new URLSearchParams(query);
    if (value) other.set(name, value);
    else other.delete(name);
    show(other);
  };
  const addTag = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const text = String(new FormData(form).get("tag") ?? "");
    const [key = "", ...value] = text.split("=");
    if (!key.trim() || value.length === 0) {
      setMessage("Write a pair of metadata as key=value.");
      return;
    }
    setMessage("");
    form.reset();
    set(PREFIX + key.trim(), value.join("=").trim());
  };
  return (
    <section className="filters" aria-label="Filters">
      <Choice
        name="Status"
        value={query.get("status")}
        options={STATUSES.map((one) => [one, STATUS_NAMES[one]])}
        set={(to) => set("status", to)}
      />
      <Choice
        name="Type"
        value={query.get("type")}
        options={TASK_TYPES.map((one) => [one, TYPE_NAMES[one]])}
        set={(to) => set("type", to)}
      />
      <Choice
        name="Priority"
        value={query.get("priority")}
        options={PRIORITIES.map((one) => [one, PRIORITY_NAMES[one]])}
        set={(to) => set("priority", to)}
      />
      <form className="tag-form" onSubmit={addTag}>
        <input
          ref={field}
          name="tag"
          aria-label="Metadata, as key=value"
          placeholder="metadata key=value"
          spellCheck={false}
          autoComplete="off"
        />
        <button type="submit">Add</button>
      </form>
      {tags.map(([name, value]) => (
        <button
          key={name}
          type="button"
          className="tag removable"
          onClick={() => {
            set(name, "");
            // The button disappears together with its filter.
            field.current?.focus();
          }}
        >
          <span className="sr-only">Remove the filter </span>
          <bdi>{name.slice(PREFIX.length)}</bdi>: <bdi>{value}</bdi> <span aria-hidden="true">×</span>
        </button>
      ))}
      {query.size > 0 && (
        <a className="quiet" href="#/tasks" onClick={() => field.current?.focus()}>
          Clear
        </a>
      )}
      <p className="error-text" role="alert">
        {message}
      </p>
    </section>
  );
}

function Choice({
  name,
  value,
  options,
  set,
}: {
  name: string;
  value: string | null;
  options: (readonly [string, string])[];
  set: (to: string) => void;
}) {
  return (
    <label className="choice">
      <span>{name}</span>
      <select value={value ?? ""} onChange={(event) => set(event.target.value)}>
        <option value="">Any</option>
        {options.map(([key, title]) => (
          <option key={key} value={key}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}
