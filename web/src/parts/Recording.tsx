// A recording to listen to, as long as one likes: its link is renewed when it has expired.

import { type Ref, useRef } from "react";

import type { Link } from "../api/types";

export function Recording({
  link,
  renew,
  player,
  moved,
}: {
  link: Link;
  renew: () => void;
  player?: Ref<HTMLAudioElement>;
  /** Told the second that is played. */
  moved?: (at: number) => void;
}) {
  /** Where it was when its address failed. */
  const lost = useRef<{ at: number; isPlaying: boolean } | null>(null);
  return (
    <audio
      ref={player}
      controls
      preload="metadata"
      aria-label="The recording"
      src={link.url}
      onError={({ currentTarget }) => {
        // Once: a new address that fails as well would be asked for again and again.
        if (Date.parse(link.expires_at) > Date.now() || lost.current) return;
        lost.current = { at: currentTarget.currentTime, isPlaying: !currentTarget.paused };
        renew();
      }}
      onLoadedMetadata={({ currentTarget }) => {
        if (!lost.current) return;
        const { at, isPlaying } = lost.current;
        lost.current = null;
        currentTarget.currentTime = at;
        // A browser may refuse to play: then the place is set all the same.
        if (isPlaying) currentTarget.play().catch(() => {});
      }}
      onTimeUpdate={({ currentTarget }) => moved?.(currentTarget.currentTime)}
    />
  );
}
