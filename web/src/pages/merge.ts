// How a list of tasks, newest first, takes up what comes: a page below it, its newest page anew, changes of its tasks.

import type { Change, TaskSummary } from "../api/types";

export interface Listed {
  tasks: TaskSummary[];
  cursor: string | undefined;
  isBegun: boolean;
  isEnd: boolean;
}

/** What is listed, with the next page below it. A task that is there already was moved by a refresh. */
export function appended(tasks: TaskSummary[], page: TaskSummary[]): TaskSummary[] {
  const known = new Set(tasks.map((task) => task.id));
  return [...tasks, ...page.filter((task) => !known.has(task.id))];
}

/** What is listed, with its newest page in place of what stood there. Ids are ordered by time. */
export function headed(before: Listed, page: TaskSummary[], cursor: string | undefined): Listed {
  const last = page.at(-1);
  if (cursor === undefined || !last) return { ...before, tasks: page, cursor, isEnd: cursor === undefined };
  const older = before.tasks.filter((task) => task.id < last.id);
  const first = before.tasks[0];
  // More has come than a page holds: what lies between is read as one scrolls.
  if (!first || (older.length === before.tasks.length && first.id < last.id)) {
    return { ...before, tasks: page, cursor, isEnd: false };
  }
  if (older.length === 0) return { ...before, tasks: page, cursor, isEnd: false };
  return { ...before, tasks: [...page, ...older] };
}

/** What is listed, with the changes in it. */
export function patched(tasks: TaskSummary[], changes: Change[]): TaskSummary[] {
  const last = new Map(changes.map((change) => [change.id, change]));
  if (!tasks.some((task) => last.has(task.id))) return tasks;
  return tasks.flatMap((task) => {
    const change = last.get(task.id);
    if (!change) return [task];
    if (change.status === "removed") return [];
    const { status, generation, attempt, updated_at } = change;
    return [{ ...task, status, generation, attempt, updated_at }];
  });
}
