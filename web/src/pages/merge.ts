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
  if (cursor === undefined) return { ...before, tasks: page, cursor, isEnd: true };
  // Nothing that fits was among the newest: that says nothing of what stands below.
  if (!last) return before;
  const end = before.tasks.at(-1);
  // The page reaches further than the list did; or more has come than was read, and what lies between is read as one
  // scrolls.
  if (!end || last.id < end.id || hasGap(before.tasks, page)) return { ...before, tasks: page, cursor, isEnd: false };
  const older = before.tasks.filter((task) => task.id < last.id);
  return { ...before, tasks: [...page, ...older] };
}

/** Whether tasks have come between a page of the newest and what is listed. */
export function hasGap(tasks: TaskSummary[], page: TaskSummary[]): boolean {
  const [first, last] = [tasks[0], page.at(-1)];
  return first !== undefined && last !== undefined && first.id < last.id;
}

/**
 * What is listed under these filters, with the changes in it. Who has another status than they ask for goes. A change
 * may come after an answer that was already of later: it is passed over.
 */
export function patched(tasks: TaskSummary[], changes: Change[], filters: string): TaskSummary[] {
  const asked = new URLSearchParams(filters).get("status");
  const last = new Map(changes.map((change) => [change.id, change]));
  if (!tasks.some((task) => last.has(task.id))) return tasks;
  return tasks.flatMap((task) => {
    const change = last.get(task.id);
    if (!change) return [task];
    if (change.status === "removed") return [];
    // As points in time: an answer leaves zeros out at the end of a fraction.
    if (Date.parse(change.updated_at) < Date.parse(task.updated_at)) return [task];
    if (asked !== null && change.status !== asked) return [];
    const { status, generation, attempt, updated_at } = change;
    return [{ ...task, status, generation, attempt, updated_at }];
  });
}
