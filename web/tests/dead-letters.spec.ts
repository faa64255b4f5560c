// A long list of dead letters, which is played here: it grows, is read anew, and its letters go one by one.

import type { Page } from "@playwright/test";

import { gate, playChanges } from "./played";
import { expect, signIn, test } from "./stack";

const letter = (at: number, words = "the reason") => ({
  id: `019a0000-0000-7000-8000-${String(10_000_000 + at).padStart(12, "0")}`,
  type: "sentiment" as const,
  status: "failed",
  metadata: {},
  error: { kind: "exhausted", code: "crashed", message: `${words} of letter ${at}` },
  generation: 1,
  attempt: 3,
  max_attempts: 3,
  created_at: "2026-01-31T12:00:00Z",
  updated_at: "2026-01-31T12:00:00Z",
});

/** Answers with 60 letters, 50 at a time, but for those that are gone; first pages pass a gate. */
async function play(page: Page) {
  const answers = gate();
  const state = { gone: new Set<string>(), words: "the reason", asked: 0 };
  await page.route(/\/v1\/dead-letters\?/, async (route) => {
    const isNext = new URL(route.request().url()).searchParams.has("cursor");
    const letters = Array.from({ length: isNext ? 10 : 50 }, (_, at) => letter((isNext ? 50 : 0) + at, state.words));
    const dead_letters = letters.filter(({ id }) => !state.gone.has(id));
    if (!isNext) {
      state.asked += 1;
      await answers.passed();
    }
    await route.fulfill({ json: isNext ? { dead_letters } : { dead_letters, next_cursor: "next" } });
  });
  const { tell } = await playChanges(page);
  /** Something fails, so that the list is read anew. */
  const fail = (words: string) => {
    state.words = words;
    tell(letter(0), "failed");
  };
  return { state, answers, fail };
}

async function follow(page: Page) {
  await signIn(page, "#/dead-letters");
  await expect(page.locator(".live")).toHaveText("Live");
  const letters = page.locator(".letters > li");
  await expect(letters).toHaveCount(50);
  return letters;
}

test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("a long list keeps its length when it is read anew, and a button pressed twice adds no page twice", async ({
  dashboard: page,
}) => {
  const { fail } = await play(page);
  const letters = await follow(page);
  await page.getByRole("button", { name: "Show more" }).dblclick();
  await expect(letters).toHaveCount(60);
  fail("another reason");
  await expect(page.getByText("another reason of letter 59")).toBeVisible();
  await expect(letters).toHaveCount(60);
});

test("more is shown though it was asked for while the list was read, and the focus goes on there", async ({
  dashboard: page,
}) => {
  const { state, answers, fail } = await play(page);
  const letters = await follow(page);
  answers.shut();
  const before = state.asked;
  fail("another reason");
  await expect.poll(() => state.asked).toBeGreaterThan(before);
  await page.getByRole("button", { name: "Show more" }).focus();
  await page.keyboard.press("Enter");
  answers.open();
  await expect(letters).toHaveCount(60);
  await expect(letters.nth(50).getByRole("button")).toBeFocused();
});

test("all are redriven when that is confirmed, by keyboard too", async ({ dashboard: page }) => {
  const { state } = await play(page);
  const asked: unknown[] = [];
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    asked.push(route.request().postDataJSON());
    const [from, to] = asked.length === 1 ? [0, 50] : [50, 60];
    const redriven = Array.from({ length: to - from }, (_, at) => letter(from + at).id);
    redriven.forEach((id) => state.gone.add(id));
    await route.fulfill({ json: { redriven, skipped: [], ...(from === 0 ? { next_cursor: "next" } : {}) } });
  });
  await follow(page);
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
  expect(asked, "without a word of assent").toEqual([]);
  await page.keyboard.press("Escape");
  await button.click();
  await page.keyboard.press("Shift+Tab");
  await expect(question.getByRole("button", { name: "Yes" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByText("60 tasks have new attempts.")).toBeVisible();
  expect(asked).toEqual([{ all: true }, { all: true, cursor: "next" }]);
  await expect(page.getByText("No dead letters")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 }), "the buttons have gone").toBeFocused();
});

test("a redrive that fails takes the focus from nobody later, and is told until the next", async ({
  dashboard: page,
}) => {
  const { state, fail } = await play(page);
  let isRefused = true;
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    if (isRefused) return route.abort("blockedbyclient");
    const { ids } = route.request().postDataJSON() as { ids: string[] };
    ids.forEach((id) => state.gone.add(id));
    return route.fulfill({ json: { redriven: ids, skipped: [] } });
  });
  const letters = await follow(page);
  await letters.nth(2).getByRole("button").focus();
  await page.keyboard.press("Enter");
  const told = page.getByRole("alert");
  await expect(told).toContainText("does not answer");
  await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
  fail("another reason");
  await expect(page.getByText("another reason of letter 2", { exact: true })).toBeVisible();
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("BODY");
  // The list was read anew since: that says nothing of the redrive.
  expect(await told.count()).toBe(1);
  isRefused = false;
  await letters.nth(2).getByRole("button").click();
  await expect(page.getByText("1 task has new attempts.")).toBeVisible();
  await expect(told).toHaveCount(0);
});

test("what is no dead letter any more goes, is told, and leaves the focus on the next", async ({ dashboard: page }) => {
  const { state } = await play(page);
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    const { ids } = route.request().postDataJSON() as { ids: string[] };
    ids.forEach((id) => state.gone.add(id));
    await route.fulfill({ json: { redriven: [], skipped: ids } });
  });
  const third = (await follow(page)).nth(2);
  await expect(third).toContainText("the reason of letter 2");
  await third.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("1 was no dead letter any more")).toBeVisible();
  await expect(third).toContainText("the reason of letter 3");
  await expect(third.getByRole("button")).toBeFocused();
});
