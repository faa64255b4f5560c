// Records the stack's counters for as long as the page is open. The API returns only their present values.

import type { Client } from "../api/client";
import type { Stats, Worker } from "../api/types";

/** The interval between two reads of the counters. Each costs the API one item read and one request per queue. */
const STATS_INTERVAL_MS = 5_000;
/** The workers' metrics have a resolution of one minute. */
const WORKERS_INTERVAL_MS = 15_000;
/** The number of points that a chart has at most, however long the page is open. */
const MAX_SAMPLES = 480;

export interface Sample {
  at: number;
  stats: Stats;
  /** How many tasks each worker runs, by the worker's name. */
  running: Record<string, number>;
}

export interface Snapshot {
  samples: readonly Sample[];
  /** Null until the first response. */
  workers: readonly Worker[] | null;
  /** Whether the last read of the counters or of the workers failed, so that older values are shown. */
  isStale: boolean;
}

export class Telemetry {
  snapshot: Snapshot = { samples: [], workers: null, isStale: false };
  private readonly listeners = new Set<() => void>();
  private readonly stopped = new AbortController();
  private timers: number[] = [];
  private isReading = false;
  private readonly failed = { stats: false, workers: false };

  constructor(private readonly client: Client) {}

  start(): void {
    void this.readWorkers().then(() => this.readStats());
    this.timers = [
      window.setInterval(() => void this.readStats(), STATS_INTERVAL_MS),
      window.setInterval(() => void this.readWorkers(), WORKERS_INTERVAL_MS),
    ];
  }

  stop(): void {
    this.timers.forEach((timer) => window.clearInterval(timer));
    this.stopped.abort();
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Reads the counters now. The page calls this between two intervals when tasks have changed. */
  async readStats(): Promise<void> {
    if (document.hidden || this.isReading) return;
    this.isReading = true;
    try {
      const stats = await this.client.stats(this.stopped.signal);
      const running = Object.fromEntries((this.snapshot.workers ?? []).map((worker) => [worker.name, worker.running]));
      this.failed.stats = false;
      this.update({ samples: downsample([...this.snapshot.samples, { at: Date.now(), stats, running }]) });
    } catch {
      this.fail("stats");
    } finally {
      this.isReading = false;
    }
  }

  private async readWorkers(): Promise<void> {
    if (document.hidden) return;
    try {
      const workers = await this.client.workers(this.stopped.signal);
      this.failed.workers = false;
      this.update({ workers });
    } catch {
      this.fail("workers");
    }
  }

  private fail(which: "stats" | "workers"): void {
    if (this.stopped.signal.aborted) return;
    this.failed[which] = true;
    this.update({});
  }

  private update(part: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...part, isStale: this.failed.stats || this.failed.workers };
    this.listeners.forEach((listener) => listener());
  }
}

/** Drops samples until there are at most MAX_SAMPLES. The first and the last stay, and the rest is spread evenly. */
export function downsample(samples: Sample[]): Sample[] {
  const [first, before, last] = [samples[0], samples.at(-3), samples.at(-1)];
  if (!first || !before || !last) return samples;
  // The longer the page is open, the coarser the new samples are, too.
  const gap = (2 * (last.at - first.at)) / MAX_SAMPLES;
  const spaced = last.at - before.at < gap ? [...samples.slice(0, -2), last] : samples;
  if (spaced.length <= MAX_SAMPLES) return spaced;
  return spaced.filter((_, at) => at % 2 === 0 || at === spaced.length - 1);
}
