// A result, shown as what it is. One that is not as its type says is shown as JSON: a stack may be newer than the page.

import { useEffect, useState } from "react";

import { Problem } from "../api/client";
import type { Task } from "../api/types";
import { Boundary } from "../parts/Boundary";
import { Copy } from "../parts/Copy";
import { Json } from "../parts/Json";
import { Loading, Refusal } from "../parts/Notice";
import { Faces, type FaceDetection } from "./Faces";
import { Labels } from "./Labels";
import { Page, type PageResult } from "./Page";
import { type SentimentResult, Sentiment } from "./Sentiment";
import { Transcript, type TranscriptResult } from "./Transcript";
import { useSteady } from "./useSteady";

export function ResultView({ task, renew }: { task: Task; renew: () => void }) {
  const link = useSteady(task.result_link);
  const [fetched, setFetched] = useState<unknown>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const again = () => {
    setError(null);
    setTurn(turn + 1);
    renew();
  };
  useEffect(() => {
    if (!link) return;
    const end = new AbortController();
    fetch(link.url, { signal: end.signal })
      .then(async (response) => {
        if (!response.ok) throw new Problem(response.status, "The result can't be read", "Try again in a few seconds.");
        setFetched(await response.json());
        setError(null);
      })
      .catch((error: unknown) => {
        if (!end.signal.aborted) setError(error);
      });
    return () => end.abort();
  }, [link, turn]);
  const result = task.result ?? fetched;
  if (error !== null) return <Refusal error={error} retry={again} />;
  if (result === undefined) return <Loading what="the result" />;
  return (
    <>
      <Boundary instead={() => <Json value={result} />}>
        <Shown task={task} result={result} renew={renew} />
      </Boundary>
      <Raw value={result} />
    </>
  );
}

/** Drawn only when it is opened: the vectors of many texts are thousands of numbers. */
function Raw({ value }: { value: unknown }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details
      className="raw"
      onToggle={(event) => event.target === event.currentTarget && setOpen(event.currentTarget.open)}
    >
      <summary>As JSON</summary>
      {isOpen && <Json value={value} />}
    </details>
  );
}

function Shown({ task, result, renew }: { task: Task; result: unknown; renew: () => void }) {
  if (result === null || typeof result !== "object") return <Json value={result} />;
  if (task.type === "sentiment" && "label" in result) return <Sentiment result={result as SentimentResult} />;
  if (task.type === "classify" && "scores" in result) {
    return <Labels scores={(result as { scores: { label: string; score: number }[] }).scores} />;
  }
  if (task.type === "face_detection" && "faces" in result) {
    return <Faces result={result as FaceDetection} link={task.input_link} renew={renew} />;
  }
  if (task.type === "ocr" && "lines" in result)
    return <Page result={result as PageResult} link={task.input_link} renew={renew} />;
  if (task.type === "transcribe" && "segments" in result) {
    return <Transcript result={result as TranscriptResult} link={task.input_link} renew={renew} />;
  }
  if (task.type === "summarize" && "summary" in result) return <Prose text={String(result.summary)} />;
  if (task.type === "translate" && "text" in result) return <Prose text={String(result.text)} />;
  if (task.type === "data_extraction" && "fields" in result) return <Json value={result.fields} />;
  if (task.type === "embed" && "embeddings" in result) return <Vectors vectors={result.embeddings as number[][]} />;
  return <Json value={result} />;
}

function Prose({ text }: { text: string }) {
  return (
    <>
      <p className="prose" dir="auto">
        {text}
      </p>
      <Copy text={text} what="the text" />
    </>
  );
}

/** So many vectors are drawn at first. */
const FIRST_VECTORS = 8;

function Vectors({ vectors }: { vectors: number[][] }) {
  const [shown, setShown] = useState(FIRST_VECTORS);
  return (
    <>
      <ul className="vectors">
        {vectors.slice(0, shown).map((vector, at) => (
          <li key={at}>
            <strong>Text {at + 1}</strong> <span className="muted">{vector.length} numbers</span>
            <svg
              viewBox={`0 0 ${vector.length} 40`}
              preserveAspectRatio="none"
              role="img"
              aria-label={`The numbers of text ${at + 1}`}
            >
              <path d={vector.map(bar).join("")} />
            </svg>
          </li>
        ))}
      </ul>
      {vectors.length > shown && (
        <button type="button" onClick={() => setShown(shown + 4 * FIRST_VECTORS)}>
          Show more, of {vectors.length}
        </button>
      )}
    </>
  );
}

/** A number as a bar from the middle. Of a vector of length 1 in so many dimensions few numbers are beyond 0.2. */
function bar(value: number, at: number): string {
  const height = Math.max(-1, Math.min(1, value / 0.2)) * -20;
  return `M${at} 20h.8v${height.toFixed(1)}h-.8z`;
}
