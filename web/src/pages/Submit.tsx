import { type FormEvent, useEffect, useRef, useState } from "react";

import { Problem } from "../api/client";
import { type Draft, PARAMETERS, checkFiles, fileKind, submission, textOf } from "../api/submit";
import type { Priority, TaskType } from "../api/types";
import { FileDrop } from "../components/FileDrop";
import { ErrorNotice } from "../components/Notice";
import { useSession } from "../context";
import { example } from "../examples";
import { useTitle } from "../hooks";
import { PRIORITIES, PRIORITY_NAMES, TASK_TYPES, TYPE_NAMES } from "../labels";
import { go, taskAddress } from "../route";

const EMPTY: Draft = { text: "", file: null, parameters: {} };

const DESCRIPTIONS: Record<TaskType, string> = {
  sentiment: "Whether a text is positive or negative about its subject.",
  classify: "The label that fits a text best.",
  embed: "A vector of 384 numbers that represents the meaning of a text.",
  summarize: "The most important sentences of a text.",
  translate: "A translation of a text. Needs a language model.",
  data_extraction: "The fields of a schema, extracted from a text. Needs a language model.",
  face_detection: "The faces in a photograph, with eyes, nose and mouth.",
  ocr: "The printed lines in a picture of a page.",
  transcribe: "The speech in a recording, with times.",
};

export function Submit({ query }: { query: URLSearchParams }) {
  const { client } = useSession();
  const requested = query.get("type");
  const type = TASK_TYPES.find((one) => one === requested) ?? "sentiment";
  const [draft, setDraft] = useState<Draft>(EMPTY);
  const [priority, setPriority] = useState<Priority>("normal");
  const [metadata, setMetadata] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isSending, setSending] = useState(false);
  const kind = fileKind(type);
  useTitle("Submit a task");
  /** The last request and its idempotency key. A repeat after a lost response sends the same key. */
  const sent = useRef({ body: "", key: "" });
  const latest = useRef({ type, isShown: true });
  useEffect(() => {
    latest.current = { type, isShown: true };
    return () => {
      latest.current.isShown = false;
    };
  }, [type]);
  // The text stays when the type changes. A file does not: a photograph is not a recording.
  useEffect(() => {
    setError(null);
    setDraft((before) => ({ ...before, file: null, parameters: {} }));
  }, [type]);

  const fill = async () => {
    setError(null);
    try {
      const filled = await example(type);
      // The user may have chosen another type meanwhile.
      if (latest.current.type === type) setDraft(filled);
    } catch (error) {
      setError(error);
    }
  };
  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (isSending) return;
    setSending(true);
    setError(null);
    try {
      const request = await submission(client, type, draft, { priority, metadata: pairs(metadata) });
      const body = JSON.stringify(request);
      if (sent.current.body !== body) sent.current = { body, key: key() };
      const { id } = await client.submit(request, sent.current.key);
      // A user who has opened another page meanwhile stays there.
      if (latest.current.isShown) go(taskAddress(id));
    } catch (error) {
      setError(error);
      setSending(false);
    }
  };
  const takeFiles = async (files: File[]) => {
    const [file] = files;
    const problem = checkFiles(files, kind);
    setError(problem);
    if (problem || !file) return;
    if (kind !== null) {
      setDraft((before) => ({ ...before, file }));
      return;
    }
    try {
      const text = await textOf(file);
      if (latest.current.type === type) setDraft((before) => ({ ...before, text }));
    } catch (error) {
      if (latest.current.type === type) setError(error);
    }
  };

  return (
    <div className="wide page narrow">
      <h1>Submit a task</h1>
      <form className="card submit" onSubmit={(event) => void send(event)}>
        <fieldset>
          <legend>Task type</legend>
          <div className="types">
            {TASK_TYPES.map((one) => (
              <label key={one} className="type">
                <input
                  type="radio"
                  name="type"
                  value={one}
                  checked={one === type}
                  onChange={() => go(`#/submit?type=${one}`, true)}
                />
                <span>{TYPE_NAMES[one]}</span>
              </label>
            ))}
          </div>
          <p className="muted">{DESCRIPTIONS[type]}</p>
        </fieldset>

        <div className="field">
          <div className="field-head">
            <label htmlFor={kind === null ? "text" : "file"}>
              {kind === null ? "Text" : kind === "image" ? "Picture" : "Recording"}
            </label>
            <button type="button" className="quiet" onClick={() => void fill()}>
              Use an example
            </button>
          </div>
          <FileDrop
            kind={kind}
            file={draft.file}
            take={(files) => void takeFiles(files)}
            clear={() => setDraft({ ...draft, file: null })}
          >
            {kind === null && (
              <textarea
                id="text"
                rows={7}
                value={draft.text}
                placeholder="Write, paste, or drop a text file"
                onChange={(event) => setDraft({ ...draft, text: event.target.value })}
              />
            )}
          </FileDrop>
        </div>

        {(PARAMETERS[type] ?? []).map(({ name, title, hint, isLong }) => {
          const Field = isLong ? "textarea" : "input";
          return (
            <div className="field" key={name}>
              <label htmlFor={name}>{title}</label>
              <Field
                id={name}
                spellCheck={false}
                autoComplete="off"
                aria-describedby={`${name}-hint`}
                value={draft.parameters[name] ?? ""}
                onChange={(event) =>
                  setDraft({ ...draft, parameters: { ...draft.parameters, [name]: event.target.value } })
                }
              />
              <p id={`${name}-hint`} className="muted small">
                {hint}
              </p>
            </div>
          );
        })}

        <div className="pair">
          <div className="field">
            <label htmlFor="priority">Priority</label>
            <select id="priority" value={priority} onChange={(event) => setPriority(event.target.value as Priority)}>
              {PRIORITIES.map((one) => (
                <option key={one} value={one}>
                  {PRIORITY_NAMES[one]}
                </option>
              ))}
            </select>
          </div>
          <div className="field">
            <label htmlFor="metadata">Metadata</label>
            <input
              id="metadata"
              spellCheck={false}
              autoComplete="off"
              placeholder="order=42, customer=blue"
              value={metadata}
              onChange={(event) => setMetadata(event.target.value)}
            />
          </div>
        </div>

        {error !== null && <ErrorNotice error={error} />}
        <div className="actions">
          <button type="submit" className="primary" aria-disabled={isSending}>
            {isSending ? "Sending…" : "Submit"}
          </button>
        </div>
      </form>
    </div>
  );
}

function pairs(text: string): Record<string, string> {
  const parts = text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
  return Object.fromEntries(
    parts.map((part) => {
      const at = part.indexOf("=");
      if (at < 1) {
        throw new Problem(
          0,
          "The metadata is not valid",
          `“${part}” is not a pair: write key=value, separated by commas.`,
        );
      }
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
}

/** A random idempotency key. Browsers have randomUUID in secure contexts only. */
function key(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
