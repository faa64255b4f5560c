// Mocks of the API's list of tasks and of its log of changes. A test decides how slow, empty or unavailable they are.

import type { Page } from "@playwright/test";

import type { Change, TaskPage, TaskSummary } from "../src/api/types";

/** The fields of a task that a change has, too. */
type ChangedTask = Pick<TaskSummary, "id" | "type" | "generation" | "attempt" | "updated_at">;

/** A task whose id is ordered by `number`: higher is newer. It was last updated `seconds` after a fixed time. */
export function mockTask(number: number, status: TaskSummary["status"] = "pending", seconds = 0): TaskSummary {
  return {
    id: `019a0000-0000-7000-8000-${String(number).padStart(12, "0")}`,
    type: "sentiment",
    size: "small",
    priority: "normal",
    status,
    metadata: {},
    generation: 1,
    attempt: 0,
    max_attempts: 3,
    created_at: "2026-01-31T12:00:00Z",
    updated_at: `2026-01-31T12:00:${String(seconds).padStart(2, "0")}Z`,
  };
}

/** The tasks from `newest` down to `oldest`. */
export function mockTasks(newest: number, oldest: number): TaskSummary[] {
  return Array.from({ length: newest - oldest + 1 }, (_, at) => mockTask(newest - at));
}

/** Answers each request for a page of the list; "down" aborts the request. */
export async function mockList(
  page: Page,
  answer: (cursor: string | null) => TaskPage | "down" | Promise<TaskPage>,
): Promise<void> {
  await page.route(/\/v1\/tasks\?/, async (route) => {
    const result = await answer(new URL(route.request().url()).searchParams.get("cursor"));
    await (result === "down" ? route.abort("blockedbyclient") : route.fulfill({ json: result }));
  });
}

/** Answers requests for changes from a log that `emit` appends to. After `expire` the next answer is 410, once. */
export async function mockChanges(page: Page) {
  const log: Change[] = [];
  const waiting = new Set<() => void>();
  let isExpired = false;
  await page.route(/\/v1\/changes/, async (route) => {
    const after = new URL(route.request().url()).searchParams.get("after");
    if (after === null) return route.fulfill({ json: { changes: [], next: String(log.length) } });
    if (log.length === Number(after) && !isExpired) await new Promise<void>((wake) => waiting.add(wake));
    if (!isExpired) return route.fulfill({ json: { changes: log.slice(Number(after)), next: String(log.length) } });
    isExpired = false;
    return route.fulfill({ status: 410, json: { title: "Gone", status: 410, detail: "Gone" } });
  });
  const wake = () => {
    waiting.forEach((one) => one());
    waiting.clear();
  };
  return {
    emit(task: ChangedTask, status: Change["status"]): void {
      const { id, type, generation, attempt, updated_at } = task;
      const cursor = String(log.length + 1);
      log.push({ cursor, id, type, status, previous_status: null, generation, attempt, updated_at });
      wake();
    },
    expire(): void {
      isExpired = true;
      wake();
    },
  };
}

/** A gate that answers can wait at. It is open at first. */
export function gate() {
  let open = () => {};
  let opened: Promise<void> | undefined;
  return {
    close: () => {
      opened = new Promise((resolve) => {
        open = resolve;
      });
    },
    open: () => open(),
    passed: async () => opened,
  };
}
