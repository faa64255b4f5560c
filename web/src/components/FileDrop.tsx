import { type DragEvent, type ReactNode, useEffect, useRef, useState } from "react";

import { bytes } from "../format";

const ACCEPT = {
  image: "image/jpeg,image/png,image/webp,image/gif,image/bmp",
  audio: "audio/wav,audio/flac,audio/mpeg,audio/ogg,.wav,.flac,.mp3,.ogg",
};

const TYPES = { image: "JPEG, PNG, WebP, GIF or BMP", audio: "WAV, FLAC, MP3 or OGG" };

/** Takes a file that is dropped or chosen. The children are the text field, for the types that take text. */
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
  // A browser opens a file that is dropped elsewhere on the page, and the page would be lost.
  useEffect(() => {
    const ignoreFiles = (event: globalThis.DragEvent) => {
      if (event.dataTransfer && hasFiles(event.dataTransfer)) event.preventDefault();
    };
    window.addEventListener("dragover", ignoreFiles);
    window.addEventListener("drop", ignoreFiles);
    return () => {
      window.removeEventListener("dragover", ignoreFiles);
      window.removeEventListener("drop", ignoreFiles);
    };
  }, []);
  const over = (event: DragEvent) => {
    // The browser itself handles dropped text.
    if (hasFiles(event.dataTransfer)) setOver(true);
  };
  const leave = (event: DragEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
  };
  const drop = (event: DragEvent) => {
    setOver(false);
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    // The browser lists a folder as a file that can't be read.
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
              // The button disappears together with the file.
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

function hasFiles(transfer: DataTransfer): boolean {
  return transfer.types.includes("Files");
}

function Preview({ file, kind }: { file: File; kind: "image" | "audio" }) {
  const [address, setAddress] = useState<string | null>(null);
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    const url = URL.createObjectURL(file);
    setAddress(url);
    setBroken(false);
    return () => URL.revokeObjectURL(url);
  }, [file]);
  if (address === null) return null;
  if (isBroken) return <p className="muted">This browser can’t show the file. The API may be able to read it.</p>;
  const onError = () => setBroken(true);
  return kind === "image" ? (
    <img src={address} alt="" onError={onError} />
  ) : (
    <audio controls src={address} onError={onError} aria-label={file.name} />
  );
}
