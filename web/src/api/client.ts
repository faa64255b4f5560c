// The client of the API. Its addresses are relative to this page, whatever stage or path prefixes both.

import type {
  AcceptedTask,
  Changes,
  DeadLetters,
  NewUpload,
  ProblemBody,
  Redrive,
  Redriven,
  Stats,
  Submission,
  Task,
  TaskPage,
  Upload,
  Worker,
  Workers,
} from "./types";

/** An error response of the API. Status 0 means that there was no response, or that the page itself found the error. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly requestId?: string,
  ) {
    super(detail);
  }

  static from(error: unknown): Problem {
    if (error instanceof Problem) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new Problem(0, "The API is not responding", `Check the network, then try again. (${message})`);
  }
}

/** The API holds a response for at most 20 s, and ends a request after 25 s. */
const REQUEST_TIMEOUT_MS = 35_000;

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export class Client {
  constructor(
    readonly token: string,
    /** Called when the API no longer accepts the token. */
    private readonly onUnauthorized: () => void = () => {},
  ) {}

  task(id: string, signal?: AbortSignal): Promise<Task> {
    return this.request("GET", `v1/tasks/${encodeURIComponent(id)}`, { signal });
  }

  tasks(query: URLSearchParams, signal?: AbortSignal): Promise<TaskPage> {
    return this.request("GET", `v1/tasks?${query}`, { signal });
  }

  /** The key makes the request idempotent: a repeat after a lost response creates no second task. */
  submit(submission: Submission, key: string): Promise<AcceptedTask> {
    return this.request("POST", "v1/tasks", {
      body: submission,
      headers: { "Idempotency-Key": key },
      isLarge: true,
    });
  }

  cancel(id: string): Promise<Task> {
    return this.request("POST", `v1/tasks/${encodeURIComponent(id)}/cancel`);
  }

  retry(id: string): Promise<Task> {
    return this.request("POST", `v1/tasks/${encodeURIComponent(id)}/retry`);
  }

  stats(signal?: AbortSignal): Promise<Stats> {
    return this.request("GET", "v1/stats", { signal });
  }

  async workers(signal?: AbortSignal): Promise<Worker[]> {
    const { workers } = await this.request<Workers>("GET", "v1/workers", { signal });
    return workers;
  }

  /**
   * The changes after a cursor. The API holds the response for up to `wait` seconds until there is a change. Without a
   * cursor the response has no changes, but the cursor of the present.
   */
  changes(after: string | undefined, wait = 0, signal?: AbortSignal): Promise<Changes> {
    const query = after === undefined ? "" : `?after=${encodeURIComponent(after)}&wait=${wait}`;
    return this.request("GET", `v1/changes${query}`, { signal });
  }

  deadLetters(cursor?: string, signal?: AbortSignal): Promise<DeadLetters> {
    const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return this.request("GET", `v1/dead-letters?limit=50${query}`, { signal });
  }

  redrive(which: Redrive): Promise<Redriven> {
    return this.request("POST", "v1/dead-letters/redrive", { body: which });
  }

  createUpload(upload: NewUpload): Promise<Upload> {
    return this.request("POST", "v1/uploads", { body: upload });
  }

  private async request<T>(
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
      /** A large body has no time limit: a slow network may need minutes for it. */
      isLarge?: boolean;
    } = {},
  ): Promise<T> {
    const init: RequestInit = { method, headers: { "X-Service-Token": this.token, ...headers } };
    const signals = [signal, isLarge ? undefined : AbortSignal.timeout(REQUEST_TIMEOUT_MS)].filter((one) => !!one);
    if (signals.length > 0) init.signal = AbortSignal.any(signals);
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { ...init.headers, "Content-Type": "application/json" };
    }
    let response: Response;
    try {
      response = await fetch(new URL(path, document.baseURI), init);
    } catch (error) {
      throw isAbort(error) ? error : Problem.from(error);
    }
    if (response.ok) return (await response.json()) as T;
    if (response.status === 401) this.onUnauthorized();
    throw await problem(response);
  }
}

async function problem(response: Response): Promise<Problem> {
  // A proxy's error response may be HTML.
  const body = (await response.json().catch(() => ({}))) as Partial<ProblemBody>;
  const title = body.title ?? `The API answered ${response.status}`;
  const id = body.request_id ?? response.headers.get("x-request-id") ?? undefined;
  return new Problem(response.status, title, body.detail ?? "Try again in a few seconds.", id);
}
