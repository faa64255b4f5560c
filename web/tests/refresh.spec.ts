// The list while its answers are slow, empty or lost, and while rows leave it.

import type { Page } from "@playwright/test";

import { gate, playChanges, playTasks, played, playedMany } from "./played";
import { expect, signIn, test } from "./stack";

const rows = (page: Page) => page.getByRole("list", { name: "Tasks" }).getByRole("listitem");
const row = (page: Page, at: number) => rows(page).filter({ hasText: played(at).id.slice(-8) });

/** Signs in, and waits until changes are followed. */
async function follow(page: Page, hash = "#/tasks"): Promise<void> {
  await signIn(page, hash);
  await expect(page.locator(".live")).toHaveText("Live");
  await expect(rows(page).first()).toBeVisible();
}

test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("the newest page is read once at a time, and again if something came meanwhile", async ({ dashboard: page }) => {
  await page.clock.install();
  await page.route(/\/v1\/barrier$/, (route) => route.fulfill({ body: "" }));
  const { tell } = await playChanges(page);
  const answers = gate();
  let tasks = [played(1)];
  let [reads, most] = [0, 0];
  await playTasks(page, async () => {
    reads += 1;
    most = Math.max(most, reads);
    const answer = { tasks };
    await answers.passed();
    reads -= 1;
    return answer;
  });
  await follow(page);
  answers.shut();
  tell(played(1, "pending", 1), "pending");
  await expect.poll(() => reads).toBe(1);
  tasks = [played(2), played(1, "processing", 2)];
  tell(played(1, "processing", 2), "processing");
  await expect(row(page, 1)).toContainText("Processing");
  await page.clock.fastForward(1_100);
  // Whatever the page has asked by then has come here.
  await page.evaluate(() => fetch("v1/barrier"));
  answers.open();
  await expect(row(page, 2)).toBeVisible();
  await expect(row(page, 1)).toContainText("Processing");
  expect(most, "reads at once").toBe(1);
});

test("whoever tries again after a refresh that failed has the newest on top", async ({ dashboard: page }) => {
  const { tell } = await playChanges(page);
  let newest = [played(2)];
  let isDown = false;
  await playTasks(page, (cursor) => {
    if (isDown) return "down";
    return cursor === null ? { tasks: newest, next_cursor: "next" } : { tasks: [played(1)] };
  });
  await follow(page);
  await expect(page.getByText("2 tasks")).toBeVisible();
  isDown = true;
  tell(played(1, "pending", 1), "pending");
  const told = page.getByRole("alert").filter({ hasText: "does not answer" });
  await expect(told).toBeVisible();
  isDown = false;
  newest = [played(3), played(2)];
  await told.getByRole("button", { name: "Try again" }).focus();
  await page.keyboard.press("Enter");
  await expect(rows(page)).toContainText([3, 2, 1].map((at) => played(at).id.slice(-8)));
  await expect(page.getByText("3 tasks")).toBeVisible();
  await expect(told).toHaveCount(0);
  await expect(page.locator("main"), "the button has gone").toBeFocused();
});

test("a page below that a refresh has overtaken is asked for anew by itself", async ({ dashboard: page }) => {
  const { tell } = await playChanges(page);
  const answers = gate();
  answers.shut();
  let newest = { tasks: playedMany(200, 101), next_cursor: "before" };
  const asked: (string | null)[] = [];
  await playTasks(page, async (cursor) => {
    asked.push(cursor);
    if (cursor === null) return newest;
    if (cursor === "before") await answers.passed();
    return { tasks: playedMany(cursor === "before" ? 100 : 99, 1) };
  });
  await follow(page);
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await expect.poll(() => asked).toContain("before");
  newest = { tasks: playedMany(200, 100), next_cursor: "after" };
  tell(played(200, "pending", 1), "pending");
  await expect(page.locator('li[aria-setsize="101"]').first()).toBeAttached();
  answers.open();
  await expect(page.getByText("200 tasks")).toBeVisible();
  expect(asked).toContain("after");
});

