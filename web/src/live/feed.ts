// Follows the changes of tasks: by server-sent events where the stack has a stream, else by long-polling
// GET /v1/changes.

import { type Client, Problem, isAbort } from "../api/client";
import type { Change } from "../api/types";
import { EventParser } from "./sse";

/** A stream without a first byte in this time is buffered by a proxy on its way. */
const FIRST_BYTE_TIMEOUT_MS = 4_000;
/** Three heartbeats of the stream. */
const IDLE_TIMEOUT_MS = 45_000;
const MAX_RETRY_DELAY_MS = 30_000;
/** The longest time for which the API holds a response. */
const MAX_WAIT_S = 20;
/** The pause between two polls, so that one response has all changes of a burst. */
const POLL_INTERVAL_MS = 250;
/** A page that is hidden for less than this keeps its request open. */
const HIDDEN_GRACE_MS = 15_000;
/** The delay before an unavailable stream is tried again. It doubles with each failure. */
const STREAM_RETRY_MS = 30_000;
const MAX_STREAM_RETRY_MS = 600_000;

export type FeedState = "connecting" | "streaming" | "polling" | "offline" | "paused";

export interface Listener {
  /** Receives changes, oldest first. */
  changed?(changes: Change[]): void;
  /** Called when changes may have been missed: what the page shows must be read again. */
  missed?(): void;
  state?(state: FeedState): void;
}

/** The stream can't be used: a proxy buffers it, or it was refused, or the browser may not read it. */
class StreamUnavailable extends Error {
  constructor(readonly isBuffered: boolean) {
    super();
  }
}

export class Feed {
  state: FeedState = "connecting";
  private readonly listeners = new Set<Listener>();
  private readonly stopped = new AbortController();
  private cursor: string | undefined;
  /** The address of the event stream; undefined where the feed polls only. */
  private streamUrl: string | undefined;
  private wake: (() => void) | undefined;
  /** Whether the last request got no response. */
  private isDown = false;
  /** Aborts the request that is open now. */
  private request = new AbortController();
  private hiddenTimer: number | undefined;
  /** Whether any stream has delivered data: then no proxy buffers streams, and a later failure is temporary. */
  private hasStreamed = false;
  /** The time until which the feed polls although there is a stream. */
  private streamAgainAt = 0;
  private streamRetryDelay = STREAM_RETRY_MS;

