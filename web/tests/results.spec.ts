// Results and inputs that are large, unusual, unknown or expired. None of them is ever rendered as markup.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import type { Page } from "@playwright/test";

import type { Task, Upload } from "../src/api/types";
import { callApi, expect, signIn, submit, test, testdata, visit, waitForTask } from "./stack";

const MARKUP = `<img src=x onerror="window.broken=1"><script>window.broken=1</script>`;

/** Changes a task in the responses that the page receives. */
async function alterTask(page: Page, id: string, alter: (task: Task) => object): Promise<void> {
  await page.route(new RegExp(`/v1/tasks/${id}$`), async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: alter((await response.json()) as Task) });
  });
}

test("markup is shown as text, and text of each script in its direction", async ({ dashboard: page }) => {
  const arabic = "مرحبا بالعالم";
  const family = "👩‍👩‍👧‍👦";
  const metadata = { html: MARKUP, arabic, "k<b>": family };
  const id = await submit("classify", { text: MARKUP, labels: [MARKUP.slice(0, 60), arabic] }, { metadata });
  await waitForTask(id);
  await signIn(page);
  await expect(page.getByRole("link").filter({ hasText: id.slice(-8) })).toContainText("onerror");
  await visit(page, `#/tasks/${id}`);
  await expect(page.locator(".input .prose")).toHaveText(MARKUP);
  await expect(page.locator(".bars").getByText(MARKUP.slice(0, 60))).toBeVisible();
  await expect(page.locator(".details")).toContainText(family);
  const label = page.locator(".bar-label", { hasText: arabic });
  expect(await label.evaluate((place) => getComputedStyle(place).direction)).toBe("rtl");
  expect(await page.evaluate(() => "broken" in window)).toBe(false);
});

test("a result of an unknown form is shown as JSON, and the page works", async ({ dashboard: page }) => {
  const id = await submit("sentiment", { text: "fine" });
  await waitForTask(id);
  await signIn(page);
  for (const [type, result] of [
    ["face_detection", { count: 1, faces: [{ where: "left" }] }],
    ["classify", { scores: { sports: 0.75 } }],
    ["transcribe", { language: "not a language", segments: [{ start: 0, end: 1, text: "hm" }] }],
  ] as const) {
    await alterTask(page, id, (task) => ({ ...task, type, result, input_link: task.input_link }));
    await visit(page, `#/tasks/${id}`);
    const known = { face_detection: "faces", classify: "0.75", transcribe: "hm" }[type];
    await expect(page.getByRole("region", { name: "Result" })).toContainText(known);
    await visit(page, "#/workers");
    await expect(page.getByRole("heading", { name: "Workers", level: 1 })).toBeVisible();
    await page.unrouteAll({ behavior: "ignoreErrors" });
  }
});

