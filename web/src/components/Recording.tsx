// A player for a recording. It renews the link when that has expired, and continues at the same position.

import { type Ref, useRef } from "react";

import type { Link } from "../api/types";

export function Recording({
  link,
  renew,
  player,
  onTime,
}: {
  link: Link;
  renew: () => void;
  player?: Ref<HTMLAudioElement>;
  /** Receives the position in seconds while the recording plays. */
  onTime?: (at: number) => void;
}) {
  /** The position, which a new address would begin without. */
  const position = useRef({ at: 0, isPlaying: false });
  /** The address that failed last. It is renewed once, not again and again. */
  const failed = useRef("");
  return (
    <audio
      ref={player}
      controls
      preload="metadata"
      aria-label="The recording"
      src={link.url}
      onPlay={() => {
        position.current.isPlaying = true;
      }}
      onPause={() => {
        position.current.isPlaying = false;
      }}
      onError={() => {
        if (Date.parse(link.expires_at) > Date.now() || failed.current === link.url) return;
        failed.current = link.url;
        renew();
      }}
      onLoadedMetadata={({ currentTarget }) => {
        const { at, isPlaying } = position.current;
        if (at > 0) currentTarget.currentTime = at;
        // A browser may refuse to play. The position is set nevertheless.
        if (isPlaying) currentTarget.play().catch(() => {});
      }}
      onSeeking={({ currentTarget }) => {
        if (currentTarget.readyState > 0) position.current.at = currentTarget.currentTime;
      }}
      onTimeUpdate={({ currentTarget }) => {
        // A new address begins at 0 before its metadata is loaded: that is not a seek by the user.
        if (currentTarget.readyState === 0) return;
        position.current.at = currentTarget.currentTime;
        onTime?.(currentTarget.currentTime);
      }}
    />
  );
}
