// The stack's counters over the time that the page has been open: the API tells how things stand, the page remembers.

import type { Client } from "../api/client";
import type { Stats, Worker } from "../api/types";

/** Between two looks at the counters. Each costs a read of one item and a question to each queue. */
const STATS_MS = 5_000;
/** The workers' figures are a minute old at best. */
const WORKERS_MS = 15_000;
/** Half an hour. */
const MOST_SAMPLES = 360;

export interface Sample {
  at: number;
  stats: Stats;
  running: Record<string, number>;
}

export interface Seen {
  samples: readonly Sample[];
  workers: readonly Worker[];
  /** Whether the last look failed: what is shown is older than it looks. */
  isStale: boolean;
}

export class Telemetry {
  seen: Seen = { samples: [], workers: [], isStale: false };
  private readonly listeners = new Set<() => void>();
  private readonly end = new AbortController();
  private timers: number[] = [];
  private isAsking = false;

  constructor(private readonly client: Client) {}

  start(): void {
    void this.lookAtWorkers().then(() => this.look());
    this.timers = [
      window.setInterval(() => void this.look(), STATS_MS),
      window.setInterval(() => void this.lookAtWorkers(), WORKERS_MS),
    ];
  }

  stop(): void {
    this.timers.forEach((timer) => window.clearInterval(timer));
    this.end.abort();
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Looks at once, out of turn: something has changed. */
  async look(): Promise<void> {
    if (document.hidden || this.isAsking) return;
    this.isAsking = true;
    try {
      const stats = await this.client.stats(this.end.signal);
      const running = Object.fromEntries(this.seen.workers.map((worker) => [worker.name, worker.running]));
      const samples = [...this.seen.samples, { at: Date.now(), stats, running }].slice(-MOST_SAMPLES);
      this.set({ ...this.seen, samples, isStale: false });
    } catch {
      if (!this.end.signal.aborted) this.set({ ...this.seen, isStale: true });
    } finally {
      this.isAsking = false;
    }
  }

  private async lookAtWorkers(): Promise<void> {
    if (document.hidden) return;
    try {
      this.set({ ...this.seen, workers: await this.client.workers(this.end.signal) });
    } catch {
      if (!this.end.signal.aborted) this.set({ ...this.seen, isStale: true });
    }
  }

  private set(seen: Seen): void {
    this.seen = seen;
    this.listeners.forEach((listener) => listener());
  }
}
