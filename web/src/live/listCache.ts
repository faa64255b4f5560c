// Remembers the list that a user left for a task, so that Back restores it. The feed's changes keep it up to date.

import type { Feed } from "./feed";
import { type TaskRows, applyChanges } from "./merge";

export interface SavedPosition {
  filters: string;
  rows: TaskRows;
  /** The window's scroll position, in CSS pixels. */
  scroll: number;
  /** The id of the task that the list was left for, if it was left for one. */
  task: string | undefined;
}

export class ListCache {
  private saved: SavedPosition | undefined;

  constructor(feed: Feed) {
    feed.listen({
      changed: (changes) => {
        if (!this.saved) return;
        const { rows, filters } = this.saved;
        this.saved.rows = { ...rows, tasks: applyChanges(rows.tasks, changes, filters) };
      },
      missed: () => {
        this.saved = undefined;
      },
    });
  }

  save(position: SavedPosition): void {
    this.saved = position;
  }

  /** The saved position, if it belongs to a list with these filters. */
  restore(filters: string): SavedPosition | undefined {
    return this.saved?.filters === filters ? this.saved : undefined;
  }
}
