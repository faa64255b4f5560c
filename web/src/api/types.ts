// Names for the schemas of docs/openapi.json that the dashboard uses. `npm run types` generates schema.d.ts from that
// document. This file is the only one that imports it, so a schema that is renamed is renamed here alone.

import type { components } from "./schema";

type Schemas = components["schemas"];

export type TaskType = Schemas["TaskType"];
export type Status = Schemas["Status"];
export type Priority = Schemas["Priority"];

export type Task = Schemas["Task"];
export type TaskSummary = Schemas["TaskSummary"];
export type TaskPage = Schemas["TaskPage"];
export type AcceptedTask = Schemas["AcceptedTask"];
export type Attempt = Schemas["Attempt"];
export type Link = Schemas["Link"];
export type Change = Schemas["Change"];
export type Changes = Schemas["Changes"];
export type Stats = Schemas["Stats"];
export type Worker = Schemas["Worker"];
export type Workers = Schemas["Workers"];
export type DeadLetters = Schemas["DeadLetters"];
export type Redriven = Schemas["Redriven"];
export type NewUpload = Schemas["NewUpload"];
export type Upload = Schemas["Upload"];
export type ProblemBody = Schemas["Problem"];

export type SentimentResult = Schemas["Sentiment"];
export type Classification = Schemas["Classification"];
export type FaceDetection = Schemas["FaceDetection"];
export type PageResult = Schemas["Page"];
export type TranscriptResult = Schemas["Transcript"];
export type LabelScore = Schemas["LabelScore"];
export type Box = Schemas["BoundingBox"];

// The rest narrows or widens what the document says.

/** The document has one schema per task type. The form builds the input of the selected type field by field. */
export type Submission = Pick<Schemas["Submission"], "type"> & {
  input: Record<string, unknown>;
  priority?: Priority;
  metadata?: Record<string, string>;
};

/** The document does not say that exactly one of `ids`, `type` and `all` is needed. */
export type Redrive = { ids: string[] } | { all: true; cursor?: string };
