// Makes a task of what stands in the form: its content within the request where that is small, else uploaded first.

import { type Draft } from "../examples";
import { bytes } from "../words";
import { type Client, Problem } from "./client";
import type { Priority, Submission, TaskType } from "./types";

/** A request takes 6 MB, of which base64 leaves 4.5: well below, so that metadata finds room too. */
const MOST_INLINE_BYTES = 3_000_000;
const MOST_TEXT_BYTES = 1_000_000;
const MOST_FILE_BYTES = 50_000_000;

export interface Limits {
  priority: Priority;
  metadata: Record<string, string>;
}

/** What a type takes besides its content. */
export interface Parameter {
  name: string;
  title: string;
  hint: string;
  isLong?: boolean;
  isRequired?: boolean;
  read: (typed: string) => unknown;
}

const TEXT = (typed: string) => typed;
const WHOLE = (typed: string) => {
  if (!/^\d+$/.test(typed)) throw new Problem(0, "This is no whole number", `“${typed}”: write a number such as 3.`);
  return Number(typed);
};

export const PARAMETERS: Partial<Record<TaskType, Parameter[]>> = {
  classify: [
    {
      name: "labels",
      title: "Labels",
      hint: "Divided by commas; without them a default set is used",
      read: (typed) =>
        typed
          .split(",")
          .map((label) => label.trim())
          .filter(Boolean),
    },
  ],
  summarize: [{ name: "max_sentences", title: "Sentences at most", hint: "1 to 100; 3 if left empty", read: WHOLE }],
  translate: [
    {
      name: "target_language",
      title: "Into",
      hint: "A code or an English name: de, or German",
      isRequired: true,
      read: TEXT,
    },
  ],
  data_extraction: [
    {
      name: "schema",
      title: "Schema",
      hint: "A JSON Schema, or an object that gives each field’s type",
      isLong: true,
      isRequired: true,
      read: (typed) => {
        try {
          return JSON.parse(typed) as unknown;
        } catch (error) {
          throw new Problem(0, "The schema is not JSON", error instanceof Error ? error.message : "Write it as JSON.");
        }
      },
    },
  ],
};

/** What kind of file a type takes, if any: `image` or `audio`, by which the API calls it too. */
export function fileKind(type: TaskType): "image" | "audio" | null {
  if (type === "face_detection" || type === "ocr") return "image";
  return type === "transcribe" ? "audio" : null;
}

/** What is wrong with the files that were dropped or chosen, before any is read. */
export function misfit(files: readonly File[], kind: "image" | "audio" | null): Problem | null {
  const [file] = files;
  if (!file) return new Problem(0, "This is no file", "Drop a file from this computer, and no folder.");
  if (files.length > 1) return new Problem(0, "These are several files", "A task takes one: send them one by one.");
  const most = kind === null ? MOST_TEXT_BYTES : MOST_FILE_BYTES;
  if (file.size > most) {
    const told = `${file.name} has ${bytes(file.size)}. A ${WORDS[kind ?? "text"]} may have ${bytes(most)}.`;
    return new Problem(0, "The file is too large", told);
  }
  if (file.size === 0) return new Problem(0, "The file is empty", `There is nothing in ${file.name}.`);
  // A browser may not know a type, and the API looks for itself; what it does know to be another kind is none of ours.
  const fits = file.type === "" || (kind === null ? isText(file.type) : mediaType(file, kind) !== null);
  if (!fits) return new Problem(0, `This is no ${WORDS[kind ?? "text"]}`, `${file.name} is of the type ${file.type}.`);
  return null;
}

const WORDS = { image: "picture", audio: "recording", text: "text" };

/** Some formats of text go by the name of an application; one that has no name of its own may be a text. */
function isText(type: string): boolean {
  const [family, format = ""] = type.split("/");
  if (family !== "application") return !["image", "audio", "video", "font"].includes(family ?? "");
  return /(^|\+|x-)(json|xml|ya?ml|toml|sql|ndjson|javascript|octet-stream)$/.test(format);
}

/** A file's type as the API takes it, or null if the browser knows it to be of another kind. */
function mediaType(file: File, kind: "image" | "audio"): string | null {
  if (file.type.startsWith(`${kind}/`)) return file.type;
  // Firefox takes every Ogg file for a film.
  return kind === "audio" && file.type.endsWith("/ogg") ? "audio/ogg" : null;
}

/** What is written in a file that is dropped on a text. */
export async function textOf(file: File): Promise<string> {
  const text = await file.text().catch(() => {
    throw new Problem(0, "The file can't be read", "Choose it again.");
  });
  if (!text.includes("\0")) return text;
  throw new Problem(
    0,
    "This is no text",
    `${file.name} holds bytes that stand for no letters. Save it as UTF-8 first.`,
  );
}

export async function submission(client: Client, type: TaskType, draft: Draft, limits: Limits): Promise<Submission> {
  const input: Record<string, unknown> = await content(client, type, draft);
  for (const parameter of PARAMETERS[type] ?? []) {
    const typed = draft.parameters[parameter.name]?.trim() ?? "";
    if (typed) input[parameter.name] = parameter.read(typed);
    else if (parameter.isRequired) throw new Problem(0, `${parameter.title} is missing`, parameter.hint);
  }
  const made: Submission = { type, input };
  if (limits.priority !== "normal") made.priority = limits.priority;
  if (Object.keys(limits.metadata).length > 0) made.metadata = limits.metadata;
  return made;
}

async function content(client: Client, type: TaskType, draft: Draft): Promise<Record<string, unknown>> {
  const kind = fileKind(type);
  if (kind === null) {
    if (!draft.text.trim()) throw new Problem(0, "There is no text", "Write or drop the text first.");
    if (new Blob([draft.text]).size > MOST_TEXT_BYTES)
      throw new Problem(0, "The text is too long", "It may have 1 MB.");
    return { text: draft.text };
  }
  if (!draft.file) throw new Problem(0, "There is no file", "Choose or drop the file first.");
  if (draft.file.size <= MOST_INLINE_BYTES) return { [kind]: await dataUrl(draft.file) };
  return { upload: await upload(client, draft.file, kind) };
}

/** What was uploaded stays: submitting it again sends no file twice. */
const uploads = new WeakMap<File, string>();

async function upload(client: Client, file: File, kind: "image" | "audio"): Promise<string> {
  const known = uploads.get(file);
  if (known !== undefined) return known;
  // Browsers compute digests on pages that came safely, by HTTPS or from this machine.
  if (!window.isSecureContext) {
    throw new Problem(
      0,
      "The file is too large for this address",
      "Open the dashboard by HTTPS to send files of over 3 MB.",
    );
  }
  const body = await file.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const type = mediaType(file, kind) ?? (kind === "image" ? "image/jpeg" : "audio/wav");
  const announced = await client.announce(type, file.size, sha256);
  // The browser sets the length by itself, and lets no page do so.
  const headers = Object.entries(announced.headers).filter(
    ([name]) => !["content-length", "host"].includes(name.toLowerCase()),
  );
  const answer = await fetch(announced.url, { method: announced.method, headers, body });
  if (!answer.ok) throw new Problem(answer.status, "The file could not be uploaded", "Try again in a few seconds.");
  uploads.set(file, announced.id);
  return announced.id;
}

function dataUrl(file: File): Promise<string> {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.onerror = () => failed(new Problem(0, "The file can't be read", "Choose it again."));
    reader.readAsDataURL(file);
  });
}
