// Titles, navigation, and the list: Back restores it, and visible rows do not move while others arrive.

import { callApi, expect, pollOnly, signIn, submit, submitMany, test, visit } from "./stack";

const many = (count: number, batch: string) => {
  const task = { type: "sentiment", input: { text: "fine" }, priority: "low", metadata: { batch } };
  return submitMany(Array.from({ length: count }, () => task));
};

test("each page has its own title", async ({ dashboard: page }) => {
  const id = await submit("sentiment", { text: "What a delightful little machine." });
  await signIn(page);
  await expect(page).toHaveTitle("Tasks · AI Mesh");
  for (const [hash, title] of [
    ["#/submit", "Submit a task · AI Mesh"],
    ["#/dead-letters", "Dead letters · AI Mesh"],
    ["#/workers", "Workers · AI Mesh"],
    ["#/nowhere", "Page not found · AI Mesh"],
    [`#/tasks/${id}`, `Sentiment ${id.slice(-8)}, completed · AI Mesh`],
  ] as const) {
    await visit(page, hash);
    await expect(page).toHaveTitle(title);
    await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
    await page.reload();
    await expect(page).toHaveTitle(title);
  }
});

test("Back restores the list, with the changes since then", async ({ dashboard: page }) => {
  const batch = String(Date.now());
  await many(150, batch);
  const metadata = { batch, fault: "transient:10" };
  const slow = await submit("sentiment", { text: "fine" }, { max_attempts: 10, metadata });
  await callApi("POST", `v1/tasks/${slow}/cancel`);
  await many(30, batch);
  await signIn(page, `#/tasks?metadata.batch=${batch}`);
  await expect(page.getByRole("list", { name: "Tasks" }).getByRole("listitem").first()).toBeVisible();
  await page.evaluate(() => window.scrollTo(0, 4_000));
  await expect(page.locator('li[aria-setsize=\"181\"]').first()).toBeAttached();
  await page.evaluate(() => window.scrollTo(0, 1_300));
  const row = page.getByRole("link").filter({ hasText: slow.slice(-8) });
  await expect(row).toContainText("Cancelled");
  await row.click();
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page.locator(".task-head .status")).not.toHaveText("Cancelled");
  await page.getByRole("link", { name: "← Tasks" }).click();
  await expect(row).toBeFocused();
  await expect(row).toBeInViewport();
  await expect(row).not.toContainText("Cancelled");
  expect(await page.evaluate(() => window.scrollY)).toBeGreaterThan(1_200);
  await expect(page.locator('li[aria-setsize=\"181\"]').first()).toBeAttached();
  // A link opens the top of a newly read list.
  await page.getByRole("link", { name: "Tasks", exact: true }).click();
  await expect.poll(() => page.evaluate(() => window.scrollY)).toBe(0);
  // Ends its attempts, which would continue during the next tests.
  await callApi("POST", `v1/tasks/${slow}/cancel`);
});

test("the link to the list keeps its filters, wherever the task was opened from", async ({ dashboard: page }) => {
  await signIn(page, "#/tasks?status=completed");
  await visit(page, "#/submit");
  await page.getByRole("button", { name: "Use an example" }).click();
  await page.getByRole("button", { name: "Submit", exact: true }).click();
  await expect(page.locator(".headline")).toBeVisible();
  await page.getByRole("link", { name: "← Tasks" }).click();
  await expect(page).toHaveURL(/#\/tasks\?status=completed$/);
  await page.goBack();
  await expect(page.locator(".headline")).toBeVisible();
  await page.goForward();
  await expect(page).toHaveURL(/#\/tasks\?status=completed$/);
});

test("visible rows do not move while tasks arrive above them", async ({ dashboard: page }) => {
  const batch = String(Date.now());
  await many(60, batch);
  await signIn(page, `#/tasks?metadata.batch=${batch}`);
  await expect(page.locator('li[aria-setsize=\"60\"]').first()).toBeAttached();
  await page.evaluate(() => window.scrollTo(0, 1_200));
  const row = page.locator('li[aria-posinset="26"]');
  await expect(row).toBeInViewport();
  const id = await row.locator("code").first().textContent();
  const same = page.locator(".rows li").filter({ hasText: id ?? "" });
  const before = await same.boundingBox();
  await many(12, batch);
  await expect(page.locator('li[aria-setsize=\"72\"]').first()).toBeAttached();
  await expect(same).toHaveAttribute("aria-posinset", "38");
  const after = await same.boundingBox();
  expect(Math.abs((after?.y ?? 0) - (before?.y ?? 0)), "distance moved, in pixels").toBeLessThan(2);
});

test("the focused row keeps the focus while tasks arrive and the list is scrolled", async ({ dashboard: page }) => {
  const batch = String(Date.now());
  const [first = ""] = (await many(30, batch)).slice(-1);
  await signIn(page, `#/tasks?metadata.batch=${batch}`);
  const row = page.getByRole("link").filter({ hasText: first.slice(-8) });
  await row.focus();
  await many(60, batch);
  await expect(page.locator('li[aria-setsize=\"90\"]').first()).toBeAttached();
  await expect(row).toBeFocused();
  await expect(row).toBeInViewport();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await expect(page.locator('li[aria-posinset="90"]')).toBeVisible();
  await expect(row).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(page.locator("li:focus-within")).toHaveAttribute("aria-posinset", "60");
  // The sticky header never covers the focused row.
  for (let step = 0; step < 30; step += 1) await page.keyboard.press("ArrowUp");
  await expect(page.locator("li:focus-within")).toHaveAttribute("aria-posinset", "30");
  const [top, header] = await page.evaluate(() => [
    document.activeElement?.getBoundingClientRect().top ?? 0,
    document.querySelector("header.top")?.getBoundingClientRect().bottom ?? 0,
  ]);
  expect(top).toBeGreaterThanOrEqual(header ?? 0);
});

test("the theme follows the system until the user chooses one", async ({ dashboard: page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await signIn(page);
  const html = page.locator("html");
  await expect(html).toHaveAttribute("data-theme", "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(html).toHaveAttribute("data-theme", "dark");
  await page.reload();
  await page.emulateMedia({ colorScheme: "light" });
  await expect(html).toHaveAttribute("data-theme", "light");
  await page.getByRole("button", { name: "Use the dark theme" }).click();
  await page.reload();
  await expect(html).toHaveAttribute("data-theme", "dark");
});

test("a task that is created while the list is being read is listed", async ({ dashboard: page }) => {
  const order = String(Date.now());
  let id = "";
  await pollOnly(page);
  await page.route(/\/v1\/tasks\?/, async (route) => {
    const response = await route.fetch();
    if (id === "") {
      // The change arrives after the API read the list, and before the page has the response.
      const changed = page.waitForResponse((answer) => answer.url().includes("v1/changes?after"));
      id = await submit("sentiment", { text: "fine" }, { metadata: { order } });
      await changed;
    }
    await route.fulfill({ response });
  });
  await signIn(page, `#/tasks?metadata.order=${order}`);
  await expect.poll(() => id).not.toBe("");
  await expect(page.getByRole("link").filter({ hasText: id.slice(-8) })).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
