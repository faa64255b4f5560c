import { type MouseEvent, useLayoutEffect, useRef, useState } from "react";

import { Problem } from "../api/client";
import type { Link, Task } from "../api/types";
import { MARGIN_MS, useSteady } from "../results/useSteady";
import { bytes } from "../words";
import { Json } from "./Json";
import { Refusal } from "./Notice";
import { Recording } from "./Recording";

/** Of a text that is kept apart, so much is shown. */
const MOST_SHOWN = 100_000;

export function Input({ task, renew }: { task: Task; renew: () => Promise<Task> }) {
  const { object: _, text, ...parameters } = task.input;
  const link = useSteady(task.input_link);
  const [error, setError] = useState<unknown>(null);
  const listenOn = () => void renew().then(() => setError(null), setError);
  return (
    <div className="input">
      {typeof text === "string" && <Quote>{text}</Quote>}
      {link?.content_type.startsWith("image/") && !showsItself(task) && (
        <img className="photo" src={link.url} alt="What was submitted" />
      )}
      {link?.content_type.startsWith("audio/") && !showsItself(task) && (
        <Recording link={link} renew={listenOn} />
      )}
      {error !== null && <Refusal error={error} retry={listenOn} />}
      {link?.content_type.startsWith("text/") && <StoredText link={link} renew={renew} />}
      {link && (
        <div className="muted small">
          {link.content_type}, {bytes(link.bytes)} · <Download link={link} renew={renew} />
        </div>
      )}
      {Object.keys(parameters).length > 0 && <Json value={parameters} />}
    </div>
  );
}

/** Whether the result is drawn over the input. */
function showsItself(task: Task): boolean {
  return task.status === "completed" && ["face_detection", "ocr", "transcribe"].includes(task.type);
}

/** A link is good for some minutes, and a page may be looked at for longer. */
async function current(link: Link, renew: () => Promise<Task>): Promise<Link> {
  if (Date.parse(link.expires_at) > Date.now() + MARGIN_MS) return link;
  return (await renew()).input_link ?? link;
}

function Download({ link, renew }: { link: Link; renew: () => Promise<Task> }) {
  const [error, setError] = useState<unknown>(null);
  const follow = async (event: MouseEvent) => {
    if (Date.parse(link.expires_at) > Date.now() + MARGIN_MS) return;
    event.preventDefault();
    try {
      window.location.assign((await current(link, renew)).url);
    } catch (error) {
      setError(error);
    }
  };
  return (
    <>
      <a href={link.url} onClick={(event) => void follow(event)}>
        Download
      </a>
      {error !== null && <Refusal error={error} />}
    </>
  );
}

function StoredText({ link, renew }: { link: Link; renew: () => Promise<Task> }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const show = async () => {
    try {
      const response = await fetch((await current(link, renew)).url);
      if (!response.ok) throw new Problem(response.status, "The text can't be read", "Try again in a few seconds.");
      setText(await response.text());
      setError(null);
    } catch (error) {
      setError(error);
    }
  };
  if (error !== null) return <Refusal error={error} retry={() => void show()} />;
  if (text === null) {
    return (
      <button type="button" className="begin" onClick={() => void show()}>
        Show the text
      </button>
    );
  }
  return <Quote>{text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text}</Quote>;
}

/** A text of any length and language; one that is too long for its place is scrolled, by key too. */
function Quote({ children }: { children: string }) {
  const place = useRef<HTMLParagraphElement>(null);
  const [isLong, setLong] = useState(false);
  useLayoutEffect(() => {
    const { scrollHeight = 0, clientHeight = 0 } = place.current ?? {};
    setLong(scrollHeight > clientHeight);
  }, [children]);
  const reach = isLong ? { tabIndex: 0, role: "region", "aria-label": "The text" } : {};
  return (
    <p ref={place} className="prose quote" dir="auto" {...reach}>
      {children}
    </p>
  );
}
