import { useRef, useState } from "react";

import type { Link, TranscriptResult } from "../api/types";
import { Copy } from "../components/Copy";
import { Recording } from "../components/Recording";
import { useStableLink } from "../components/useStableLink";
import { clock, language } from "../format";

export function Transcript({
  result,
  link,
  renew,
}: {
  result: TranscriptResult;
  link: Link | undefined;
  renew: () => void;
}) {
  const stable = useStableLink(link);
  const audio = useRef<HTMLAudioElement>(null);
  const [at, setAt] = useState(-1);
  const play = (from: number) => {
    const player = audio.current;
    if (!player) return;
    player.currentTime = from;
    // A browser may refuse to play. The position is set nevertheless.
    player.play().catch(() => {});
  };
  return (
    <div className="stacked">
      {stable && <Recording link={stable} renew={renew} player={audio} onTime={setAt} />}
      {result.language && <p className="muted small">Language: {language(result.language)}</p>}
      {result.segments.length === 0 ? (
        <p className="muted">No speech found.</p>
      ) : (
        <ol className="extracted transcript">
          {result.segments.map(({ start, end, text }, index) => (
            <li key={index}>
              <button type="button" className={at >= start && at < end ? "selected" : ""} onClick={() => play(start)}>
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
