import { useRef, useState } from "react";

import type { Link } from "../api/types";
import { Copy } from "../parts/Copy";
import { Recording } from "../parts/Recording";
import { clock, language } from "../words";
import { useSteady } from "./useSteady";

export interface TranscriptResult {
  text: string;
  language: string | null;
  segments: { start: number; end: number; text: string }[];
}

export function Transcript({
  result,
  link,
  renew,
}: {
  result: TranscriptResult;
  link: Link | undefined;
  renew: () => void;
}) {
  const steady = useSteady(link);
  const audio = useRef<HTMLAudioElement>(null);
  const [at, setAt] = useState(-1);
  const play = (from: number) => {
    const player = audio.current;
    if (!player) return;
    player.currentTime = from;
    // A browser may refuse to play: then the place is set all the same.
    player.play().catch(() => {});
  };
  return (
    <div className="stacked">
      {steady && <Recording link={steady} renew={renew} player={audio} moved={setAt} />}
      {result.language && <p className="muted small">Spoken in {language(result.language)}</p>}
      {result.segments.length === 0 ? (
        <p className="muted">Nobody speaks.</p>
      ) : (
        <ol className="found transcript">
          {result.segments.map(({ start, end, text }, index) => (
            <li key={index}>
              <button type="button" className={at >= start && at < end ? "chosen" : ""} onClick={() => play(start)}>
                <span className="sr-only">Play from </span>
                <span className="muted time">
                  {clock(start)} – {clock(end)}
                </span>
                <span dir="auto">{text}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
      {result.text && <Copy text={result.text} what="the text" />}
    </div>
  );
}
