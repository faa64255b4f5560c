import { type FormEvent, useEffect, useRef, useState } from "react";

import { Problem } from "../api/client";
import { PARAMETERS, fileKind, misfit, submission, textOf } from "../api/submit";
import { PRIORITIES, type Priority, TASK_TYPES, type TaskType } from "../api/types";
import { useSession, useTitle } from "../context";
import { type Draft, example } from "../examples";
import { FileDrop } from "../parts/FileDrop";
import { Refusal } from "../parts/Notice";
import { go, taskAddress } from "../route";
import { TYPE_NAMES } from "../words";

const NOTHING: Draft = { text: "", file: null, parameters: {} };

const ABOUT: Record<TaskType, string> = {
  sentiment: "Whether a text speaks well or ill of its subject.",
  classify: "Which of your labels fits a text.",
  embed: "A vector of 384 numbers that says what a text means.",
  summarize: "The sentences that say most of a text.",
  translate: "A text in another language. Needs a language model.",
  data_extraction: "The fields of a schema, out of a text. Needs a language model.",
  face_detection: "Faces in a photograph, with their eyes, nose and mouth.",
  ocr: "The lines of print on a picture of a page.",
  transcribe: "What is said in a recording, and when.",
};

export function Submit({ query }: { query: URLSearchParams }) {
  const { client } = useSession();
  const asked = query.get("type");
  const type = TASK_TYPES.find((one) => one === asked) ?? "sentiment";
  const [draft, setDraft] = useState<Draft>(NOTHING);
  const [priority, setPriority] = useState<Priority>("normal");
  const [metadata, setMetadata] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isSending, setSending] = useState(false);
  const kind = fileKind(type);
  useTitle("Submit a task");
  /** What was sent last, and its key: the same again is the same task, if the answer alone was lost. */
  const sent = useRef({ body: "", key: "" });
  const latest = useRef({ type, isShown: true });
  useEffect(() => {
    latest.current = { type, isShown: true };
    return () => {
      latest.current.isShown = false;
    };
  }, [type]);
  // A text may be asked for something else; a photograph is no recording.
  useEffect(() => {
    setError(null);
    setDraft((before) => ({ ...before, file: null, parameters: {} }));
  }, [type]);

  const fill = async () => {
    setError(null);
    try {
      const filled = await example(type);
      // Another type may have been chosen meanwhile.
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
      const made = await submission(client, type, draft, { priority, metadata: pairs(metadata) });
      const body = JSON.stringify(made);
      if (sent.current.body !== body) sent.current = { body, key: key() };
      const { id } = await client.submit(made, sent.current.key);
      // Whoever has gone to another page meanwhile stays there.
      if (latest.current.isShown) go(taskAddress(id));
    } catch (error) {
      setError(error);
      setSending(false);
    }
  };
  const takeFiles = async (files: File[]) => {
    const [file] = files;
    const problem = misfit(files, kind);
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
          <legend>What is asked</legend>
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
          <p className="muted">{ABOUT[type]}</p>
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
                  {one}
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

        {error !== null && <Refusal error={error} />}
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
      if (at < 1)
        throw new Problem(0, "The metadata can't be read", `“${part}” is no pair: write key=value, divided by commas.`);
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
}

/** Random enough that no two are alike; it also works where the browser has no randomUUID. */
function key(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
