import { type DragEvent, type ReactNode, useEffect, useRef, useState } from "react";

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
  take: (files: File[]) => void;
  clear: () => void;
  children: ReactNode;
}) {
  const [isOver, setOver] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  // A file that misses its place would else be opened by the browser, in place of this page.
  useEffect(() => {
    const keep = (event: globalThis.DragEvent) => {
      if (event.dataTransfer && holdsFiles(event.dataTransfer)) event.preventDefault();
    };
    window.addEventListener("dragover", keep);
    window.addEventListener("drop", keep);
    return () => {
      window.removeEventListener("dragover", keep);
      window.removeEventListener("drop", keep);
    };
  }, []);
  const over = (event: DragEvent) => {
    // A piece of text is the browser's to drop.
    if (holdsFiles(event.dataTransfer)) setOver(true);
  };
  const leave = (event: DragEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
  };
  const drop = (event: DragEvent) => {
    setOver(false);
    if (!holdsFiles(event.dataTransfer)) return;
    event.preventDefault();
    // A folder looks like a file, and can't be read.
    const isFolder = [...event.dataTransfer.items].some((item) => item.webkitGetAsEntry()?.isDirectory);
    take(isFolder ? [] : [...event.dataTransfer.files]);
  };
  return (
    <div
      className={`drop ${isOver ? "over" : ""} ${kind ?? "text"}`}
      onDragOver={over}
      onDragLeave={leave}
      onDrop={drop}
    >
      {children}
      {kind !== null && file && (
        <div className="chosen-file">
          <Preview file={file} kind={kind} />
          <p>
            {file.name} <span className="muted">{bytes(file.size)}</span>
          </p>
          <button
            type="button"
            onClick={() => {
              clear();
              // The button goes with its file.
              field.current?.focus();
            }}
          >
            Remove
          </button>
        </div>
      )}
      {kind !== null && (
        <label className={file ? "sr-only" : "drop-label"}>
          <input
            ref={field}
            id="file"
            type="file"
            accept={ACCEPT[kind]}
            onChange={(event) => {
              const chosen = [...(event.target.files ?? [])];
              if (chosen.length > 0) take(chosen);
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

function holdsFiles(transfer: DataTransfer): boolean {
  return transfer.types.includes("Files");
}

function Preview({ file, kind }: { file: File; kind: "image" | "audio" }) {
  const [address, setAddress] = useState<string | null>(null);
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(file);
    setAddress(made);
    setBroken(false);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  if (address === null) return null;
  if (isBroken) return <p className="muted">This browser can’t show it; the API may read it all the same.</p>;
  const broken = () => setBroken(true);
  return kind === "image" ? (
    <img src={address} alt="" onError={broken} />
  ) : (
    <audio controls src={address} onError={broken} aria-label={file.name} />
  );
}
