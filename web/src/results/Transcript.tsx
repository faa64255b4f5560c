import { useRef, useState } from "react";

import type { Link } from "../api/types";
import { clock } from "../words";
import { useSteady } from "./useSteady";

export interface TranscriptResult {
  text: string;
  language: string | null;
  segments: { start: number; end: number; text: string }[];
}

export function Transcript({ result, link }: { result: TranscriptResult; link: Link | undefined }) {
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
  const language = result.language && new Intl.DisplayNames("en", { type: "language" }).of(result.language);
  return (
    <div className="stacked">
      {steady && (
        <audio
          ref={audio}
          controls
          preload="metadata"
          src={steady.url}
          onTimeUpdate={({ currentTarget }) => setAt(currentTarget.currentTime)}
        />
      )}
      {language && <p className="muted small">Spoken in {language}</p>}
      {result.segments.length === 0 ? (
        <p className="muted">Nobody speaks.</p>
      ) : (
        <ol className="found transcript">
          {result.segments.map(({ start, end, text }, index) => (
            <li key={index}>
              <button
                type="button"
                className={at >= start && at < end ? "chosen" : ""}
                onClick={() => play(start)}
                aria-label={`Play from ${clock(start)}: ${text}`}
              >
                <span className="muted time">
                  {clock(start)} – {clock(end)}
                </span>
                <span>{text}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
