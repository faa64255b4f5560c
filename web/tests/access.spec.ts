// For everybody: by axe's rules in both themes, by keyboard, and at a phone's width.

import axe from "axe-core";
import type { Page } from "@playwright/test";

import { URL_OF_STACK, expect, finished, signIn, submit, test, testdata, visit } from "./stack";

/** What axe finds serious, as a line each. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    });
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    return serious.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`));
  });
}

/** The main pages, with something on them. */
async function pages(): Promise<Record<string, string>> {
  const image = testdata("astronaut.png").toString("base64");
  const faces = await submit("face_detection", { image });
  const labels = await submit("classify", { text: "The goalkeeper saved a penalty.", labels: ["sports", "cooking"] });
  const dead = await submit("sentiment", { text: "fine" }, { max_attempts: 1, metadata: { fault: "transient:1" } });
  await Promise.all([faces, labels, dead].map(finished));
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
  };
}

test("axe finds nothing serious on the main pages, in either theme", async ({ dashboard: page }) => {
  test.setTimeout(180_000);
  const shown = await pages();
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    if (theme === "light") {
      await page.goto(URL_OF_STACK);
      await expect(page.getByLabel("Service token")).toBeVisible();
      expect(await findings(page), "signing in").toEqual([]);
      await signIn(page);
    } else {
      await page.getByRole("button", { name: "Use the dark theme" }).click();
    }
    for (const [hash, mark] of Object.entries(shown)) {
      await visit(page, hash);
      await expect(page.locator(mark).first()).toBeVisible();
      expect(await findings(page), `${hash} in the ${theme} theme`).toEqual([]);
    }
  }
});

test("nothing is wider than a phone", async ({ dashboard: page }) => {
  test.setTimeout(180_000);
  const shown = await pages();
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page);
  for (const [hash, mark] of Object.entries(shown)) {
    await visit(page, hash);
    await expect(page.locator(mark).first()).toBeVisible();
    const wider = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(wider, hash).toBeLessThanOrEqual(0);
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
  await expect(page.locator(".verdict")).toContainText("POSITIVE");
});