test("a page that fails to render shows an error, and the other pages work", async ({ dashboard: page }) => {
  const id = await submit("sentiment", { text: "fine" });
  await waitForTask(id);
  await signIn(page);
  await alterTask(page, id, (task) => ({ ...task, attempts: null }));
  await visit(page, `#/tasks/${id}`);
  await expect(page.getByRole("heading", { name: "This page can’t be shown" })).toBeVisible();
  await page.getByRole("link", { name: "Workers" }).click();
  await expect(page.getByRole("heading", { name: "Workers", level: 1 })).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a large result is loaded by Try again, and rendered in part at first", async ({ dashboard: page }) => {
  const id = await submit("embed", { texts: Array.from({ length: 32 }, (_, at) => `the text number ${at}`) });
  const task = await waitForTask(id);
  const address = new URL(task.result_link?.url ?? "").pathname;
  let reads = 0;
  await page.route(
    (url) => url.pathname === address,
    (route) => {
      reads += 1;
      return reads === 1 ? route.abort("blockedbyclient") : route.fallback();
    },
  );
  await signIn(page, `#/tasks/${id}`);
  await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("Text 1", { exact: true })).toBeVisible();
  await expect(page.locator(".vectors > li")).toHaveCount(8);
  expect(await page.evaluate(() => document.querySelectorAll("*").length)).toBeLessThan(600);
  await page.getByRole("button", { name: "Show more of 32" }).click();
  await expect(page.locator(".vectors > li")).toHaveCount(32);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

/** Replaces the link to a task's input by an expired one while `isStale`. `more` replaces other fields of the task. */
async function expireLink(page: Page, id: string, more: Partial<Task> = {}) {
  const state = { isStale: true };
  await alterTask(page, id, (task) => {
    const link = task.input_link;
    if (link && state.isStale) Object.assign(link, { url: `${link.url}&stale`, expires_at: "2020-01-01T00:00:00Z" });
    return { ...task, ...more };
  });
  return state;
}

test("an expired link is renewed when it is followed", async ({ dashboard: page }) => {
  const text = "The museum opens its new wing on Saturday. ".repeat(200);
  const id = await submit("summarize", { text });
  await waitForTask(id);
  const link = await expireLink(page, id);
  const stale: string[] = [];
  page.on("request", (request) => request.url().endsWith("&stale") && stale.push(request.url()));
  await signIn(page, `#/tasks/${id}`);
  await expect(page.getByRole("link", { name: "Download" })).toHaveAttribute("href", /&stale$/);
  await expect(page.locator(".live")).toHaveText("Live");
  link.isStale = false;
  await page.getByRole("button", { name: "Show the text" }).click();
  const shown = page.getByRole("region", { name: "The text" });
  await expect(shown).toContainText("The museum opens");
  // The text is longer than its region, and the keyboard scrolls it.
  await shown.focus();
  await page.keyboard.press("End");
  await expect.poll(() => shown.evaluate((place) => place.scrollTop)).toBeGreaterThan(100);
  // The page uses the renewed link from here on.
  const download = page.getByRole("link", { name: "Download" });
  await expect(download).not.toHaveAttribute("href", /&stale$/);
  await visit(page, "#/workers");
  link.isStale = true;
  await visit(page, `#/tasks/${id}`);
  await expect(download).toHaveAttribute("href", /&stale$/);
  link.isStale = false;
  const saved = page.waitForEvent("download");
  await download.click();
  expect((await saved).url()).not.toContain("&stale");
  expect(stale).toEqual([]);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a picture whose link has expired is shown after Try again", async ({ dashboard: page }) => {
  const id = await submit("face_detection", { image: testdata("astronaut.png").toString("base64") });
  await waitForTask(id);
  const link = await expireLink(page, id);
  await page.route(/&stale$/, (route) => route.abort("blockedbyclient"));
  await signIn(page, `#/tasks/${id}`);
  await expect(page.getByText("The picture can't be shown.")).toBeVisible();
  link.isStale = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator(".overlay .box")).toHaveCount(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("the expired link of a recording is renewed automatically", async ({ dashboard: page }) => {
  const id = await submit("transcribe", { audio: testdata("beckett.wav").toString("base64") });
  await waitForTask(id);
  await signIn(page, "#/workers");
  // Once in the result, and once in the input.
  for (const status of ["completed", "cancelled"] as const) {
    const link = await expireLink(page, id, { status });
    await page.route(/&stale$/, (route) => {
      link.isStale = false;
      return route.abort("blockedbyclient");
    });
    await visit(page, `#/tasks/${id}`);
    const recording = page.getByLabel("The recording");
    await expect(recording).not.toHaveAttribute("src", /&stale$/);
    await expect.poll(() => recording.evaluate((player: HTMLAudioElement) => player.duration)).toBeGreaterThan(1);
    expect(link.isStale, "the expired link was tried").toBe(false);
    await visit(page, "#/workers");
    await page.unrouteAll({ behavior: "ignoreErrors" });
  }
});

test("a recording whose address changes continues at its position", async ({ dashboard: page }) => {
  const sound = testdata("beckett.wav");
  const id = await submit("transcribe", { audio: sound.toString("base64") });
  await waitForTask(id);
  await signIn(page, "#/workers");
  const link = await expireLink(page, id, { status: "completed" });
  // Answers range requests as S3 does. A browser can't seek without them.
  await page.route(/&stale$/, (route) => {
    const from = Number(/bytes=(\d+)-/.exec(route.request().headers()["range"] ?? "")?.[1] ?? 0);
    return route.fulfill({
      status: 206,
      body: sound.subarray(from),
      contentType: "audio/wav",
      headers: {
        "Accept-Ranges": "bytes",
        "Content-Range": `bytes ${from}-${sound.length - 1}/${sound.length}`,
      },
    });
  });
  await visit(page, `#/tasks/${id}`);
  const recording = page.getByLabel("The recording");
  await expect(recording).toHaveAttribute("src", /&stale$/);
  const position = () => recording.evaluate((player: HTMLAudioElement) => player.currentTime);
  await expect.poll(() => recording.evaluate((player: HTMLAudioElement) => player.readyState)).toBeGreaterThan(0);
  await recording.evaluate((player: HTMLAudioElement) => {
    player.currentTime = 2;
  });
  await expect.poll(() => recording.evaluate((player: HTMLAudioElement) => player.seeking)).toBe(false);
  link.isStale = false;
  // The download renews the link of the task, which the recording uses, too.
  const saved = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  await saved;
  await expect(recording).not.toHaveAttribute("src", /&stale$/);
  await expect.poll(position).toBe(2);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("an uploaded HTML page is downloaded, and not opened", async ({ dashboard: page }) => {
  const content = Buffer.from("<script>document.title = 'broken'</script>");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const upload = await callApi<Upload>("POST", "v1/uploads", {
    content_type: "text/html",
    length: content.length,
    sha256,
  });
  expect((await fetch(upload.url, { method: "PUT", headers: upload.headers, body: content })).status).toBe(200);
  const id = await submit("sentiment", { upload: upload.id });
  await waitForTask(id);
  await signIn(page, `#/tasks/${id}`);
  const address = page.url();
  const saved = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  expect(readFileSync(await (await saved).path())).toEqual(content);
  expect(page.url()).toBe(address);
  await page.getByRole("button", { name: "Show the text" }).click();
  await expect(page.locator(".input .prose")).toHaveText(content.toString());
});

test("a resulting text can be copied", async ({ dashboard: page }) => {
  const id = await submit("summarize", { text: "The museum opens its new wing on Saturday. It rains." });
  await waitForTask(id);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, `#/tasks/${id}`);
  await page.getByRole("button", { name: "Copy the text" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("museum");
});
