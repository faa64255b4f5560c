// Accessibility: axe's rules in both themes, use by keyboard, and the width of a phone.

import axe from "axe-core";
import type { Page } from "@playwright/test";

import { URL_OF_STACK, expect, signIn, submit, submitMany, test, testdata, visit, waitForTask } from "./stack";

/** The violations that axe rates serious or critical, one line for each element. */
async function seriousViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    return serious.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`));
  });
}

/** The main pages, filled once: for each address a selector that matches when the page is loaded. */
let created: Promise<Record<string, string>> | undefined;
const pages = () => (created ??= createPages());

async function createPages(): Promise<Record<string, string>> {
  const image = testdata("astronaut.png").toString("base64");
  const faces = await submit("face_detection", { image });
  const labels = await submit("classify", { text: "The goalkeeper saved a penalty.", labels: ["sports", "cooking"] });
  const dead = await submit("sentiment", { text: "fine" }, { max_attempts: 1, metadata: { fault: "transient:1" } });
  const text = "The museum opens its new wing on Saturday. Visitors will find twelve rooms. ".repeat(40);
  const long = await submit("summarize", { text, max_sentences: 3 });
  const spoken = await submit("transcribe", { audio: testdata("beckett.wav").toString("base64") });
  await Promise.all([faces, labels, dead, long, spoken].map(waitForTask));
  return {
    "#/tasks": ".rows li",
    "#/submit": ".types",
    "#/submit?type=data_extraction": "#schema",
    "#/submit?type=transcribe": ".drop-label",
    "#/dead-letters": ".letters li",
    "#/workers": ".chart svg",
    [`#/tasks/${faces}`]: ".overlay .box",
    [`#/tasks/${labels}`]: ".bars li",
    [`#/tasks/${dead}`]: ".failure",
    [`#/tasks/${long}`]: ".task-main .prose",
    [`#/tasks/${spoken}`]: ".transcript li",
    "#/tasks?metadata.nobody=has": ".removable",
    "#/tasks?status=odd": ".error-notice",
    "#/tasks/019a0000-0000-7000-8000-000000000000": ".error-notice",
    "#/nowhere": "h1",
  };
}

test("axe finds no serious violation on the main pages in either theme", async ({ dashboard: page }) => {
  test.setTimeout(180_000);
  const shown = await pages();
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    if (theme === "light") {
      await page.goto(URL_OF_STACK);
      await expect(page.getByLabel("Service token")).toBeVisible();
      expect(await seriousViolations(page), "signing in").toEqual([]);
      await signIn(page);
    }
    await expect(page.locator("html")).toHaveAttribute("data-theme", theme);
    for (const [hash, mark] of Object.entries(shown)) {
      await visit(page, hash);
      await expect(page.locator(mark).first()).toBeVisible();
      expect(await seriousViolations(page), `${hash} in the ${theme} theme`).toEqual([]);
    }
  }
});

test("no page is wider than a phone", async ({ dashboard: page }) => {
  test.setTimeout(180_000);
  const shown = await pages();
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page);
  for (const [hash, mark] of Object.entries(shown)) {
    await visit(page, hash);
    await expect(page.locator(mark).first()).toBeVisible();
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow, hash).toBeLessThanOrEqual(0);
  }
});

test("a task is submitted and read by keyboard alone", async ({ dashboard: page }) => {
  await signIn(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the page" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  await page.getByRole("link", { name: "Submit", exact: true }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Submit a task" })).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("radio", { name: "Sentiment" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Use an example" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.type("What a delightful little machine.");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Sentiment" })).toBeVisible();
  await expect(page.locator(".headline")).toContainText("POSITIVE");
});

test("selected elements are marked in forced-colors mode, too", async ({ dashboard: page }) => {
  await page.emulateMedia({ forcedColors: "active" });
  await signIn(page, "#/submit?type=ocr");
  const outline = (selector: string) =>
    page.locator(selector).evaluate((place) => getComputedStyle(place).outlineStyle);
  expect(await outline("input[value=ocr] + span")).toBe("solid");
  expect(await outline("input[value=embed] + span")).toBe("none");
  expect(await outline('nav a[href="#/submit"]')).toBe("solid");
  const dot = page.locator(".live .dot");
  expect(await dot.evaluate((place) => getComputedStyle(place).forcedColorAdjust)).toBe("none");
});

test("a printed task page has dark text on white, without navigation", async ({ dashboard: page }) => {
  const id = await submit("sentiment", { text: "fine" });
  await waitForTask(id);
  await page.emulateMedia({ colorScheme: "dark" });
  await signIn(page, `#/tasks/${id}`);
  await expect(page.locator(".headline")).toBeVisible();
  await page.emulateMedia({ colorScheme: "dark", media: "print" });
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeHidden();
  await expect(page.locator(".headline")).toBeVisible();
  const colour = await page.evaluate(() => getComputedStyle(document.body).color);
  const brightest = Math.max(...(colour.match(/\d+/g) ?? ["255"]).map(Number));
  expect(brightest, colour).toBeLessThan(100);
});

test("screen readers do not announce tasks that arrive one by one", async ({ dashboard: page }) => {
  const batch = String(Date.now());
  await signIn(page, `#/tasks?metadata.batch=${batch}`);
  await expect(page.locator(".live")).toHaveText("Live");
  await expect(page.getByText("No task matches these filters")).toBeVisible();
  await page.evaluate(() => {
    const announced: string[] = [];
    Object.assign(window, { announced });
    const LIVE_REGION = "[role=status], [role=alert], [role=log], [aria-live]";
    new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        const element = target instanceof Element ? target : target.parentElement;
        const added = [...addedNodes].filter((node) => node instanceof Element);
        const inside = added.flatMap((one) =>
          one.matches(LIVE_REGION) ? [one] : [...one.querySelectorAll(LIVE_REGION)],
        );
        const region = element?.closest(LIVE_REGION);
        announced.push(...(region ? [region] : inside).map(({ textContent }) => textContent));
      }
    }).observe(document.body, { characterData: true, childList: true, subtree: true });
  });
  for (let task = 0; task < 5; task += 1) {
    const [id = ""] = await submitMany([{ type: "sentiment", input: { text: "fine" }, metadata: { batch } }]);
    await expect(page.getByRole("link").filter({ hasText: id.slice(-8) })).toContainText("Completed");
  }
  const announced = () => page.evaluate(() => (window as unknown as { announced: string[] }).announced);
  expect(await announced()).toEqual([]);
  // An error is announced.
  await visit(page, "#/tasks?status=odd");
  await expect.poll(async () => (await announced()).join()).toContain("status");
});

test("a task page announces its new status, and the focus moves to the heading", async ({ dashboard: page }) => {
  const id = await submit("sentiment", { text: "fine" }, { max_attempts: 10, metadata: { fault: "transient:10" } });
  await signIn(page, `#/tasks/${id}`);
  await page.getByRole("button", { name: "Cancel" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("status").filter({ hasText: "Cancelled" })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Retry" })).toBeFocused();
});

test("the focus stays among the filters when one is removed", async ({ dashboard: page }) => {
  await signIn(page, "#/tasks?metadata.order=1&metadata.book=2");
  await page.getByRole("button", { name: "Remove the filter book" }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/#\/tasks\?metadata\.order=1$/);
  await expect(page.getByLabel("Metadata, as key=value")).toBeFocused();
  await page.getByRole("link", { name: "Clear" }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/#\/tasks$/);
  await expect(page.getByLabel("Metadata, as key=value")).toBeFocused();
});
