// The list while its responses are slow, empty or lost, and while rows leave it.

import type { Page } from "@playwright/test";

import { gate, mockChanges, mockList, mockTask, mockTasks } from "./mockApi";
import { expect, signIn, test } from "./stack";

const rows = (page: Page) => page.getByRole("list", { name: "Tasks" }).getByRole("listitem");
const row = (page: Page, at: number) => rows(page).filter({ hasText: mockTask(at).id.slice(-8) });

/** Signs in, and waits until the page receives changes. */
async function openList(page: Page, hash = "#/tasks"): Promise<void> {
  await signIn(page, hash);
  await expect(page.locator(".live")).toHaveText("Live");
  await expect(rows(page).first()).toBeVisible();
}

test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("at most one refresh runs at a time, and another follows if a change arrived meanwhile", async ({
  dashboard: page,
}) => {
  await page.clock.install();
  await page.route(/\/v1\/barrier$/, (route) => route.fulfill({ body: "" }));
  const { emit } = await mockChanges(page);
  const answers = gate();
  let tasks = [mockTask(1)];
  let [reads, maxReads] = [0, 0];
  await mockList(page, async () => {
    reads += 1;
    maxReads = Math.max(maxReads, reads);
    const answer = { tasks };
    await answers.passed();
    reads -= 1;
    return answer;
  });
  await openList(page);
  answers.close();
  emit(mockTask(1, "pending", 1), "pending");
  await expect.poll(() => reads).toBe(1);
  tasks = [mockTask(2), mockTask(1, "processing", 2)];
  emit(mockTask(1, "processing", 2), "processing");
  await expect(row(page, 1)).toContainText("Processing");
  await page.clock.fastForward(1_100);
  // This request follows all earlier requests of the page.
  await page.evaluate(() => fetch("v1/barrier"));
  answers.open();
  await expect(row(page, 2)).toBeVisible();
  await expect(row(page, 1)).toContainText("Processing");
  expect(maxReads, "reads at once").toBe(1);
});

test("Try again after a failed refresh lists the newest tasks first", async ({ dashboard: page }) => {
  const { emit } = await mockChanges(page);
  let newest = [mockTask(2)];
  let isDown = false;
  await mockList(page, (cursor) => {
    if (isDown) return "down";
    return cursor === null ? { tasks: newest, next_cursor: "next" } : { tasks: [mockTask(1)] };
  });
  await openList(page);
  await expect(page.getByText("2 tasks")).toBeVisible();
  isDown = true;
  emit(mockTask(1, "pending", 1), "pending");
  const alert = page.getByRole("alert").filter({ hasText: "not responding" });
  await expect(alert).toBeVisible();
  isDown = false;
  newest = [mockTask(3), mockTask(2)];
  await alert.getByRole("button", { name: "Try again" }).focus();
  await page.keyboard.press("Enter");
  await expect(rows(page)).toContainText([3, 2, 1].map((at) => mockTask(at).id.slice(-8)));
  await expect(page.getByText("3 tasks")).toBeVisible();
  await expect(alert).toHaveCount(0);
  await expect(page.locator("main"), "the button is gone").toBeFocused();
});

test("a next page that a refresh has overtaken is read again", async ({ dashboard: page }) => {
  const { emit } = await mockChanges(page);
  const answers = gate();
  answers.close();
  let newest = { tasks: mockTasks(200, 101), next_cursor: "before" };
  const cursors: (string | null)[] = [];
  await mockList(page, async (cursor) => {
    cursors.push(cursor);
    if (cursor === null) return newest;
    if (cursor === "before") await answers.passed();
    return { tasks: mockTasks(cursor === "before" ? 100 : 99, 1) };
  });
  await openList(page);
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await expect.poll(() => cursors).toContain("before");
  newest = { tasks: mockTasks(200, 100), next_cursor: "after" };
  emit(mockTask(200, "pending", 1), "pending");
  await expect(page.locator('li[aria-setsize="101"]').first()).toBeAttached();
  answers.open();
  await expect(page.getByText("200 tasks")).toBeVisible();
  expect(cursors).toContain("after");
});

