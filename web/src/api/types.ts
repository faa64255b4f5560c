// What the API takes and answers, as docs/API.md says it; the parts that the dashboard looks at.

export const TASK_TYPES = [
  "sentiment",
  "classify",
  "embed",
  "summarize",
  "translate",
  "data_extraction",
  "face_detection",
  "ocr",
  "transcribe",
] as const;
export type TaskType = (typeof TASK_TYPES)[number];

export const STATUSES = ["blocked", "pending", "processing", "completed", "failed", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

export const PRIORITIES = ["high", "normal", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

export interface Failure {
  kind: "transient" | "permanent" | "exhausted" | "timeout";
  code: string;
  message: string;
}

export interface TaskSummary {
  id: string;
  type: TaskType;
  size: "small" | "large";
  priority: Priority;
  status: Status;
  metadata: Record<string, string>;
  error?: Failure;
  generation: number;
  attempt: number;
  max_attempts: number;
  created_at: string;
  updated_at: string;
  next_attempt_at?: string;
}

/** An object of the payload bucket, readable without a token for some minutes. */
export interface Link {
  url: string;
  expires_at: string;
  bytes: number;
  content_type: string;
  sha256: string;
}

export interface Attempt {
  generation: number;
  started_at: string;
  ended_at?: string;
  outcome?: "completed" | "permanent" | "transient" | "timeout" | "throttled" | "lost" | "cancelled";
  error?: string;
}

export interface Task extends TaskSummary {
  input: Record<string, unknown>;
  input_link?: Link;
  result?: unknown;
  result_link?: Link;
  model?: { name: string; version: string };
  timings?: { queued_ms: number; load_ms: number; inference_ms: number };
  usage?: { input_tokens: number; output_tokens: number; provider_ms: number };
  timeout_seconds?: number;
  correlation_id: string;
  attempts: Attempt[];
}

export interface TaskPage {
  tasks: TaskSummary[];
  next_cursor?: string;
}

export interface Change {
  cursor: string;
  id: string;
  type: TaskType;
  status: Status | "removed";
  previous_status: Status | null;
  generation: number;
  attempt: number;
  updated_at: string;
}

export interface Changes {
  changes: Change[];
  next: string;
  links?: { events?: string };
}

export interface Percentiles {
  p50: number | null;
  p95: number | null;
  count: number;
}

export interface Stats {
  total: number;
  by_status: Record<Status, number>;
  per_minute: Record<"submitted" | "finished", { last_1: number; last_5: number; last_15: number }>;
  queue_wait_ms: Percentiles;
  run_ms: Percentiles;
  queues: { name: string; visible: number; in_flight: number; delayed: number }[];
}

export interface Worker {
  name: string;
  limit: number;
  limits: Record<string, number>;
  running: number;
  last_seen: string | null;
  processed: number;
  failed: number;
  retried: number;
  mean_batch: number | null;
  cold_starts: number;
}

export interface DeadLetters {
  dead_letters: Task[];
  next_cursor?: string;
}

export interface Redriven {
  redriven: string[];
  skipped: string[];
  next_cursor?: string;
}

export interface Upload {
  id: string;
  method: string;
  url: string;
  headers: Record<string, string>;
}

export interface Submission {
  type: TaskType;
  input: Record<string, unknown>;
  priority?: Priority;
  metadata?: Record<string, string>;
  max_attempts?: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}
