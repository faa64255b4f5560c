// A long list of dead letters, which is mocked: it grows, is refreshed, and its letters are redriven.

import type { Page } from "@playwright/test";

import { gate, mockChanges } from "./mockApi";
import { expect, signIn, test } from "./stack";

const letter = (at: number, cause = "the reason") => ({
  id: `019a0000-0000-7000-8000-${String(10_000_000 + at).padStart(12, "0")}`,
  type: "sentiment" as const,
  status: "failed",
  metadata: {},
  error: { kind: "exhausted", code: "crashed", message: `${cause} of letter ${at}` },
  generation: 1,
  attempt: 3,
  max_attempts: 3,
  created_at: "2026-01-31T12:00:00Z",
  updated_at: "2026-01-31T12:00:00Z",
});

/** Answers with 60 letters, 50 per page, without the removed ones. The first page waits at a gate. */
async function mockLetters(page: Page) {
  const answers = gate();
  const state = { removed: new Set<string>(), cause: "the reason", reads: 0 };
  await page.route(/\/v1\/dead-letters\?/, async (route) => {
    const isNext = new URL(route.request().url()).searchParams.has("cursor");
    const letters = Array.from({ length: isNext ? 10 : 50 }, (_, at) => letter((isNext ? 50 : 0) + at, state.cause));
    const dead_letters = letters.filter(({ id }) => !state.removed.has(id));
    if (!isNext) {
      state.reads += 1;
      await answers.passed();
    }
    await route.fulfill({ json: isNext ? { dead_letters } : { dead_letters, next_cursor: "next" } });
  });
  const { emit } = await mockChanges(page);
  /** A task fails, so that the page reads the list again. */
  const fail = (cause: string) => {
    state.cause = cause;
    emit(letter(0), "failed");
  };
  return { state, answers, fail };
}

async function openLetters(page: Page) {
  await signIn(page, "#/dead-letters");
  await expect(page.locator(".live")).toHaveText("Live");
  const letters = page.locator(".letters > li");
  await expect(letters).toHaveCount(50);
  return letters;
}

test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("a long list stays as long when it is refreshed, and a double press adds no page twice", async ({
  dashboard: page,
}) => {
  const { fail } = await mockLetters(page);
  const letters = await openLetters(page);
  await page.getByRole("button", { name: "Show more" }).dblclick();
  await expect(letters).toHaveCount(60);
  fail("another reason");
  await expect(page.getByText("another reason of letter 59")).toBeVisible();
  await expect(letters).toHaveCount(60);
});

test("Show more works while the list is being read, and the focus moves to the new letters", async ({
  dashboard: page,
}) => {
  const { state, answers, fail } = await mockLetters(page);
  const letters = await openLetters(page);
  answers.close();
  const before = state.reads;
  fail("another reason");
  await expect.poll(() => state.reads).toBeGreaterThan(before);
  await page.getByRole("button", { name: "Show more" }).focus();
  await page.keyboard.press("Enter");
  answers.open();
  await expect(letters).toHaveCount(60);
  await expect(letters.nth(50).getByRole("button")).toBeFocused();
});

test("all letters are redriven after a confirmation, by keyboard, too", async ({ dashboard: page }) => {
  const { state } = await mockLetters(page);
  const requests: unknown[] = [];
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    requests.push(route.request().postDataJSON());
    const [from, to] = requests.length === 1 ? [0, 50] : [50, 60];
    const redriven = Array.from({ length: to - from }, (_, at) => letter(from + at).id);
    redriven.forEach((id) => state.removed.add(id));
    await route.fulfill({ json: { redriven, skipped: [], ...(from === 0 ? { next_cursor: "next" } : {}) } });
  });
  await openLetters(page);
  const button = page.getByRole("button", { name: "Redrive all" });
  const question = page.getByRole("group", { name: "Redrive all 50 shown and older?" });
  await button.focus();
  await page.keyboard.press("Enter");
  await expect(question.getByRole("button", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(button).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(question).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(question).toHaveCount(0);
  await expect(button).toBeFocused();
  await button.dblclick();
  expect(requests, "requests before the confirmation").toEqual([]);
  await page.keyboard.press("Escape");
  await button.click();
  await page.keyboard.press("Shift+Tab");
  await expect(question.getByRole("button", { name: "Yes" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByText("60 tasks have new attempts.")).toBeVisible();
  expect(requests).toEqual([{ all: true }, { all: true, cursor: "next" }]);
  await expect(page.getByText("No dead letters")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 }), "the buttons are gone").toBeFocused();
});

test("a failed redrive moves the focus at no later time, and its error stays until the next redrive", async ({
  dashboard: page,
}) => {
  const { state, fail } = await mockLetters(page);
  let isAborted = true;
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    if (isAborted) return route.abort("blockedbyclient");
    const { ids } = route.request().postDataJSON() as { ids: string[] };
    ids.forEach((id) => state.removed.add(id));
    return route.fulfill({ json: { redriven: ids, skipped: [] } });
  });
  const letters = await openLetters(page);
  await letters.nth(2).getByRole("button").focus();
  await page.keyboard.press("Enter");
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("not responding");
  await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
  fail("another reason");
  await expect(page.getByText("another reason of letter 2", { exact: true })).toBeVisible();
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("BODY");
  // The refresh of the list does not remove the error of the redrive.
  expect(await alert.count()).toBe(1);
  isAborted = false;
  await letters.nth(2).getByRole("button").click();
  await expect(page.getByText("1 task has new attempts.")).toBeVisible();
  await expect(alert).toHaveCount(0);
});

test("a letter that is not dead any more leaves the list, is reported, and the next gets the focus", async ({
  dashboard: page,
}) => {
  const { state } = await mockLetters(page);
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    const { ids } = route.request().postDataJSON() as { ids: string[] };
    ids.forEach((id) => state.removed.add(id));
    await route.fulfill({ json: { redriven: [], skipped: ids } });
  });
  const third = (await openLetters(page)).nth(2);
  await expect(third).toContainText("the reason of letter 2");
  await third.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("1 was not a dead letter any more")).toBeVisible();
  await expect(third).toContainText("the reason of letter 3");
  await expect(third.getByRole("button")).toBeFocused();
});
