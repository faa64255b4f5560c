// Pages are put together as the list grows and is refreshed: no task twice, none lost, newest first.

import { expect, test } from "@playwright/test";

import type { Change, TaskSummary } from "../src/api/types";
import { appended, headed, patched } from "../src/pages/merge";
import { played as task, playedMany as tasks } from "./played";

const ids = (of: TaskSummary[]) => of.map(({ id }) => Number(id.slice(-12)));
const listed = (of: TaskSummary[]) => ({ tasks: of, cursor: "c", isBegun: true, isEnd: false });

test("a page below repeats nothing", () => {
  expect(ids(appended(tasks(9, 5), tasks(6, 2)))).toEqual([9, 8, 7, 6, 5, 4, 3, 2]);
});

test("the newest page takes the place of what stood there", () => {
  const fresh = headed(listed(tasks(9, 1)), tasks(11, 7), "d");
  expect(ids(fresh.tasks)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(fresh.cursor).toBe("c");
});

test("what fits the filters no more goes", () => {
  const fresh = headed(listed(tasks(9, 1)), [task(9), task(7), task(6)], "d");
  expect(ids(fresh.tasks)).toEqual([9, 7, 6, 5, 4, 3, 2, 1]);
});

test("no gap is left where more has come than a page holds", () => {
  const fresh = headed(listed(tasks(9, 1)), tasks(30, 26), "d");
  expect(ids(fresh.tasks)).toEqual([30, 29, 28, 27, 26]);
  expect(fresh.cursor).toBe("d");
  expect(fresh.isEnd).toBe(false);
});

test("a page that is the whole list is all there is", () => {
  const fresh = headed(listed(tasks(9, 1)), tasks(3, 2), undefined);
  expect(ids(fresh.tasks)).toEqual([3, 2]);
  expect(fresh.isEnd).toBe(true);
});

test("an empty page with more to follow takes nothing away", () => {
  const before = listed(tasks(9, 1));
  expect(headed(before, [], "d")).toEqual(before);
});

test("what was read to its end is not read again for a page of the same", () => {
  const before = { ...listed(tasks(9, 1)), cursor: undefined, isEnd: true };
  const fresh = headed(before, tasks(10, 1), "d");
  expect(ids(fresh.tasks)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(fresh.isEnd).toBe(true);
});

test("a page that reaches further than the list goes on from its own end", () => {
  const fresh = headed(listed(tasks(9, 5)), tasks(10, 3), "d");
  expect(ids(fresh.tasks)).toEqual([10, 9, 8, 7, 6, 5, 4, 3]);
  expect(fresh.cursor).toBe("d");
});

test("a task leaves a list of another status than its new one", () => {
  const change = { cursor: "1", type: "sentiment", previous_status: null, generation: 1, attempt: 1 } as const;
  const updated_at = "2026-01-31T12:00:01Z";
  const changes = [{ ...change, id: task(2).id, status: "completed", updated_at } as const];
  expect(ids(patched(tasks(3, 1), changes, "status=pending&type=sentiment"))).toEqual([3, 1]);
  expect(ids(patched(tasks(3, 1), changes, "type=sentiment"))).toEqual([3, 2, 1]);
});

test("the last of a task's changes is what it shows", () => {
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
  const found = patched(
    tasks(3, 1),
    [change(2, "processing", 1), change(2, "completed", 1), change(3, "removed", 0)],
    "",
  );
  expect(found.map(({ status }) => status)).toEqual(["completed", "pending"]);
});

test("a change that comes after an answer of later is passed over, by the time and not by its letters", () => {
  const row = { ...task(1, "completed"), updated_at: "2026-01-31T12:00:01.5Z" };
  const change = {
    cursor: "1",
    id: row.id,
    type: "sentiment",
    previous_status: null,
    generation: 1,
    attempt: 1,
  } as const;
  const at = (updated_at: string) => patched([row], [{ ...change, status: "processing", updated_at }], "");
  // "1Z" is less than "1.5Z", and sorts after it.
  expect(at("2026-01-31T12:00:01Z")).toEqual([row]);
  expect(at("2026-01-31T12:00:01.56Z").map(({ status }) => status)).toEqual(["processing"]);
  const removed = { ...change, status: "removed", updated_at: "2026-01-31T12:00:01Z" } as const;
  expect(patched([row], [removed], "")).toEqual([]);
});
