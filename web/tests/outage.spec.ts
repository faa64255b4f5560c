// The API is unavailable, returns, refuses or is slow: the page shows it once, and recovers by itself.

import type { Page } from "@playwright/test";

import { downsample } from "../src/live/telemetry";
import {
  TOKEN,
  URL_OF_STACK,
  expect,
  goOffline,
  goOnline,
  pollOnly,
  recordStates,
  signIn,
  submit,
  test,
  visit,
  waitForTask,
} from "./stack";

/** Lets the page poll, for one second in place of 20, so that it notices an outage sooner. */
async function shortenPolls(page: Page): Promise<void> {
  await pollOnly(page);
  await page.route(/\/v1\/changes\?after/, (route) =>
    route.continue({ url: route.request().url().replace("wait=20", "wait=1") }),
  );
}

test("an outage is shown once, and every page recovers as soon as the API responds", async ({ dashboard: page }) => {
  const order = String(Date.now());
  const id = await submit("sentiment", { text: "fine" }, { metadata: { order } });
  await waitForTask(id);
  await shortenPolls(page);
  await signIn(page);
  const live = page.locator(".live");
  await expect(live).toHaveText("Live");
  const states = await recordStates(page);
  await goOffline(page);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await expect(live).toHaveText("Offline");
  // Requests that fail meanwhile: for a list, a task and the dead letters.
  await visit(page, `#/tasks?metadata.order=${order}`);
  await expect(page.getByRole("alert").filter({ hasText: "not responding" })).toBeVisible();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const failed = page.waitForEvent("requestfailed", (request) => request.url().includes("v1/changes"));
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await failed;
  }
  expect(await states()).toEqual(["Offline"]);
  await goOnline(page);
  await expect(live).toHaveText("Live");
  await expect(page.getByRole("link").filter({ hasText: id.slice(-8) })).toBeVisible();
  await expect(page.getByRole("alert").filter({ hasText: "not responding" })).toHaveCount(0);

  for (const [hash, shown] of [
    [`#/tasks/${id}`, ".headline"],
    ["#/dead-letters", ".letters, .notice"],
  ] as const) {
    await goOffline(page);
    await visit(page, hash);
    await expect(page.getByRole("alert").filter({ hasText: "not responding" })).toBeVisible();
    await expect(live).toHaveText("Offline");
    await goOnline(page);
    await expect(page.locator(shown).first()).toBeVisible();
    await expect(page.getByRole("alert")).toHaveCount(0);
  }
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a revoked token leads to the sign-in, which returns to the same page", async ({ dashboard: page }) => {
  await signIn(page, "#/workers");
  await expect(page.locator(".live")).toHaveText("Live");
  await page.route(/\/v1\//, (route) => route.fulfill({ status: 401, json: { title: "Unauthorized" } }));
  await expect(page.getByText("The token is no longer valid.")).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.getByLabel("Service token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Workers", level: 1 })).toBeVisible();
});

test("the page says that the workers can't be read", async ({ dashboard: page }) => {
  await page.route(/\/v1\/workers/, (route) => route.abort("blockedbyclient"));
  await signIn(page, "#/workers");
  await expect(page.getByText("The API is not responding. The page will try again.")).toBeVisible();
  // The counters are read successfully meanwhile.
  await page.waitForResponse((response) => response.url().endsWith("/v1/stats"));
  await page.waitForResponse((response) => response.url().endsWith("/v1/stats"));
  await expect(page.getByText("The API is not responding. The page will try again.")).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("changes that arrive one by one are polled at an interval", async ({ dashboard: page }) => {
  let polls = 0;
  await pollOnly(page);
  await page.route(/\/v1\/changes\?after/, async (route) => {
    polls += 1;
    const after = Number(new URL(route.request().url()).searchParams.get("after"));
    const change = { cursor: String(after + 1), id: "a", type: "sentiment", status: "pending", previous_status: null };
    const more = { generation: 1, attempt: 0, updated_at: "2026-01-31T12:00:00Z" };
    await route.fulfill({ json: { changes: [{ ...change, ...more }], next: String(after + 1) } });
  });
  await signIn(page, "#/submit");
  await expect.poll(() => polls).toBeGreaterThan(0);
  const [before, start] = [polls, Date.now()];
  await expect.poll(() => polls - before, { intervals: [50] }).toBeGreaterThan(8);
  expect((Date.now() - start) / (polls - before), "milliseconds per poll").toBeGreaterThan(200);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a hidden page holds no request open", async ({ dashboard: page }) => {
  await page.clock.install();
  await pollOnly(page);
  await signIn(page);
  await expect(page.getByTitle("by long-polling")).toBeVisible();
  const aborted = page.waitForEvent("requestfailed", (request) => request.url().includes("v1/changes?after"));
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, value: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.clock.fastForward(16_000);
  await aborted;
  await expect(page.locator(".live")).toHaveText("Paused");
  const polled = page.waitForRequest((request) => request.url().includes("v1/changes?after"));
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, value: false });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await polled;
  await expect(page.locator(".live")).toHaveText("Live");
});

test("a page that is open for a day stores few samples, from all of the day", () => {
  const stats = {} as Parameters<typeof downsample>[0][number]["stats"];
  let samples: Parameters<typeof downsample>[0] = [];
  for (let at = 0; at < 24 * 720; at += 1) samples = downsample([...samples, { at, stats, running: {} }]);
  expect(samples.length).toBeLessThanOrEqual(480);
  expect(samples[0]?.at).toBe(0);
  expect(samples.at(-1)?.at).toBe(24 * 720 - 1);
  const widest = Math.max(...samples.map(({ at }, index) => at - (samples[index - 1]?.at ?? 0)));
  expect(widest, "the widest gap, in samples").toBeLessThan((24 * 720) / 100);
});

test("a page that loads slowly says so, and the user can leave it", async ({ dashboard: page }) => {
  await signIn(page, "#/workers");
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(/\/v1\/tasks\?/, async (route) => {
    await released;
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