  constructor(private readonly client: Client) {}

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("online", this.onVisibility);
    void this.run();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("online", this.onVisibility);
    window.clearTimeout(this.hiddenTimer);
    this.stopped.abort();
    this.request.abort();
    this.wake?.();
  }

  private readonly onVisibility = (): void => {
    window.clearTimeout(this.hiddenTimer);
    if (document.hidden) this.hiddenTimer = window.setTimeout(() => this.request.abort(), HIDDEN_GRACE_MS);
    else this.wake?.();
  };

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.stopped.signal.aborted) {
      try {
        // A hidden page holds no request open: each costs as long as it is held.
        this.request = new AbortController();
        if (document.hidden) await this.pause();
        else if (this.cursor === undefined) await this.begin();
        else if (this.streamUrl !== undefined && Date.now() >= this.streamAgainAt)
          await this.stream(this.streamUrl, this.cursor);
        else await this.poll(this.cursor);
        failures = 0;
      } catch (error) {
        if (this.stopped.signal.aborted) return;
        if (error instanceof StreamUnavailable) {
          // The next poll shows whether the page is offline. A proxy that buffers one stream buffers the next, too.
          if (error.isBuffered && !this.hasStreamed) this.streamUrl = undefined;
          this.streamAgainAt = Date.now() + this.streamRetryDelay;
          this.streamRetryDelay = Math.min(2 * this.streamRetryDelay, MAX_STREAM_RETRY_MS);
          continue;
        }
        // The page was hidden, and the request aborted.
        if (this.request.signal.aborted) continue;
        const problem = Problem.from(error);
        if (problem.status === 401) return;
        if (problem.status === 410) {
          this.cursor = undefined;
          continue;
        }
        this.isDown = true;
        this.setState("offline");
        failures += 1;
        await this.sleep(Math.min(1_000 * 2 ** failures, MAX_RETRY_DELAY_MS));
      }
    }
  }

  private async begin(): Promise<void> {
    const present = await this.client.changes(undefined, 0, this.request.signal);
    this.cursor = present.next;
    this.streamUrl = present.links?.events;
    this.isDown = false;
    this.listeners.forEach((listener) => listener.missed?.());
  }

  private async poll(after: string): Promise<void> {
    // After an outage a response without wait shows soonest that the API is back.
    const wait = this.isDown ? 0 : MAX_WAIT_S;
    if (!this.isDown) this.setState("polling");
    const answer = await this.client.changes(after, wait, this.request.signal);
    this.cursor = answer.next;
    if (this.hasStreamed) this.streamUrl = answer.links?.events;
    this.recover();
    this.setState("polling");
    this.publish(answer.changes);
    await this.sleep(POLL_INTERVAL_MS);
  }

  private async stream(address: string, after: string): Promise<void> {
    const request = this.request;
    let hasTimedOut = false;
    let hasData = false;
    const abortAfter = (milliseconds: number) =>
      window.setTimeout(() => {
        hasTimedOut = !hasData;
        request.abort();
      }, milliseconds);
    let timer = abortAfter(FIRST_BYTE_TIMEOUT_MS);
    const parser = new EventParser(after);
    try {
      const headers = { "X-Service-Token": this.client.token, "Last-Event-ID": after };
      const response = await fetch(address, { headers, signal: request.signal, cache: "no-store" });
      if (!response.ok || !response.body) {
        throw new Problem(response.status, "The stream of changes was refused", "The page will try again.");
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        hasData = true;
        this.hasStreamed = true;
        this.streamRetryDelay = STREAM_RETRY_MS;
        window.clearTimeout(timer);
        timer = abortAfter(IDLE_TIMEOUT_MS);
        this.recover();
        this.setState("streaming");
        const events = parser.push(value).filter((event) => event.type === "change");
        this.publish(events.map((event) => JSON.parse(event.data) as Change));
        this.cursor = events.at(-1)?.id ?? this.cursor;
      }
    } catch (error) {
      if (hasTimedOut) throw new StreamUnavailable(true);
      if (document.hidden && isAbort(error)) throw error;
      // Status 410 means that the changes after the cursor are deleted: `run` begins again from the present.
      if (!hasData) throw error instanceof Problem && error.status === 410 ? error : new StreamUnavailable(false);
    } finally {
      window.clearTimeout(timer);
    }
    // The stream ends after some minutes, or the network cuts it: the next one continues from the cursor.
    if (hasData) await this.sleep(parser.retry ?? 2_000);
    else throw new StreamUnavailable(true);
  }

  /** Ends an outage: the listeners repeat their requests, and the stream is tried again. */
  private recover(): void {
    if (!this.isDown) return;
    this.isDown = false;
    this.streamAgainAt = 0;
    this.listeners.forEach((listener) => listener.missed?.());
  }

  private publish(changes: Change[]): void {
    if (changes.length > 0) this.listeners.forEach((listener) => listener.changed?.(changes));
  }

  private async pause(): Promise<void> {
    this.setState("paused");
    await new Promise<void>((wake) => {
      this.wake = wake;
    });
  }

  private async sleep(milliseconds: number): Promise<void> {
    await new Promise<void>((wake) => {
      this.wake = wake;
      window.setTimeout(wake, milliseconds);
    });
  }

  private setState(state: FeedState): void {
    if (state === this.state) return;
    this.state = state;
    this.listeners.forEach((listener) => listener.state?.(state));
  }
}