test("a change that arrives while its task is being read is not undone", async ({ dashboard: page }) => {
  const { emit } = await mockChanges(page);
  const answers = gate();
  answers.close();
  let newest = mockTask(2);
  let reads = 0;
  await mockList(page, async (cursor) => {
    if (cursor === null) return { tasks: [newest], next_cursor: "next" };
    reads += 1;
    await answers.passed();
    return { tasks: [mockTask(1)] };
  });
  await openList(page);
  await expect.poll(() => reads).toBe(1);
  emit(mockTask(1, "completed", 1), "completed");
  newest = mockTask(2, "processing", 1);
  emit(newest, "processing");
  await expect(row(page, 2)).toContainText("Processing");
  answers.open();
  await expect(row(page, 1)).toContainText("Completed");
});

test("after missed changes, a refresh of a filtered list reads past an empty page", async ({ dashboard: page }) => {
  const { expire } = await mockChanges(page);
  let isLater = false;
  await mockList(page, (cursor) => {
    if (!isLater) return { tasks: [mockTask(1)] };
    return cursor === null ? { tasks: [], next_cursor: "next" } : { tasks: [mockTask(5), mockTask(1)] };
  });
  await openList(page, "#/tasks?priority=normal");
  isLater = true;
  expire();
  await expect(row(page, 5)).toBeVisible();
});

test("a task that no longer matches the filter leaves the list, also far down", async ({ dashboard: page }) => {
  const { emit } = await mockChanges(page);
  await mockList(page, (cursor) =>
    cursor === null ? { tasks: mockTasks(120, 21), next_cursor: "next" } : { tasks: mockTasks(20, 1) },
  );
  await openList(page, "#/tasks?status=pending");
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await expect(row(page, 21)).toBeVisible();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await expect(row(page, 3)).toBeVisible();
  // The refresh reads the newest page only, which does not have the task: the change alone removes it.
  emit(mockTask(3, "cancelled", 1), "cancelled");
  await expect(row(page, 3)).toHaveCount(0);
  await expect(row(page, 2)).toHaveAttribute("aria-setsize", "119");
});

test("the focus moves from a row that leaves the list to its neighbour, which then does not move", async ({
  dashboard: page,
}) => {
  const { emit } = await mockChanges(page);
  let tasks = mockTasks(60, 1);
  await mockList(page, () => ({ tasks }));
  await openList(page);
  await page.evaluate(() => window.scrollTo(0, 1_200));
  await row(page, 30).getByRole("link").focus();
  tasks = tasks.filter(({ id }) => id !== mockTask(30).id);
  emit(mockTask(30), "removed");
  const neighbour = row(page, 29).getByRole("link");
  await expect(neighbour).toBeFocused();
  const before = await neighbour.boundingBox();
  tasks = [...mockTasks(70, 61), ...tasks];
  emit(mockTask(70), "pending");
  await expect(row(page, 29)).toHaveAttribute("aria-setsize", "69");
  await expect(neighbour).toBeFocused();
  expect((await neighbour.boundingBox())?.y).toBeCloseTo(before?.y ?? 0, 0);
  await page.keyboard.press("ArrowDown");
  await expect(row(page, 28).getByRole("link")).toBeFocused();
});

test("visible rows do not move after Back from a task that was removed", async ({ dashboard: page }) => {
  const { emit } = await mockChanges(page);
  let tasks = mockTasks(60, 1);
  await mockList(page, () => ({ tasks }));
  await openList(page);
  await page.evaluate(() => window.scrollTo(0, 1_200));
  await row(page, 30).getByRole("link").click();
  await expect(page.getByRole("alert")).toContainText("Task not found");
  tasks = tasks.filter(({ id }) => id !== mockTask(30).id);
  const reload = page.waitForRequest((request) => request.url().endsWith(mockTask(30).id));
  emit(mockTask(30), "removed");
  await reload;
  await page.getByRole("link", { name: "← Tasks" }).click();
  await expect(row(page, 29)).toBeInViewport();
  const before = await row(page, 29).boundingBox();
  tasks = [...mockTasks(70, 61), ...tasks];
  emit(mockTask(70), "pending");
  await expect(row(page, 29)).toHaveAttribute("aria-setsize", "69");
  expect((await row(page, 29).boundingBox())?.y).toBeCloseTo(before?.y ?? 0, 0);
});
