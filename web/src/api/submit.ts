// Builds the request for a task from the form. A small file becomes part of the request; a large one is uploaded first.

import { bytes } from "../format";
import { type Client, Problem } from "./client";
import type { Priority, Submission, TaskType } from "./types";

/** A request may have 6 MB, which base64 reduces to 4.5 MB of content. The rest is for metadata. */
const MAX_INLINE_BYTES = 3_000_000;
const MAX_TEXT_BYTES = 1_000_000;
const MAX_FILE_BYTES = 50_000_000;

/** The content of the form. */
export interface Draft {
  text: string;
  file: File | null;
  /** What the user typed, by the API's name of the parameter. */
  parameters: Record<string, string>;
}

export interface Options {
  priority: Priority;
  metadata: Record<string, string>;
}

/** A parameter that a task type takes beside its content. */
export interface Parameter {
  name: string;
  title: string;
  hint: string;
  isLong?: boolean;
  isRequired?: boolean;
  parse: (typed: string) => unknown;
}

const asText = (typed: string) => typed;
const asInteger = (typed: string) => {
  if (!/^\d+$/.test(typed)) {
    throw new Problem(0, "This is not a whole number", `“${typed}”: enter a number such as 3.`);
  }
  return Number(typed);
};

export const PARAMETERS: Partial<Record<TaskType, Parameter[]>> = {
  classify: [
    {
      name: "labels",
      title: "Labels",
      hint: "Separated by commas; a default set if left empty",
      parse: (typed) =>
        typed
          .split(",")
          .map((label) => label.trim())
          .filter(Boolean),
    },
  ],
  summarize: [
    { name: "max_sentences", title: "Maximum sentences", hint: "1 to 100; 3 if left empty", parse: asInteger },
  ],
  translate: [
    {
      name: "target_language",
      title: "Target language",
      hint: "A code or an English name: de, or German",
      isRequired: true,
      parse: asText,
    },
  ],
  data_extraction: [
    {
      name: "schema",
      title: "Schema",
      hint: "A JSON Schema, or an object that gives each field’s type",
      isLong: true,
      isRequired: true,
      parse: (typed) => {
        try {
          return JSON.parse(typed) as unknown;
        } catch (error) {
          throw new Problem(0, "The schema is not JSON", error instanceof Error ? error.message : "Write it as JSON.");
        }
      },
    },
  ],
};

/** The kind of file that a type takes, which is also the API's name of the field; null for a type that takes text. */
export function fileKind(type: TaskType): "image" | "audio" | null {
  if (type === "face_detection" || type === "ocr") return "image";
  return type === "transcribe" ? "audio" : null;
}

/** Checks the files that were dropped or chosen before any is read. Null means that there is one, and it fits. */
export function checkFiles(files: readonly File[], kind: "image" | "audio" | null): Problem | null {
  const [file] = files;
  if (!file) return new Problem(0, "This is not a file", "Drop a file from this computer, not a folder.");
  if (files.length > 1) return new Problem(0, "These are several files", "A task takes one: send them one by one.");
  const noun = NOUNS[kind ?? "text"];
  const limit = kind === null ? MAX_TEXT_BYTES : MAX_FILE_BYTES;
  if (file.size > limit) {
    const detail = `${file.name} has ${bytes(file.size)}. A ${noun} may have ${bytes(limit)}.`;
    return new Problem(0, "The file is too large", detail);
  }
  if (file.size === 0) return new Problem(0, "The file is empty", `${file.name} has no content. Choose another file.`);
  // The API checks the content. Only a file that the browser knows to be of another kind is refused here.
  const fits = file.type === "" || (kind === null ? isText(file.type) : mediaType(file, kind) !== null);
  if (!fits) return new Problem(0, `This is not a ${noun}`, `${file.name} is of the type ${file.type}.`);
  return null;
}

const NOUNS = { image: "picture", audio: "recording", text: "text" };

/** Some text formats have an `application` type. A file of an unknown `application` type may be text, too. */
function isText(type: string): boolean {
  const [family, format = ""] = type.split("/");
  if (family !== "application") return !["image", "audio", "video", "font"].includes(family ?? "");
  return /(^|\+|x-)(json|xml|ya?ml|toml|sql|ndjson|javascript|octet-stream)$/.test(format);
}

/** A file's type as the API takes it, or null if the browser knows it to be of another kind. */
function mediaType(file: File, kind: "image" | "audio"): string | null {
  if (file.type.startsWith(`${kind}/`)) return file.type;
  // Firefox reports every Ogg file as video.
  return kind === "audio" && file.type.endsWith("/ogg") ? "audio/ogg" : null;
}

/** Reads a file that was dropped on the text field. */
export async function textOf(file: File): Promise<string> {
  const text = await file.text().catch(() => {
    throw new Problem(0, "The file can't be read", "Choose it again.");
  });
  if (!text.includes("\0")) return text;
  throw new Problem(
    0,
    "This is not a text",
    `${file.name} contains bytes that are not characters. Save it as UTF-8 first.`,
  );
}

export async function submission(client: Client, type: TaskType, draft: Draft, options: Options): Promise<Submission> {
  const input: Record<string, unknown> = await content(client, type, draft);
  for (const parameter of PARAMETERS[type] ?? []) {
    const typed = draft.parameters[parameter.name]?.trim() ?? "";
    if (typed) input[parameter.name] = parameter.parse(typed);
    else if (parameter.isRequired) throw new Problem(0, `${parameter.title} is missing`, parameter.hint);
  }
  const result: Submission = { type, input };
  if (options.priority !== "normal") result.priority = options.priority;
  if (Object.keys(options.metadata).length > 0) result.metadata = options.metadata;
  return result;
}

async function content(client: Client, type: TaskType, draft: Draft): Promise<Record<string, unknown>> {
  const kind = fileKind(type);
  if (kind === null) {
    if (!draft.text.trim()) throw new Problem(0, "The text is missing", "Write or drop the text first.");
    if (new Blob([draft.text]).size > MAX_TEXT_BYTES) {
      throw new Problem(0, "The text is too long", "It may have 1 MB. Shorten it.");
    }
    return { text: draft.text };
  }
  if (!draft.file) throw new Problem(0, "The file is missing", "Choose or drop the file first.");
  if (draft.file.size <= MAX_INLINE_BYTES) return { [kind]: await dataUrl(draft.file) };
  return { upload: await upload(client, draft.file, kind) };
}

/** The upload id of each file, so that submitting a file again does not upload it again. */
const uploads = new WeakMap<File, string>();

async function upload(client: Client, file: File, kind: "image" | "audio"): Promise<string> {
  const known = uploads.get(file);
  if (known !== undefined) return known;
  // Browsers compute digests in secure contexts only: pages loaded by HTTPS or from this machine.
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
  const created = await client.createUpload({ content_type: type, length: file.size, sha256 });
  // The browser sets these headers itself and forbids pages to set them.
  const headers = Object.entries(created.headers).filter(
    ([name]) => !["content-length", "host"].includes(name.toLowerCase()),
  );
  const response = await fetch(created.url, { method: created.method, headers, body });
  if (!response.ok) throw new Problem(response.status, "The file could not be uploaded", "Try again in a few seconds.");
  uploads.set(file, created.id);
  return created.id;
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Problem(0, "The file can't be read", "Choose it again."));
    reader.readAsDataURL(file);
  });
}
