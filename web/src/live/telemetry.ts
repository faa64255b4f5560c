// The stack's counters over the time that the page has been open: the API tells how things stand, the page remembers.

import type { Client } from "../api/client";
import type { Stats, Worker } from "../api/types";

/** Between two looks at the counters. Each costs a read of one item and a question to each queue. */
const STATS_MS = 5_000;
/** The workers' figures are a minute old at best. */
const WORKERS_MS = 15_000;
/** So many points a chart has at most, however long the page is open. */
const MOST_SAMPLES = 480;

export interface Sample {
  at: number;
  stats: Stats;
  running: Record<string, number>;
}

export interface Seen {
  samples: readonly Sample[];
  /** None until they were told. */
  workers: readonly Worker[] | null;
  /** Whether the last look at either failed: what is shown is older than it looks. */
  isStale: boolean;
}

export class Telemetry {
  seen: Seen = { samples: [], workers: null, isStale: false };
  private readonly listeners = new Set<() => void>();
  private readonly end = new AbortController();
  private timers: number[] = [];
  private isAsking = false;
  private readonly failed = { stats: false, workers: false };

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
      const running = Object.fromEntries((this.seen.workers ?? []).map((worker) => [worker.name, worker.running]));
      this.failed.stats = false;
      this.set({ samples: thinned([...this.seen.samples, { at: Date.now(), stats, running }]) });
    } catch {
      this.fail("stats");
    } finally {
      this.isAsking = false;
    }
  }

  private async lookAtWorkers(): Promise<void> {
    if (document.hidden) return;
    try {
      const workers = await this.client.workers(this.end.signal);
      this.failed.workers = false;
      this.set({ workers });
    } catch {
      this.fail("workers");
    }
  }

  private fail(which: "stats" | "workers"): void {
    if (this.end.signal.aborted) return;
    this.failed[which] = true;
    this.set({});
  }

  private set(news: Partial<Seen>): void {
    this.seen = { ...this.seen, ...news, isStale: this.failed.stats || this.failed.workers };
    this.listeners.forEach((listener) => listener());
  }
}

/** The samples without as many as need be: the first and the last stay, and no part of the time is without any. */
export function thinned(samples: Sample[]): Sample[] {
  const [first, before, last] = [samples[0], samples.at(-3), samples.at(-1)];
  if (!first || !before || !last) return samples;
  // As time goes by, the present is told less finely too.
  const gap = (2 * (last.at - first.at)) / MOST_SAMPLES;
  const kept = last.at - before.at < gap ? [...samples.slice(0, -2), last] : samples;
  if (kept.length <= MOST_SAMPLES) return kept;
  return kept.filter((_, at) => at % 2 === 0 || at === kept.length - 1);
}
