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
  /** Where the listener is, which another address begins without. */
  const place = useRef({ at: 0, isPlaying: false });
  /** The address that failed and was renewed for: a new one that fails as well would be asked for again and again. */
  const failed = useRef("");
  return (
    <audio
      ref={player}
      controls
      preload="metadata"
      aria-label="The recording"
      src={link.url}
      onPlay={() => {
        place.current.isPlaying = true;
      }}
      onPause={() => {
        place.current.isPlaying = false;
      }}
      onError={() => {
        if (Date.parse(link.expires_at) > Date.now() || failed.current === link.url) return;
        failed.current = link.url;
        renew();
      }}
      onLoadedMetadata={({ currentTarget }) => {
        const { at, isPlaying } = place.current;
        if (at > 0) currentTarget.currentTime = at;
        // A browser may refuse to play: then the place is set all the same.
        if (isPlaying) currentTarget.play().catch(() => {});
      }}
      onSeeking={({ currentTarget }) => {
        if (currentTarget.readyState > 0) place.current.at = currentTarget.currentTime;
      }}
      onTimeUpdate={({ currentTarget }) => {
        // A new address begins at 0 before anything of it is there: the listener has not gone back.
        if (currentTarget.readyState === 0) return;
        place.current.at = currentTarget.currentTime;
        moved?.(currentTarget.currentTime);
      }}
    />
  );
}
