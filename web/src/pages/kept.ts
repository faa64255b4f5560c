// The list as it was left for one of its tasks, so that Back leads to where one was. It follows what happens meanwhile.

import type { Feed } from "../live/feed";
import { type Listed, patched } from "./merge";

export interface Left {
  filters: string;
  listed: Listed;
  /** How far down the window was, in CSS pixels. */
  scroll: number;
  /** The task that it was left for. */
  task: string | undefined;
}

export class Kept {
  private left: Left | undefined;

  constructor(feed: Feed) {
    feed.listen({
      changed: (changes) => {
        if (!this.left) return;
        const { listed, filters } = this.left;
        this.left.listed = { ...listed, tasks: patched(listed.tasks, changes, filters) };
      },
      missed: () => {
        this.left = undefined;
      },
    });
  }

  leave(left: Left): void {
    this.left = left;
  }

  under(filters: string): Left | undefined {
    return this.left?.filters === filters ? this.left : undefined;
  }
}
