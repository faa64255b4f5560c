// What happens to the tasks, as it happens: by server-sent events where the stack streams them, else by asking
// GET /v1/changes, which holds its answer until there is something to tell.

import { type Client, Problem, isAbort } from "../api/client";
import type { Change } from "../api/types";
import { EventParser } from "./sse";

/** A stream that says nothing for so long is held back by something on its way. */
const FIRST_BYTE_MS = 4_000;
/** Three heartbeats. */
const SILENCE_MS = 45_000;
const LONGEST_REST_MS = 30_000;
/** How long the API holds an answer at most. */
const LONGEST_WAIT_S = 20;
/** Between two questions: changes that come one by one are told together. */
const BREATH_MS = 250;
/** Whoever looks elsewhere for less than this is not gone. */
const GLANCE_MS = 15_000;

export type FeedState = "connecting" | "streaming" | "polling" | "offline" | "paused";

export interface Listener {
  /** Changes, oldest first. */
  changed?(changes: Change[]): void;
  /** Changes may have been missed: whatever is shown must be read anew. */
  missed?(): void;
  state?(state: FeedState): void;
}

/** A stream that is not to be had is asked for again after so long, then half as often each time. */
const STREAM_REST_MS = 30_000;
const LONGEST_STREAM_REST_MS = 600_000;

/** There is no stream to be had: it is held back on its way, or else refused or kept from this page. */
class NoStream extends Error {
  constructor(readonly isHeldBack: boolean) {
    super();
  }
}

export class Feed {
  state: FeedState = "connecting";
  private readonly listeners = new Set<Listener>();
  private readonly end = new AbortController();
  private cursor: string | undefined;
  private events: string | undefined;
  private wake: (() => void) | undefined;
  /** Whether the last that was asked was not answered. */
  private isDown = false;
  /** What is held open at present. */
  private request = new AbortController();
  private glance: number | undefined;
  /** Whether a stream has said anything yet: then another may, after the network was gone. */
  private hasStreamed = false;
  /** Until when changes are asked for, stream or not. */
  private streamAgainAt = 0;
  private streamRest = STREAM_REST_MS;

  constructor(private readonly client: Client) {}

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    document.addEventListener("visibilitychange", this.look);
    window.addEventListener("online", this.look);
    void this.run();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.look);
    window.removeEventListener("online", this.look);
    window.clearTimeout(this.glance);
    this.end.abort();
    this.request.abort();
    this.wake?.();
  }

  private readonly look = (): void => {
    window.clearTimeout(this.glance);
    if (document.hidden) this.glance = window.setTimeout(() => this.request.abort(), GLANCE_MS);
    else this.wake?.();
  };

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.end.signal.aborted) {
      try {
        // A page that nobody looks at holds no request open: each costs as long as it is held.
        this.request = new AbortController();
        if (document.hidden) await this.pause();
        else if (this.cursor === undefined) await this.begin();
        else if (this.events !== undefined && Date.now() >= this.streamAgainAt)
          await this.stream(this.events, this.cursor);
        else await this.poll(this.cursor);
        failures = 0;
      } catch (error) {
        if (this.end.signal.aborted) return;
        if (error instanceof NoStream) {
          // Whether the page is offline shows when it asks. What lies on a stream's way and holds it back stays there.
          if (error.isHeldBack && !this.hasStreamed) this.events = undefined;
          this.streamAgainAt = Date.now() + this.streamRest;
          this.streamRest = Math.min(2 * this.streamRest, LONGEST_STREAM_REST_MS);
          continue;
        }
        // Given up because nobody looks.
        if (this.request.signal.aborted) continue;
        const problem = Problem.of(error);
        if (problem.status === 401) return;
        if (problem.status === 410) {
          this.cursor = undefined;
          continue;
        }
        this.isDown = true;
        this.tell("offline");
        failures += 1;
        await this.rest(Math.min(1_000 * 2 ** failures, LONGEST_REST_MS));
      }
    }
  }

  private async begin(): Promise<void> {
    const present = await this.client.changes(undefined, 0, this.request.signal);
    this.cursor = present.next;
    this.events = present.links?.events;
    this.isDown = false;
    this.listeners.forEach((listener) => listener.missed?.());
  }

  private async poll(after: string): Promise<void> {
    // Whether somebody answers again shows soonest where nothing is waited for.
    const wait = this.isDown ? 0 : LONGEST_WAIT_S;
    if (!this.isDown) this.tell("polling");
    const answer = await this.client.changes(after, wait, this.request.signal);
    this.cursor = answer.next;
    if (this.hasStreamed) this.events = answer.links?.events;
    this.back();
    this.tell("polling");
    this.pass(answer.changes);
    await this.rest(BREATH_MS);
  }

  private async stream(address: string, after: string): Promise<void> {
    const request = this.request;
    let isSilent = false;
    let heard = false;
    const watch = (milliseconds: number) =>
      window.setTimeout(() => {
        isSilent = !heard;
        request.abort();
      }, milliseconds);
    let timer = watch(FIRST_BYTE_MS);
    const parser = new EventParser(after);
    try {
      const headers = { "X-Service-Token": this.client.token, "Last-Event-ID": after };
      const response = await fetch(address, { headers, signal: request.signal, cache: "no-store" });
      if (!response.ok || !response.body) {
        throw new Problem(response.status, "The stream of changes is refused", "It is asked for again.");
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        heard = true;
        this.hasStreamed = true;
        this.streamRest = STREAM_REST_MS;
        window.clearTimeout(timer);
        timer = watch(SILENCE_MS);
        this.back();
        this.tell("streaming");
        const events = parser.push(value).filter((event) => event.type === "change");
        this.pass(events.map((event) => JSON.parse(event.data) as Change));
        this.cursor = events.at(-1)?.id ?? this.cursor;
      }
    } catch (error) {
      if (isSilent) throw new NoStream(true);
      if (document.hidden && isAbort(error)) throw error;
      // That changes are gone is an answer like any other.
      if (!heard) throw error instanceof Problem && error.status === 410 ? error : new NoStream(false);
    } finally {
      window.clearTimeout(timer);
    }
    // It ends by itself after some minutes, or is cut: the next goes on from there. One that says nothing is of no use.
    if (heard) await this.rest(parser.retry ?? 2_000);
    else throw new NoStream(true);
  }

  /** Somebody answers. What was asked in vain meanwhile is asked again, and so is a stream. */
  private back(): void {
    if (!this.isDown) return;
    this.isDown = false;
    this.streamAgainAt = 0;
    this.listeners.forEach((listener) => listener.missed?.());
  }

  private pass(changes: Change[]): void {
    if (changes.length > 0) this.listeners.forEach((listener) => listener.changed?.(changes));
  }

  private async pause(): Promise<void> {
    this.tell("paused");
    await new Promise<void>((wake) => {
      this.wake = wake;
    });
  }

  private async rest(milliseconds: number): Promise<void> {
    await new Promise<void>((wake) => {
      this.wake = wake;
      window.setTimeout(wake, milliseconds);
    });
  }

  private tell(state: FeedState): void {
    if (state === this.state) return;
    this.state = state;
    this.listeners.forEach((listener) => listener.state?.(state));
  }
}
