// Merging of pages and changes into the list: no task is listed twice or lost, and the newest is first.

import { expect, test } from "@playwright/test";

import type { Change, TaskSummary } from "../src/api/types";
import { appendPage, applyChanges, replaceNewest } from "../src/live/merge";
import { mockTask as task, mockTasks as tasks } from "./mockApi";

const ids = (of: TaskSummary[]) => of.map(({ id }) => Number(id.slice(-12)));
const rows = (of: TaskSummary[]) => ({ tasks: of, cursor: "c", isLoaded: true, isComplete: false });

test("the next page adds no task twice", () => {
  expect(ids(appendPage(tasks(9, 5), tasks(6, 2)))).toEqual([9, 8, 7, 6, 5, 4, 3, 2]);
});

test("the newest page replaces the part of the list that it covers", () => {
  const fresh = replaceNewest(rows(tasks(9, 1)), tasks(11, 7), "d");
  expect(ids(fresh.tasks)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(fresh.cursor).toBe("c");
});

test("a task that no longer matches the filters leaves the list", () => {
  const fresh = replaceNewest(rows(tasks(9, 1)), [task(9), task(7), task(6)], "d");
  expect(ids(fresh.tasks)).toEqual([9, 7, 6, 5, 4, 3, 2, 1]);
});

test("more new tasks than a page has leave no gap in the list", () => {
  const fresh = replaceNewest(rows(tasks(9, 1)), tasks(30, 26), "d");
  expect(ids(fresh.tasks)).toEqual([30, 29, 28, 27, 26]);
  expect(fresh.cursor).toBe("d");
  expect(fresh.isComplete).toBe(false);
});

test("a page without a cursor is the whole list", () => {
  const fresh = replaceNewest(rows(tasks(9, 1)), tasks(3, 2), undefined);
  expect(ids(fresh.tasks)).toEqual([3, 2]);
  expect(fresh.isComplete).toBe(true);
});

test("an empty page that others follow removes nothing", () => {
  const before = rows(tasks(9, 1));
  expect(replaceNewest(before, [], "d")).toEqual(before);
});

test("a complete list stays complete after a refresh", () => {
  const before = { ...rows(tasks(9, 1)), cursor: undefined, isComplete: true };
  const fresh = replaceNewest(before, tasks(10, 1), "d");
  expect(ids(fresh.tasks)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(fresh.isComplete).toBe(true);
});

test("a page that reaches further than the list sets the cursor", () => {
  const fresh = replaceNewest(rows(tasks(9, 5)), tasks(10, 3), "d");
  expect(ids(fresh.tasks)).toEqual([10, 9, 8, 7, 6, 5, 4, 3]);
  expect(fresh.cursor).toBe("d");
});

test("a task leaves the list when its new status does not match the filter", () => {
  const change = { cursor: "1", type: "sentiment", previous_status: null, generation: 1, attempt: 1 } as const;
  const updated_at = "2026-01-31T12:00:01Z";
  const changes = [{ ...change, id: task(2).id, status: "completed", updated_at } as const];
  expect(ids(applyChanges(tasks(3, 1), changes, "status=pending&type=sentiment"))).toEqual([3, 1]);
  expect(ids(applyChanges(tasks(3, 1), changes, "type=sentiment"))).toEqual([3, 2, 1]);
});

test("a task shows the last of its changes", () => {
  const change = (at: number, status: Change["status"], attempt: number): Change => ({
    cursor: "1",
    id: task(at).id,
    type: "sentiment",
    status,
    previous_status: null,
    generation: 1,
    attempt,
    updated_at: "2026-01-31T12:00:01Z",
  });
  const found = applyChanges(
    tasks(3, 1),
    [change(2, "processing", 1), change(2, "completed", 1), change(3, "removed", 0)],
    "",
  );
  expect(found.map(({ status }) => status)).toEqual(["completed", "pending"]);
});

test("a change that is older than the listed task is ignored, compared as a time and not as text", () => {
  const row = { ...task(1, "completed"), updated_at: "2026-01-31T12:00:01.5Z" };
  const change = {
    cursor: "1",
    id: row.id,
    type: "sentiment",
    previous_status: null,
    generation: 1,
    attempt: 1,
  } as const;
  const at = (updated_at: string) => applyChanges([row], [{ ...change, status: "processing", updated_at }], "");
  // "1Z" is less than "1.5Z", and sorts after it.
  expect(at("2026-01-31T12:00:01Z")).toEqual([row]);
  expect(at("2026-01-31T12:00:01.56Z").map(({ status }) => status)).toEqual(["processing"]);
  const removed = { ...change, status: "removed", updated_at: "2026-01-31T12:00:01Z" } as const;
  expect(applyChanges([row], [removed], "")).toEqual([]);
});
