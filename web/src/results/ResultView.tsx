// Shows a result in the form of its type. An unknown form is shown as JSON: the stack may be newer than the page.

import { useEffect, useState } from "react";

import { Problem } from "../api/client";
import type { Classification, FaceDetection, PageResult, SentimentResult, Task, TranscriptResult } from "../api/types";
import { Boundary } from "../components/Boundary";
import { Copy } from "../components/Copy";
import { Json } from "../components/Json";
import { ErrorNotice, Loading } from "../components/Notice";
import { useStableLink } from "../components/useStableLink";
import { Faces } from "./Faces";
import { Labels } from "./Labels";
import { Page } from "./Page";
import { Sentiment } from "./Sentiment";
import { Transcript } from "./Transcript";

export function ResultView({ task, renew }: { task: Task; renew: () => void }) {
  const link = useStableLink(task.result_link);
  const [fetched, setFetched] = useState<unknown>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  const retry = () => {
    setError(null);
    setAttempt(attempt + 1);
    renew();
  };
  useEffect(() => {
    if (!link) return;
    const controller = new AbortController();
    fetch(link.url, { signal: controller.signal })
      .then(async (response) => {
        if (!response.ok) throw new Problem(response.status, "The result can't be read", "Try again in a few seconds.");
        setFetched(await response.json());
        setError(null);
      })
      .catch((error: unknown) => {
        if (!controller.signal.aborted) setError(error);
      });
    return () => controller.abort();
  }, [link, attempt]);
  const result = task.result ?? fetched;
  if (error !== null) return <ErrorNotice error={error} retry={retry} />;
  if (result === undefined) return <Loading what="the result" />;
  return (
    <>
      <Boundary fallback={() => <Json value={result} />}>
        <TypedResult task={task} result={result} renew={renew} />
      </Boundary>
      <Raw value={result} />
    </>
  );
}

/** Rendered only when it is open: the vectors of many texts are thousands of numbers. */
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

function TypedResult({ task, result, renew }: { task: Task; result: unknown; renew: () => void }) {
  if (result === null || typeof result !== "object") return <Json value={result} />;
  if (task.type === "sentiment" && "label" in result) return <Sentiment result={result as SentimentResult} />;
  if (task.type === "classify" && "scores" in result) {
    return <Labels scores={(result as Classification).scores} />;
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

/** The number of vectors that are rendered at first. */
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
          Show more of {vectors.length}
        </button>
      )}
    </>
  );
}

/** A bar from the middle for one number. In a vector of length 1 with 384 dimensions few numbers are beyond 0.2. */
function bar(value: number, at: number): string {
  const height = Math.max(-1, Math.min(1, value / 0.2)) * -20;
  return `M${at} 20h.8v${height.toFixed(1)}h-.8z`;
}
