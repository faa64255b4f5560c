// Boxes over a picture, in its own pixels. The browser turns a photograph upright as its EXIF says, as the boxes are.

import { type ReactNode, useState } from "react";

import type { Box, Link } from "../api/types";
import { useSteady } from "./useSteady";

export function Overlay({
  link,
  alt,
  renew,
  children,
}: {
  link: Link | undefined;
  alt: string;
  renew: () => void;
  /** What is drawn, given how thick a line must be to look the same on any picture. */
  children: (thickness: number) => ReactNode;
}) {
  const steady = useSteady(link);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  /** The address that could not be shown: another one may be. */
  const [broken, setBroken] = useState<string | null>(null);
  if (!steady || steady.url === broken) {
    return (
      <p className="muted">
        The picture can't be shown.{" "}
        <button
          type="button"
          onClick={() => {
            setBroken(null);
            renew();
          }}
        >
          Try again
        </button>
      </p>
    );
  }
  return (
    <div className="overlay">
      <img
        src={steady.url}
        alt={alt}
        onLoad={({ currentTarget: { naturalWidth: width, naturalHeight: height } }) => setSize({ width, height })}
        onError={() => setBroken(steady.url)}
      />
      {size && (
        <svg viewBox={`0 0 ${size.width} ${size.height}`} aria-hidden="true">
          {children(Math.max(size.width, size.height) / 260)}
        </svg>
      )}
    </div>
  );
}

export function Outline({ box, thickness, isChosen }: { box: Box; thickness: number; isChosen: boolean }) {
  return (
    <rect
      className={isChosen ? "box chosen" : "box"}
      x={box.x}
      y={box.y}
      width={box.width}
      height={box.height}
      rx={thickness}
      strokeWidth={isChosen ? 1.6 * thickness : thickness}
    />
  );
}
