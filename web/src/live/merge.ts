// Merges what arrives into a list of tasks, newest first: the next page, a new read of the first page, and changes.

import type { Change, TaskSummary } from "../api/types";

/** The tasks that are loaded so far. */
export interface TaskRows {
  tasks: TaskSummary[];
  /** The cursor of the next page; undefined before the first page and after the last. */
  cursor: string | undefined;
  /** Whether the first page is loaded. */
  isLoaded: boolean;
  /** Whether no page follows. */
  isComplete: boolean;
}

/** Adds the next page below the tasks. A refresh may have listed some of its tasks already. */
export function appendPage(tasks: TaskSummary[], page: TaskSummary[]): TaskSummary[] {
  const known = new Set(tasks.map((task) => task.id));
  return [...tasks, ...page.filter((task) => !known.has(task.id))];
}

/** Replaces the newest part of the list by a new read of the first page. Ids are ordered by time. */
export function replaceNewest(before: TaskRows, page: TaskSummary[], cursor: string | undefined): TaskRows {
  const last = page.at(-1);
  if (cursor === undefined) return { ...before, tasks: page, cursor, isComplete: true };
  // None of the newest tasks matches the filters. Older ones may.
  if (!last) return before;
  const end = before.tasks.at(-1);
  // Either the page reaches further than the list did, or there are more new tasks than were read. Scrolling then loads
  // what follows the page.
  if (!end || last.id < end.id || hasGap(before.tasks, page)) {
    return { ...before, tasks: page, cursor, isComplete: false };
  }
  const older = before.tasks.filter((task) => task.id < last.id);
  return { ...before, tasks: [...page, ...older] };
}

/** Whether there may be tasks between the page of newest tasks and the list. */
export function hasGap(tasks: TaskSummary[], page: TaskSummary[]): boolean {
  const [first, last] = [tasks[0], page.at(-1)];
  return first !== undefined && last !== undefined && first.id < last.id;
}

/**
 * Applies changes to a list with these filters. A task whose new status does not match them leaves the list. A change
 * that is older than the listed task is ignored: responses and changes may overtake each other.
 */
export function applyChanges(tasks: TaskSummary[], changes: Change[], filters: string): TaskSummary[] {
  const filter = new URLSearchParams(filters).get("status");
  const last = new Map(changes.map((change) => [change.id, change]));
  if (!tasks.some((task) => last.has(task.id))) return tasks;
  return tasks.flatMap((task) => {
    const change = last.get(task.id);
    if (!change) return [task];
    if (change.status === "removed") return [];
    // Not compared as text: the API omits zeros at the end of a fraction.
    if (Date.parse(change.updated_at) < Date.parse(task.updated_at)) return [task];
    if (filter !== null && change.status !== filter) return [];
    const { status, generation, attempt, updated_at } = change;
    return [{ ...task, status, generation, attempt, updated_at }];
  });
}