test("a change that comes while its task is being read is not undone", async ({ dashboard: page }) => {
  const { tell } = await playChanges(page);
  const answers = gate();
  answers.shut();
  let newest = played(2);
  let asked = 0;
  await playTasks(page, async (cursor) => {
    if (cursor === null) return { tasks: [newest], next_cursor: "next" };
    asked += 1;
    await answers.passed();
    return { tasks: [played(1)] };
  });
  await follow(page);
  await expect.poll(() => asked).toBe(1);
  tell(played(1, "completed", 1), "completed");
  newest = played(2, "processing", 1);
  tell(newest, "processing");
  await expect(row(page, 2)).toContainText("Processing");
  answers.open();
  await expect(row(page, 1)).toContainText("Completed");
});

test("after an absence, a filtered list is read on where a page is empty", async ({ dashboard: page }) => {
  const { lose } = await playChanges(page);
  let isLater = false;
  await playTasks(page, (cursor) => {
    if (!isLater) return { tasks: [played(1)] };
    return cursor === null ? { tasks: [], next_cursor: "next" } : { tasks: [played(5), played(1)] };
  });
  await follow(page, "#/tasks?priority=normal");
  isLater = true;
  lose();
  await expect(row(page, 5)).toBeVisible();
});

test("a task that fits the filter no more leaves the list, far down too", async ({ dashboard: page }) => {
  const { tell } = await playChanges(page);
  await playTasks(page, (cursor) =>
    cursor === null ? { tasks: playedMany(120, 21), next_cursor: "next" } : { tasks: playedMany(20, 1) },
  );
  await follow(page, "#/tasks?status=pending");
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await expect(row(page, 21)).toBeVisible();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await expect(row(page, 3)).toBeVisible();
  // The newest page, which is read anew, does not reach there: the change alone says it.
  tell(played(3, "cancelled", 1), "cancelled");
  await expect(row(page, 3)).toHaveCount(0);
  await expect(row(page, 2)).toHaveAttribute("aria-setsize", "119");
});

test("a row that leaves the list hands the focus to its neighbour, which then keeps its place", async ({
  dashboard: page,
}) => {
  const { tell } = await playChanges(page);
  let tasks = playedMany(60, 1);
  await playTasks(page, () => ({ tasks }));
  await follow(page);
  await page.evaluate(() => window.scrollTo(0, 1_200));
  await row(page, 30).getByRole("link").focus();
  tasks = tasks.filter(({ id }) => id !== played(30).id);
  tell(played(30), "removed");
  const neighbour = row(page, 29).getByRole("link");
  await expect(neighbour).toBeFocused();
  const before = await neighbour.boundingBox();
  tasks = [...playedMany(70, 61), ...tasks];
  tell(played(70), "pending");
  await expect(row(page, 29)).toHaveAttribute("aria-setsize", "69");
  await expect(neighbour).toBeFocused();
  expect((await neighbour.boundingBox())?.y).toBeCloseTo(before?.y ?? 0, 0);
  await page.keyboard.press("ArrowDown");
  await expect(row(page, 28).getByRole("link")).toBeFocused();
});

test("what one reads keeps its place though the task that one comes back from is gone", async ({ dashboard: page }) => {
  const { tell } = await playChanges(page);
  let tasks = playedMany(60, 1);
  await playTasks(page, () => ({ tasks }));
  await follow(page);
  await page.evaluate(() => window.scrollTo(0, 1_200));
  await row(page, 30).getByRole("link").click();
  await expect(page.getByRole("alert")).toContainText("Task not found");
  tasks = tasks.filter(({ id }) => id !== played(30).id);
  const heard = page.waitForRequest((request) => request.url().endsWith(played(30).id));
  tell(played(30), "removed");
  await heard;
  await page.getByRole("link", { name: "← Tasks" }).click();
  await expect(row(page, 29)).toBeInViewport();
  const before = await row(page, 29).boundingBox();
  tasks = [...playedMany(70, 61), ...tasks];
  tell(played(70), "pending");
  await expect(row(page, 29)).toHaveAttribute("aria-setsize", "69");
  expect((await row(page, 29).boundingBox())?.y).toBeCloseTo(before?.y ?? 0, 0);
});
