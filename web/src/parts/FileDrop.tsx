import { type DragEvent, type ReactNode, useEffect, useState } from "react";

import { bytes } from "../words";

const ACCEPT = {
  image: "image/jpeg,image/png,image/webp,image/gif,image/bmp",
  audio: "audio/wav,audio/flac,audio/mpeg,audio/ogg,.wav,.flac,.mp3,.ogg",
};

const TYPES = { image: "JPEG, PNG, WebP, GIF or BMP", audio: "WAV, FLAC, MP3 or OGG" };

/** Takes a file that is dropped on it, or chosen. For a text its field stands inside. */
export function FileDrop({
  kind,
  file,
  take,
  clear,
  children,
}: {
  kind: "image" | "audio" | null;
  file: File | null;
  take: (file: File) => void;
  clear: () => void;
  children: ReactNode;
}) {
  const [isOver, setOver] = useState(false);
  const over = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const dropped = event.dataTransfer.files[0];
    if (dropped) take(dropped);
  };
  return (
    <div
      className={`drop ${isOver ? "over" : ""} ${kind ?? "text"}`}
      onDragOver={over}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      {children}
      {kind !== null && file && (
        <div className="chosen-file">
          <Preview file={file} kind={kind} />
          <p>
            {file.name} <span className="muted">{bytes(file.size)}</span>
          </p>
          <button type="button" onClick={clear}>
            Remove
          </button>
        </div>
      )}
      {kind !== null && (
        <label className={file ? "sr-only" : "drop-label"}>
          <input
            id="file"
            type="file"
            accept={ACCEPT[kind]}
            onChange={(event) => {
              const chosen = event.target.files?.[0];
              if (chosen) take(chosen);
              event.target.value = "";
            }}
          />
          <span>
            Drop {kind === "image" ? "a picture" : "a recording"} here, or <u>choose a file</u>
          </span>
          <span className="muted small">{TYPES[kind]}, up to 50 MB</span>
        </label>
      )}
    </div>
  );
}

function Preview({ file, kind }: { file: File; kind: "image" | "audio" }) {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  if (address === null) return null;
  return kind === "image" ? <img src={address} alt="" /> : <audio controls src={address} />;
}
