// The form, misused: files that are none or too many, answers that are lost, buttons pressed twice.

import type { Page } from "@playwright/test";

import { TOKEN, URL_OF_STACK, expect, signIn, test, testdata, visit } from "./stack";

interface Dropped {
  name: string;
  type: string;
  bytes: number;
  /** What they are filled with: zeros if nothing is said. */
  filler?: string;
}

/** Drops files on the place for them. */
async function drop(page: Page, files: Dropped[]): Promise<void> {
  await page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const { name, type, bytes, filler = "\0" } of files) {
      dataTransfer.items.add(new File([filler.repeat(bytes)], name, { type }));
    }
    const place = document.querySelector(".drop");
    for (const kind of ["dragover", "drop"]) {
      place?.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, files);
}

async function tasksWith(order: string): Promise<number> {
  const address = new URL(`v1/tasks?metadata.order=${order}`, URL_OF_STACK);
  const answer = await fetch(address, { headers: { "X-Service-Token": TOKEN } });
  return ((await answer.json()) as { tasks: object[] }).tasks.length;
}

test("files that can be no input are told before they are read", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=face_detection");
  const told = page.getByRole("alert");
  const photo = { name: "photo.png", type: "image/png", bytes: 10 };
  for (const [files, words] of [
    [[{ name: "notes.txt", type: "text/plain", bytes: 10 }], "This is no picture"],
    [[photo, { ...photo, name: "other.png" }], "These are several files"],
    [[{ ...photo, bytes: 60_000_000 }], "60 MB. A picture may have 50 MB."],
    [[{ ...photo, bytes: 0 }], "The file is empty"],
  ] as const) {
    await drop(page, [...files]);
    await expect(told).toContainText(words);
    await expect(page.locator(".chosen-file")).toHaveCount(0);
  }
  await page.evaluate(() => {
    DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true }) as FileSystemEntry;
  });
  await drop(page, [{ name: "folder", type: "", bytes: 4_096 }]);
  await expect(told).toContainText("no folder");
  await visit(page, "#/submit?type=sentiment");
  await expect(told).toHaveCount(0);
});

test("a recording in Ogg is one, by whichever name the browser knows it", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=transcribe");
  for (const type of ["audio/ogg", "video/ogg", "application/ogg"]) {
    await drop(page, [{ name: "talk.ogg", type, bytes: 3_100_000 }]);
    await expect(page.locator(".chosen-file"), type).toContainText("talk.ogg");
    await expect(page.getByRole("alert"), type).toHaveCount(0);
    await page.route(/\/v1\/uploads$/, (route) => route.abort("blockedbyclient"));
    const announced = page.waitForRequest(/\/v1\/uploads$/);
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    expect((await announced).postDataJSON(), type).toMatchObject({ content_type: "audio/ogg" });
    await expect(page.getByRole("alert"), type).toBeVisible();
    await page.getByRole("button", { name: "Remove" }).focus();
    await page.keyboard.press("Enter");
    await expect(page.locator("#file"), "the button has gone").toBeFocused();
  }
  await drop(page, [{ name: "talk.ogv", type: "video/mp4", bytes: 10 }]);
  await expect(page.getByRole("alert")).toContainText("This is no recording");
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a picture, a document or a long file dropped on a text leaves the text as it is", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=sentiment");
  await page.getByLabel("Text", { exact: true }).fill("What I wrote.");
  await drop(page, [{ name: "photo.png", type: "image/png", bytes: 10 }]);
  const told = page.getByRole("alert");
  await expect(told).toContainText("This is no text");
  await drop(page, [{ name: "paper.pdf", type: "application/pdf", bytes: 10, filler: "a" }]);
  await expect(told).toContainText("paper.pdf is of the type application/pdf.");
  await drop(page, [{ name: "things", type: "", bytes: 10 }]);
  await expect(told).toContainText("things holds bytes that stand for no letters.");
  await drop(page, [{ name: "book.txt", type: "text/plain", bytes: 1_200_000 }]);
  await expect(told).toContainText("A text may have 1 MB.");
  await expect(page.getByLabel("Text", { exact: true })).toHaveValue("What I wrote.");
  await drop(page, [{ name: "data.json", type: "application/json", bytes: 3, filler: "1" }]);
  await expect(page.getByLabel("Text", { exact: true })).toHaveValue("111");
  await expect(told).toHaveCount(0);
});

test("a file that misses its place does not take the page away, and text is dropped as ever", async ({
  dashboard: page,
}) => {
  await signIn(page, "#/submit?type=sentiment");
  await expect(page.locator("#text")).toBeVisible();
  const kept = await page.evaluate(() => {
    const dropped = (place: Element | null, fill: (transfer: DataTransfer) => void) => {
      const dataTransfer = new DataTransfer();
      fill(dataTransfer);
      const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
      return place?.dispatchEvent(event);
    };
    const file = (transfer: DataTransfer) => void transfer.items.add(new File(["a"], "a.txt", { type: "text/plain" }));
    const text = (transfer: DataTransfer) => transfer.setData("text/plain", "a piece of text");
    return { missed: dropped(document.body, file), text: dropped(document.querySelector("#text"), text) };
  });
  expect(kept).toEqual({ missed: false, text: true });
});

test("a task whose answer was lost is not submitted a second time", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=sentiment");
  const order = String(Date.now());
  const keys: (string | null)[] = [];
  await page.route(/\/v1\/tasks$/, async (route) => {
    keys.push(await route.request().headerValue("idempotency-key"));
    const response = await route.fetch();
    if (keys.length === 1) await route.abort("blockedbyclient");
    else await route.fulfill({ response });
  });
  await page.getByLabel("Text", { exact: true }).fill("What a delightful little machine.");
  await page.getByLabel("Metadata", { exact: true }).fill(`order=${order}`);
  const button = page.getByRole("button", { name: "Submit", exact: true });
  await button.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("does not answer");
  await expect(button, "the focus stays where one goes on").toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator(".verdict")).toBeVisible();
  expect(keys).toHaveLength(2);
  expect(keys[1]).toBe(keys[0]);
  expect(await tasksWith(order)).toBe(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a button that is pressed twice submits once", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=sentiment");
  const order = String(Date.now());
  await page.getByLabel("Text", { exact: true }).fill("What a delightful little machine.");
  await page.getByLabel("Metadata", { exact: true }).fill(`order=${order}`);
  let sent = 0;
  page.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/v1/tasks")) sent += 1;
  });
  await page.getByRole("button", { name: "Submit", exact: true }).dblclick();
  await expect(page.locator(".verdict")).toBeVisible();
  // Two of the same would still be one task, by their key.
  expect(sent).toBe(1);
  expect(await tasksWith(order)).toBe(1);
});

test("whoever leaves while a file is sent is not fetched back", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=face_detection");
  const file = { name: "astronaut.png", mimeType: "image/png", buffer: testdata("astronaut.png") };
  await page.locator("#file").setInputFiles(file);
  let release = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await page.route(/\/v1\/tasks$/, async (route) => {
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  });
  const sent = page.waitForResponse(/\/v1\/tasks$/);
  await page.getByRole("button", { name: "Submit", exact: true }).click();
  await expect(page.getByText("Sending…")).toBeVisible();
  await page.getByRole("link", { name: "Workers" }).click();
  release();
  await (await sent).finished();
  await page.waitForResponse((response) => response.url().endsWith("/v1/stats"));
  await expect(page).toHaveURL(/#\/workers$/);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
