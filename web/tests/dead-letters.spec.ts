// A long list of dead letters, which is played here: it grows, is read anew, and its letters go one by one.

import type { Page } from "@playwright/test";

import { expect, finished, signIn, submit, test } from "./stack";

const letter = (at: number) => ({
  id: `019a0000-0000-7000-8000-${String(10_000_000 + at).padStart(12, "0")}`,
  type: "sentiment",
  status: "failed",
  metadata: {},
  error: { kind: "exhausted", code: "crashed", message: `the reason of letter ${at}` },
  generation: 1,
  attempt: 3,
  max_attempts: 3,
  created_at: "2026-01-31T12:00:00Z",
  updated_at: "2026-01-31T12:00:00Z",
});

/** Answers with 60 letters, 50 at a time, but for those that are gone. Returns how often the first page was asked. */
async function play(page: Page, gone: Set<string>): Promise<() => number> {
  let asked = 0;
  await page.route(/\/v1\/dead-letters\?/, async (route) => {
    const isNext = new URL(route.request().url()).searchParams.has("cursor");
    if (!isNext) asked += 1;
    const letters = Array.from({ length: isNext ? 10 : 50 }, (_, at) => letter((isNext ? 50 : 0) + at));
    const dead_letters = letters.filter(({ id }) => !gone.has(id));
    await route.fulfill({ json: isNext ? { dead_letters } : { dead_letters, next_cursor: "next" } });
  });
  return () => asked;
}

test("a long list keeps its length when it is read anew, and a button pressed twice adds no page twice", async ({
  dashboard: page,
}) => {
  const asked = await play(page, new Set());
  await signIn(page, "#/dead-letters");
  const letters = page.locator(".letters > li");
  await expect(letters).toHaveCount(50);
  await page.getByRole("button", { name: "Show more" }).dblclick();
  await expect(letters).toHaveCount(60);
  await expect(page.locator(".live")).toHaveText("Live");
  const before = asked();
  // Something fails, so that the list is read anew.
  await finished(await submit("sentiment", { text: "fine" }, { max_attempts: 1, metadata: { fault: "transient:1" } }));
  await expect.poll(asked).toBeGreaterThan(before);
  await expect(page.getByText("the reason of letter 59")).toBeVisible();
  await expect(letters).toHaveCount(60);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("what is no dead letter any more goes, is told, and leaves the focus on the next", async ({ dashboard: page }) => {
  const gone = new Set<string>();
  await play(page, gone);
  await page.route(/\/v1\/dead-letters\/redrive$/, async (route) => {
    const { ids } = route.request().postDataJSON() as { ids: string[] };
    ids.forEach((id) => gone.add(id));
    await route.fulfill({ json: { redriven: [], skipped: ids } });
  });
  await signIn(page, "#/dead-letters");
  const third = page.locator(".letters > li").nth(2);
  await expect(third).toContainText("the reason of letter 2");
  await third.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("1 was no dead letter any more")).toBeVisible();
  await expect(third).toContainText("the reason of letter 3");
  await expect(third.getByRole("button")).toBeFocused();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
