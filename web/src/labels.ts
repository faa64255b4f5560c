// Labels of the API's values.

import type { Priority, Status, TaskType } from "./api/types";

export const TYPE_NAMES: Record<TaskType, string> = {
  sentiment: "Sentiment",
  classify: "Classify",
  embed: "Embed",
  summarize: "Summarize",
  translate: "Translate",
  data_extraction: "Extract data",
  face_detection: "Detect faces",
  ocr: "Read a page",
  transcribe: "Transcribe",
};

export const STATUS_NAMES: Record<Status, string> = {
  blocked: "Blocked",
  pending: "Pending",
  processing: "Processing",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const PRIORITY_NAMES: Record<Priority, string> = { high: "high", normal: "normal", low: "low" };

// A record above that lacks a value of the API does not compile, so these lists are complete. They have the same order.
export const TASK_TYPES = Object.keys(TYPE_NAMES) as TaskType[];
export const STATUSES = Object.keys(STATUS_NAMES) as Status[];
export const PRIORITIES = Object.keys(PRIORITY_NAMES) as Priority[];

export function isFinal(status: Status): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}
