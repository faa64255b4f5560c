// Asks the API, which lies beside this page whatever stage or path stands before both.

import type { Changes, DeadLetters, Redriven, Stats, Submission, Task, TaskPage, Upload, Worker } from "./types";

/** A refusal in the API's own words, or that nobody answered (status 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly requestId?: string,
  ) {
    super(detail);
  }

  static of(error: unknown): Problem {
    if (error instanceof Problem) return error;
    const told = error instanceof Error ? error.message : String(error);
    return new Problem(0, "The API does not answer", `Check the network, then try again. (${told})`);
  }
}

/** The API holds an answer for 20 s, and gives none after 30. */
const LONGEST_ANSWER_MS = 35_000;

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export class Client {
  constructor(
    readonly token: string,
    /** Told when the token is not taken any more. */
    private readonly refused: () => void = () => {},
  ) {}

  task(id: string, signal?: AbortSignal): Promise<Task> {
    return this.ask("GET", `v1/tasks/${encodeURIComponent(id)}`, { signal });
  }

  tasks(query: URLSearchParams, signal?: AbortSignal): Promise<TaskPage> {
    return this.ask("GET", `v1/tasks?${query}`, { signal });
  }

  /** A key goes along, so that a repeat after a lost answer makes no second task. */
  submit(submission: Submission, key: string): Promise<{ id: string }> {
    return this.ask("POST", "v1/tasks", { body: submission, headers: { "Idempotency-Key": key }, isLarge: true });
  }

  cancel(id: string): Promise<Task> {
    return this.ask("POST", `v1/tasks/${encodeURIComponent(id)}/cancel`);
  }

  retry(id: string): Promise<Task> {
    return this.ask("POST", `v1/tasks/${encodeURIComponent(id)}/retry`);
  }

  stats(signal?: AbortSignal): Promise<Stats> {
    return this.ask("GET", "v1/stats", { signal });
  }

  async workers(signal?: AbortSignal): Promise<Worker[]> {
    const answer: { workers: Worker[] } = await this.ask("GET", "v1/workers", { signal });
    return answer.workers;
  }

  /** What happened after a cursor, held for so many seconds until something does; without one, where the present is. */
  changes(after: string | undefined, wait = 0, signal?: AbortSignal): Promise<Changes> {
    const query = after === undefined ? "" : `?after=${encodeURIComponent(after)}&wait=${wait}`;
    return this.ask("GET", `v1/changes${query}`, { signal });
  }

  deadLetters(cursor?: string, signal?: AbortSignal): Promise<DeadLetters> {
    const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return this.ask("GET", `v1/dead-letters?limit=50${query}`, { signal });
  }

  redrive(which: { ids: string[] } | { all: true; cursor?: string }): Promise<Redriven> {
    return this.ask("POST", "v1/dead-letters/redrive", { body: which });
  }

  announce(content_type: string, length: number, sha256: string): Promise<Upload> {
    return this.ask("POST", "v1/uploads", { body: { content_type, length, sha256 } });
  }

  private async ask<T>(
    method: string,
    path: string,
    {
      body,
      headers,
      signal,
      isLarge = false,
    }: {
      body?: unknown;
      headers?: Record<string, string>;
      signal?: AbortSignal | undefined;
      /** What is sent may take its time on a slow network. */
      isLarge?: boolean;
    } = {},
  ): Promise<T> {
    const sent: RequestInit = { method, headers: { "X-Service-Token": this.token, ...headers } };
    const ends = [signal, isLarge ? undefined : AbortSignal.timeout(LONGEST_ANSWER_MS)].filter((end) => !!end);
    if (ends.length > 0) sent.signal = AbortSignal.any(ends);
    if (body !== undefined) {
      sent.body = JSON.stringify(body);
      sent.headers = { ...sent.headers, "Content-Type": "application/json" };
    }
    let response: Response;
    try {
      response = await fetch(new URL(path, document.baseURI), sent);
    } catch (error) {
      throw isAbort(error) ? error : Problem.of(error);
    }
    if (response.ok) return (await response.json()) as T;
    if (response.status === 401) this.refused();
    throw await problem(response);
  }
}

async function problem(response: Response): Promise<Problem> {
  const told = (await response.json().catch(() => ({}))) as { title?: string; detail?: string; request_id?: string };
  const title = told.title ?? `The API answered ${response.status}`;
  const id = told.request_id ?? response.headers.get("x-request-id") ?? undefined;
  return new Problem(response.status, title, told.detail ?? "Try again in a few seconds.", id);
}
