// An example of each task type, which the form offers.

import type { Draft } from "../api/submit";
import type { TaskType } from "../api/types";
import recording from "../../../crates/models/src/speech/testdata/tried.mp3";
import portrait from "./portrait.jpg";

const REVIEW =
  "I loved every minute of it: warm, funny and beautifully acted. The ending alone is worth the evening, and the music stays with you for days.";
const MATCH = "The goalkeeper saved a penalty in the last minute, and the whole town sang until the lights went out.";
const MUSEUM =
  "The museum opens its new wing on Saturday. Visitors will find twelve rooms of drawings that have never been shown. " +
  "The architect kept the old brick walls and let daylight in from above. Admission is free for the first week. " +
  "Guided tours start every hour, and the café serves lunch until three.";
const INVOICE = "Please pay 480 euros to Anna Weber by Friday, for the repair of the kitchen window.";

export async function example(type: TaskType): Promise<Draft> {
  const draft = (text: string, parameters: Record<string, string> = {}): Draft => ({ text, file: null, parameters });
  switch (type) {
    case "sentiment":
      return draft(REVIEW);
    case "classify":
      return draft(MATCH, { labels: "sports, cooking, politics, weather" });
    case "embed":
      return draft(REVIEW);
    case "summarize":
      return draft(MUSEUM, { max_sentences: "2" });
    case "translate":
      return draft(MUSEUM, { target_language: "German" });
    case "data_extraction":
      return draft(INVOICE, { schema: '{"payee": "string", "amount": "number", "due": "string"}' });
    case "face_detection":
      return { ...draft(""), file: await fetched(portrait, "portrait.jpg", "image/jpeg") };
    case "transcribe":
      return { ...draft(""), file: await fetched(recording, "recording.mp3", "audio/mpeg") };
    case "ocr":
      return { ...draft(""), file: await printedPage() };
  }
}

async function fetched(address: string, name: string, type: string): Promise<File> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`can't load the example (HTTP status ${response.status}): try again`);
  return new File([await response.blob()], name, { type });
}

/** A picture of a page with some printed lines. */
function printedPage(): Promise<File> {
  const canvas = document.createElement("canvas");
  canvas.width = 900;
  canvas.height = 420;
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("this browser can't draw the example: choose a file instead");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#222";
  pen.font = "bold 44px Georgia, serif";
  pen.fillText("Notice to visitors", 60, 100);
  pen.font = "30px Georgia, serif";
  [
    "The reading room is open from nine to five.",
    "Bags are left in the lockers by the door.",
    "Pencils only, please.",
  ].forEach((line, at) => pen.fillText(line, 60, 180 + 60 * at));
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(new File([blob], "page.png", { type: "image/png" }));
      else reject(new Error("this browser can't encode the example as PNG: choose a file instead"));
    }, "image/png");
  });
}
