// The API goes away, comes back, refuses or dawdles: the page says so once, and mends itself.

import type { Page } from "@playwright/test";

import { thinned } from "../src/live/telemetry";
import { URL_OF_STACK, expect, finished, plugIn, signIn, states, submit, test, unplug, visit } from "./stack";

/** An answer with no change is held for a second, not for twenty: so much sooner a page learns that nobody is there. */
async function hurry(page: Page): Promise<void> {
  await page.route(/\/v1\/changes\?after/, (route) =>
    route.continue({ url: route.request().url().replace("wait=20", "wait=1") }),
  );
}

test("an outage is told once, and over as soon as the API answers, on every page", async ({ dashboard: page }) => {
  const order = String(Date.now());
  const id = await submit("sentiment", { text: "fine" }, { metadata: { order } });
  await finished(id);
  await hurry(page);
  await signIn(page);
  const live = page.locator(".live");
  await expect(live).toHaveText("Live");
  const told = await states(page);
  await unplug(page);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await expect(live).toHaveText("Offline");
  // What is asked in vain meanwhile: a list, a task and the dead letters.
  await visit(page, `#/tasks?metadata.order=${order}`);
  await expect(page.getByRole("alert").filter({ hasText: "does not answer" })).toBeVisible();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const asked = page.waitForEvent("requestfailed", (request) => request.url().includes("v1/changes"));
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await asked;
  }
  expect(await told()).toEqual(["Offline"]);
  await plugIn(page);
  await expect(live).toHaveText("Live");
  await expect(page.getByRole("link").filter({ hasText: id.slice(-8) })).toBeVisible();
  await expect(page.getByRole("alert").filter({ hasText: "does not answer" })).toHaveCount(0);

  for (const [hash, shown] of [
    [`#/tasks/${id}`, ".verdict"],
    ["#/dead-letters", ".letters, .notice"],
  ] as const) {
    await unplug(page);
    await visit(page, hash);
    await expect(page.getByRole("alert").filter({ hasText: "does not answer" })).toBeVisible();
    await expect(live).toHaveText("Offline");
    await plugIn(page);
    await expect(page.locator(shown).first()).toBeVisible();
    await expect(page.getByRole("alert")).toHaveCount(0);
  }
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a token that is taken back asks for another, and leads back to where one was", async ({ dashboard: page }) => {
  await signIn(page, "#/workers");
  await expect(page.locator(".live")).toHaveText("Live");
  await page.route(/\/v1\//, (route) => route.fulfill({ status: 401, json: { title: "Unauthorized" } }));
  await expect(page.getByText("The token is no longer accepted.")).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.getByLabel("Service token").fill(process.env["AI_MESH_TOKEN"] ?? "");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Workers", level: 1 })).toBeVisible();
});

test("workers that are not told are said to be missing", async ({ dashboard: page }) => {
  await page.route(/\/v1\/workers/, (route) => route.abort("blockedbyclient"));
  await signIn(page, "#/workers");
  await expect(page.getByText("The API does not answer; it is asked again.")).toBeVisible();
  // The counters answer all the while.
  await page.waitForResponse((response) => response.url().endsWith("/v1/stats"));
  await page.waitForResponse((response) => response.url().endsWith("/v1/stats"));
  await expect(page.getByText("The API does not answer; it is asked again.")).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("changes that come one by one are asked for in a few requests", async ({ dashboard: page }) => {
  let asked = 0;
  await page.route(/\/v1\/changes\?after/, async (route) => {
    asked += 1;
    const after = Number(new URL(route.request().url()).searchParams.get("after"));
    const change = { cursor: String(after + 1), id: "a", type: "sentiment", status: "pending", previous_status: null };
    const more = { generation: 1, attempt: 0, updated_at: "2026-01-31T12:00:00Z" };
    await route.fulfill({ json: { changes: [{ ...change, ...more }], next: String(after + 1) } });
  });
  await signIn(page, "#/submit");
  await expect.poll(() => asked).toBeGreaterThan(0);
  const [before, begun] = [asked, Date.now()];
  await expect.poll(() => asked - before, { intervals: [50] }).toBeGreaterThan(8);
  expect((Date.now() - begun) / (asked - before), "milliseconds for each").toBeGreaterThan(200);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a page that is not looked at holds no request open", async ({ dashboard: page }) => {
  await page.clock.install();
  await signIn(page);
  await expect(page.getByTitle("by long-polling")).toBeVisible();
  const givenUp = page.waitForEvent("requestfailed", (request) => request.url().includes("v1/changes?after"));
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, value: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.clock.fastForward(16_000);
  await givenUp;
  await expect(page.locator(".live")).toHaveText("Paused");
  const asked = page.waitForRequest((request) => request.url().includes("v1/changes?after"));
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, value: false });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await asked;
  await expect(page.locator(".live")).toHaveText("Live");
});

test("a page that is open for a day keeps few samples, of all of it", () => {
  const stats = {} as Parameters<typeof thinned>[0][number]["stats"];
  let samples: Parameters<typeof thinned>[0] = [];
  for (let at = 0; at < 24 * 720; at += 1) samples = thinned([...samples, { at, stats, running: {} }]);
  expect(samples.length).toBeLessThanOrEqual(480);
  expect(samples[0]?.at).toBe(0);
  expect(samples.at(-1)?.at).toBe(24 * 720 - 1);
  const widest = Math.max(...samples.map(({ at }, index) => at - (samples[index - 1]?.at ?? 0)));
  expect(widest, "the widest gap, in samples").toBeLessThan((24 * 720) / 100);
});

test("a page that is slow to come is waited for, and may be left", async ({ dashboard: page }) => {
  await signIn(page, "#/workers");
  let release = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await page.route(/\/v1\/tasks\?/, async (route) => {
    await held;
    await route.fallback();
  });
  await visit(page, "#/tasks");
  await expect(page.getByText("Loading tasks…")).toBeVisible();
  await visit(page, "#/submit");
  release();
  await expect(page.getByRole("heading", { name: "Submit a task" })).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
  expect(page.url()).toBe(`${URL_OF_STACK}#/submit`);
});
