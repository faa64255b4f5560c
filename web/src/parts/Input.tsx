import { useState } from "react";

import { Problem } from "../api/client";
import type { Link, Task } from "../api/types";
import { useSteady } from "../results/useSteady";
import { bytes } from "../words";
import { Json } from "./Json";
import { Refusal } from "./Notice";

/** Of a text that is kept apart, so much is shown. */
const MOST_SHOWN = 100_000;

export function Input({ task }: { task: Task }) {
  const { object: _, text, ...parameters } = task.input;
  const link = useSteady(task.input_link);
  return (
    <div className="input">
      {typeof text === "string" && <p className="prose quote">{text}</p>}
      {link?.content_type.startsWith("image/") && !showsItself(task) && (
        <img className="photo" src={link.url} alt="What was submitted" />
      )}
      {link?.content_type.startsWith("audio/") && !showsItself(task) && (
        <audio controls preload="metadata" src={link.url} />
      )}
      {link?.content_type.startsWith("text/") && <StoredText link={link} />}
      {link && (
        <p className="muted small">
          {link.content_type}, {bytes(link.bytes)} · <a href={link.url}>Download</a>
        </p>
      )}
      {Object.keys(parameters).length > 0 && <Json value={parameters} />}
    </div>
  );
}

/** Whether the result is drawn over the input. */
function showsItself(task: Task): boolean {
  return task.status === "completed" && ["face_detection", "ocr", "transcribe"].includes(task.type);
}

function StoredText({ link }: { link: Link }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const show = async () => {
    try {
      const response = await fetch(link.url);
      if (!response.ok) throw new Problem(response.status, "The text can't be read", "Load this page again.");
      setText(await response.text());
      setError(null);
    } catch (error) {
      setError(error);
    }
  };
  if (error !== null) return <Refusal error={error} retry={() => void show()} />;
  if (text === null) {
    return (
      <button type="button" onClick={() => void show()}>
        Show the text
      </button>
    );
  }
  return <p className="prose quote">{text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text}</p>;
}
