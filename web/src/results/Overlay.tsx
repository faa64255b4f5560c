// Boxes over a picture, in pixels of the picture. The browser applies the EXIF orientation, and so did the worker.

import { type ReactNode, useState } from "react";

import type { Box, Link } from "../api/types";
import { useStableLink } from "../components/useStableLink";

export function Overlay({
  link,
  alt,
  renew,
  children,
}: {
  link: Link | undefined;
  alt: string;
  renew: () => void;
  /** Draws the boxes. The thickness of a line makes it look the same on a picture of any size. */
  children: (thickness: number) => ReactNode;
}) {
  const stable = useStableLink(link);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  /** The address that failed to load. A renewed one may load. */
  const [failedUrl, setFailedUrl] = useState<string | null>(null);
  if (!stable || stable.url === failedUrl) {
    return (
      <p className="muted">
        The picture can't be shown.{" "}
        <button
          type="button"
          onClick={() => {
            setFailedUrl(null);
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
        src={stable.url}
        alt={alt}
        onLoad={({ currentTarget: { naturalWidth: width, naturalHeight: height } }) => setSize({ width, height })}
        onError={() => setFailedUrl(stable.url)}
      />
      {size && (
        <svg viewBox={`0 0 ${size.width} ${size.height}`} aria-hidden="true">
          {children(Math.max(size.width, size.height) / 260)}
        </svg>
      )}
    </div>
  );
}

export function Outline({ box, thickness, isSelected }: { box: Box; thickness: number; isSelected: boolean }) {
  return (
    <rect
      className={isSelected ? "box selected" : "box"}
      x={box.x}
      y={box.y}
      width={box.width}
      height={box.height}
      rx={thickness}
      strokeWidth={isSelected ? 1.6 * thickness : thickness}
    />
  );
}
