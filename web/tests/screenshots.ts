// Screenshots of the main pages for docs/DASHBOARD.md. `cargo xtask web --screenshots` starts a stack for them. With
// `npm run screenshots` the stack's functions must be built in the dev profile, so that some tasks time out.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { compressed } from "./png";
import { expect, signIn, submit, submitMany, test, testdata, visit, waitForTask } from "./stack";

const FOLDER = process.env["AI_MESH_IMAGES"] ?? join(import.meta.dirname, "../../docs/images");
/** A page of which OCR takes seconds. */
const COLUMNS = join(import.meta.dirname, "../../crates/models/testdata/columns.png");

const TEXTS = [
  "I loved every minute of it: warm, funny and beautifully acted.",
  "The second half drags, and the ending makes no sense at all.",
  "It arrived on Tuesday, in a brown box.",
  "A dull, joyless film that wastes a fine cast.",
];

test.use({ viewport: { width: 1180, height: 780 } });

test("screenshots of the main pages", async ({ dashboard: page }) => {
  test.setTimeout(300_000);
  const image = (name: string) => `data:image/png;base64,${testdata(name).toString("base64")}`;
  const faces = await submit("face_detection", { image: image("astronaut.png") }, { metadata: { album: "crew" } });
  const sheet = await submit("ocr", { image: image("page.png") }, { metadata: { book: "7" } });
  await submitMany(
    Array.from({ length: 24 }, (_, at) => {
      const text = TEXTS[at % TEXTS.length];
      const metadata = { order: String(1_040 + at), customer: ["blue", "green", "grey"][at % 3] };
      const labels = ["film", "shopping", "weather"];
      const input = at % 5 === 1 ? { text, labels } : { text };
      const type = at % 5 === 1 ? "classify" : at % 5 === 3 ? "embed" : "sentiment";
      return { type, input, metadata, priority: at % 7 === 2 ? "high" : "normal" };
    }),
  );
  const recording = testdata("beckett.wav").toString("base64");
  const timingOut = { max_attempts: 1, timeout_seconds: 1 };
  const dead = await Promise.all([
    submit("transcribe", { audio: recording }, { ...timingOut, metadata: { call: "318" } }),
    submit("transcribe", { audio: recording }, { ...timingOut, metadata: { call: "319" } }),
    submit("ocr", { image: readFileSync(COLUMNS).toString("base64") }, { ...timingOut, metadata: { book: "8" } }),
  ]);
  const classified = await submit("classify", { text: TEXTS[0], labels: ["film", "sports", "cooking", "politics"] });
  await submit("translate", { text: TEXTS[0], target_language: "German" }, { metadata: { order: "1066" } });
  await Promise.all([faces, sheet, classified, ...dead].map(waitForTask));

  await signIn(page);
  await expect(page.getByRole("list", { name: "Tasks" }).getByRole("listitem").nth(10)).toBeVisible();
  await waitForStats(page);
  await take(page, "list.png");

  await visit(page, `#/tasks/${faces}`);
  await expect(page.locator(".overlay svg .box").first()).toBeVisible();
  await take(page, "faces.png");
  await page.getByRole("button", { name: "Use the dark theme" }).click();
  await visit(page, `#/tasks/${sheet}`);
  await expect(page.locator(".overlay svg .box").first()).toBeVisible();
  await page.getByRole("button", { name: /Let us first/ }).focus();
  await take(page, "page-dark.png");
  await page.getByRole("button", { name: "Use the light theme" }).click();

  await visit(page, "#/dead-letters");
  await expect(
    page
      .getByRole("list", { name: /Dead letters/ })
      .getByRole("listitem")
      .nth(2),
  ).toBeVisible();
  await take(page, "dead-letters.png");

  await visit(page, "#/workers");
  await submitMany(Array.from({ length: 200 }, (_, at) => ({ type: "sentiment", input: { text: TEXTS[at % 4] } })));
  await submitMany(Array.from({ length: 30 }, () => ({ type: "ocr", input: { image: image("page.png") } })));
  await expect(page.locator(".chart polyline").first()).toBeAttached();
  await waitForStats(page, 12);
  await take(page, "workers.png");

  await visit(page, "#/submit?type=face_detection");
  await page.getByRole("button", { name: "Use an example" }).click();
  await expect(page.locator(".chosen-file img")).toBeVisible();
  await take(page, "submit.png");

  await page.setViewportSize({ width: 390, height: 780 });
  await visit(page, "#/tasks");
  await expect(page.getByRole("list", { name: "Tasks" }).getByRole("listitem").nth(5)).toBeVisible();
  await take(page, "phone.png");
});

/** Waits until the page has read the counters this many times more. */
async function waitForStats(page: Page, times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await page.waitForResponse((response) => response.url().endsWith("/v1/stats"));
  }
}

async function take(page: Page, name: string): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, name), await compressed(page, await page.screenshot()));
}
