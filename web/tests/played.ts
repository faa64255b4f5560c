// A list and what happens to its tasks, played between the page and the network: as slow, empty or lost as a test
// wants it.

import type { Page } from "@playwright/test";

import type { Change, TaskPage, TaskSummary } from "../src/api/types";

/** Of a task, what a change tells besides its status. */
type Step = Pick<TaskSummary, "id" | "type" | "generation" | "attempt" | "updated_at">;

/** A task that stands so many above the oldest; a later step of it was written so many seconds later. */
export function played(at: number, status: TaskSummary["status"] = "pending", seconds = 0): TaskSummary {
  return {
    id: `019a0000-0000-7000-8000-${String(at).padStart(12, "0")}`,
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

/** From the newest down. */
export function playedMany(from: number, to: number): TaskSummary[] {
  return Array.from({ length: from - to + 1 }, (_, at) => played(from - at));
}

/** Answers for the list; "down" is nobody there. */
export async function playTasks(
  page: Page,
  answer: (cursor: string | null) => TaskPage | "down" | Promise<TaskPage>,
): Promise<void> {
  await page.route(/\/v1\/tasks\?/, async (route) => {
    const told = await answer(new URL(route.request().url()).searchParams.get("cursor"));
    await (told === "down" ? route.abort("blockedbyclient") : route.fulfill({ json: told }));
  });
}

/** Answers for the log of changes: with what is told from here on, or once that what came meanwhile is lost. */
export async function playChanges(page: Page) {
  const log: Change[] = [];
  const waiting = new Set<() => void>();
  let isLost = false;
  await page.route(/\/v1\/changes/, async (route) => {
    const after = new URL(route.request().url()).searchParams.get("after");
    if (after === null) return route.fulfill({ json: { changes: [], next: String(log.length) } });
    if (log.length === Number(after) && !isLost) await new Promise<void>((wake) => waiting.add(wake));
    if (!isLost) return route.fulfill({ json: { changes: log.slice(Number(after)), next: String(log.length) } });
    isLost = false;
    return route.fulfill({ status: 410, json: { title: "Gone", status: 410, detail: "Gone" } });
  });
  const wake = () => {
    waiting.forEach((one) => one());
    waiting.clear();
  };
  return {
    tell(task: Step, status: Change["status"]): void {
      const { id, type, generation, attempt, updated_at } = task;
      const cursor = String(log.length + 1);
      log.push({ cursor, id, type, status, previous_status: null, generation, attempt, updated_at });
      wake();
    },
    lose(): void {
      isLost = true;
      wake();
    },
  };
}

/** A gate that is open until it is shut. */
export function gate() {
  let open = () => {};
  let shut: Promise<void> | undefined;
  return {
    shut: () => {
      shut = new Promise((done) => {
        open = done;
      });
    },
    open: () => open(),
    passed: async () => shut,
  };
}
