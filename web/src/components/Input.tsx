import { type MouseEvent, useLayoutEffect, useRef, useState } from "react";

import { Problem } from "../api/client";
import type { Link, Task } from "../api/types";
import { bytes } from "../format";
import { Json } from "./Json";
import { ErrorNotice } from "./Notice";
import { Recording } from "./Recording";
import { EXPIRY_MARGIN_MS, useStableLink } from "./useStableLink";

/** The number of characters that are shown of a text in the payload bucket. */
const MAX_SHOWN = 100_000;

export function Input({ task, renew }: { task: Task; renew: () => Promise<Task> }) {
  const { object: _, text, ...parameters } = task.input;
  const link = useStableLink(task.input_link);
  const [error, setError] = useState<unknown>(null);
  const reload = () => void renew().then(() => setError(null), setError);
  return (
    <div className="input">
      {typeof text === "string" && <Quote>{text}</Quote>}
      {link?.content_type.startsWith("image/") && !isShownByResult(task) && (
        <img className="photo" src={link.url} alt="The submitted picture" />
      )}
      {link?.content_type.startsWith("audio/") && !isShownByResult(task) && <Recording link={link} renew={reload} />}
      {error !== null && <ErrorNotice error={error} retry={reload} />}
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

/** Whether the result view shows the input, too. */
function isShownByResult(task: Task): boolean {
  return task.status === "completed" && ["face_detection", "ocr", "transcribe"].includes(task.type);
}

/** The link, renewed if it is about to expire: it is valid for some minutes, and the page may be open for longer. */
async function validLink(link: Link, renew: () => Promise<Task>): Promise<Link> {
  if (Date.parse(link.expires_at) > Date.now() + EXPIRY_MARGIN_MS) return link;
  return (await renew()).input_link ?? link;
}

function Download({ link, renew }: { link: Link; renew: () => Promise<Task> }) {
  const [error, setError] = useState<unknown>(null);
  const follow = async (event: MouseEvent) => {
    if (Date.parse(link.expires_at) > Date.now() + EXPIRY_MARGIN_MS) return;
    event.preventDefault();
    try {
      window.location.assign((await validLink(link, renew)).url);
    } catch (error) {
      setError(error);
    }
  };
  return (
    <>
      <a href={link.url} onClick={(event) => void follow(event)}>
        Download
      </a>
      {error !== null && <ErrorNotice error={error} />}
    </>
  );
}

function StoredText({ link, renew }: { link: Link; renew: () => Promise<Task> }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const show = async () => {
    try {
      const response = await fetch((await validLink(link, renew)).url);
      if (!response.ok) throw new Problem(response.status, "The text can't be read", "Try again in a few seconds.");
      setText(await response.text());
      setError(null);
    } catch (error) {
      setError(error);
    }
  };
  if (error !== null) return <ErrorNotice error={error} retry={() => void show()} />;
  if (text === null) {
    return (
      <button type="button" className="show-text" onClick={() => void show()}>
        Show the text
      </button>
    );
  }
  return <Quote>{text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text}</Quote>;
}

/** A text of any length and language. A long one is scrollable, and a region that the keyboard reaches. */
function Quote({ children }: { children: string }) {
  const paragraph = useRef<HTMLParagraphElement>(null);
  const [isLong, setLong] = useState(false);
  useLayoutEffect(() => {
    const { scrollHeight = 0, clientHeight = 0 } = paragraph.current ?? {};
    setLong(scrollHeight > clientHeight);
  }, [children]);
  const region = isLong ? { tabIndex: 0, role: "region", "aria-label": "The text" } : {};
  return (
    <p ref={paragraph} className="prose quote" dir="auto" {...region}>
      {children}
    </p>
  );
}
