// Misuse of the form: wrong files, lost responses, buttons pressed twice.

import type { Page } from "@playwright/test";

import { TOKEN, URL_OF_STACK, expect, signIn, test, testdata, visit } from "./stack";

interface DroppedFile {
  name: string;
  type: string;
  bytes: number;
  /** The character that the content repeats; NUL if it is not given. */
  filler?: string;
}

/** Drops files on the drop area of the form. */
async function drop(page: Page, files: DroppedFile[]): Promise<void> {
  await page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const { name, type, bytes, filler = "\0" } of files) {
      dataTransfer.items.add(new File([filler.repeat(bytes)], name, { type }));
    }
    const area = document.querySelector(".drop");
    for (const kind of ["dragover", "drop"]) {
      area?.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, files);
}

async function countTasks(order: string): Promise<number> {
  const address = new URL(`v1/tasks?metadata.order=${order}`, URL_OF_STACK);
  const answer = await fetch(address, { headers: { "X-Service-Token": TOKEN } });
  return ((await answer.json()) as { tasks: object[] }).tasks.length;
}

test("files that can't be an input are refused before they are read", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=face_detection");
  const alert = page.getByRole("alert");
  const photo = { name: "photo.png", type: "image/png", bytes: 10 };
  for (const [files, text] of [
    [[{ name: "notes.txt", type: "text/plain", bytes: 10 }], "This is not a picture"],
    [[photo, { ...photo, name: "other.png" }], "These are several files"],
    [[{ ...photo, bytes: 60_000_000 }], "60 MB. A picture may have 50 MB."],
    [[{ ...photo, bytes: 0 }], "The file is empty"],
  ] as const) {
    await drop(page, [...files]);
    await expect(alert).toContainText(text);
    await expect(page.locator(".chosen-file")).toHaveCount(0);
  }
  await page.evaluate(() => {
    DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true }) as FileSystemEntry;
  });
  await drop(page, [{ name: "folder", type: "", bytes: 4_096 }]);
  await expect(alert).toContainText("not a folder");
  await visit(page, "#/submit?type=sentiment");
  await expect(alert).toHaveCount(0);
});

test("an Ogg recording is accepted under each media type that browsers use", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=transcribe");
  for (const type of ["audio/ogg", "video/ogg", "application/ogg"]) {
    await drop(page, [{ name: "talk.ogg", type, bytes: 3_100_000 }]);
    await expect(page.locator(".chosen-file"), type).toContainText("talk.ogg");
    await expect(page.getByRole("alert"), type).toHaveCount(0);
    await page.route(/\/v1\/uploads$/, (route) => route.abort("blockedbyclient"));
    const upload = page.waitForRequest(/\/v1\/uploads$/);
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    expect((await upload).postDataJSON(), type).toMatchObject({ content_type: "audio/ogg" });
    await expect(page.getByRole("alert"), type).toBeVisible();
    await page.getByRole("button", { name: "Remove" }).focus();
    await page.keyboard.press("Enter");
    await expect(page.locator("#file"), "the button is gone").toBeFocused();
  }
  await drop(page, [{ name: "talk.ogv", type: "video/mp4", bytes: 10 }]);
  await expect(page.getByRole("alert")).toContainText("This is not a recording");
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a picture, a document or a long file that is dropped on the text field does not change the text", async ({
  dashboard: page,
}) => {
  await signIn(page, "#/submit?type=sentiment");
  await page.getByLabel("Text", { exact: true }).fill("What I wrote.");
  await drop(page, [{ name: "photo.png", type: "image/png", bytes: 10 }]);
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("This is not a text");
  await drop(page, [{ name: "paper.pdf", type: "application/pdf", bytes: 10, filler: "a" }]);
  await expect(alert).toContainText("paper.pdf is of the type application/pdf.");
  await drop(page, [{ name: "things", type: "", bytes: 10 }]);
  await expect(alert).toContainText("things contains bytes that are not characters.");
  await drop(page, [{ name: "book.txt", type: "text/plain", bytes: 1_200_000 }]);
  await expect(alert).toContainText("A text may have 1 MB.");
  await expect(page.getByLabel("Text", { exact: true })).toHaveValue("What I wrote.");
  await drop(page, [{ name: "data.json", type: "application/json", bytes: 3, filler: "1" }]);
  await expect(page.getByLabel("Text", { exact: true })).toHaveValue("111");
  await expect(alert).toHaveCount(0);
});

test("a file dropped outside of the drop area does not replace the page, and the browser handles dropped text", async ({
  dashboard: page,
}) => {
  await signIn(page, "#/submit?type=sentiment");
  await expect(page.locator("#text")).toBeVisible();
  const isDefault = await page.evaluate(() => {
    const dropped = (target: Element | null, fill: (transfer: DataTransfer) => void) => {
      const dataTransfer = new DataTransfer();
      fill(dataTransfer);
      const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
      return target?.dispatchEvent(event);
    };
    const file = (transfer: DataTransfer) => void transfer.items.add(new File(["a"], "a.txt", { type: "text/plain" }));
    const text = (transfer: DataTransfer) => transfer.setData("text/plain", "a piece of text");
    return { missed: dropped(document.body, file), text: dropped(document.querySelector("#text"), text) };
  });
  expect(isDefault).toEqual({ missed: false, text: true });
});

test("a repeat after a lost response creates no second task", async ({ dashboard: page }) => {
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
  await expect(page.getByRole("alert")).toContainText("not responding");
  await expect(button, "the focus stays on the button").toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator(".headline")).toBeVisible();
  expect(keys).toHaveLength(2);
  expect(keys[1]).toBe(keys[0]);
  expect(await countTasks(order)).toBe(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a button pressed twice submits once", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=sentiment");
  const order = String(Date.now());
  await page.getByLabel("Text", { exact: true }).fill("What a delightful little machine.");
  await page.getByLabel("Metadata", { exact: true }).fill(`order=${order}`);
  let sent = 0;
  page.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/v1/tasks")) sent += 1;
  });
  await page.getByRole("button", { name: "Submit", exact: true }).dblclick();
  await expect(page.locator(".headline")).toBeVisible();
  // The key makes two requests one task, so the requests are counted, too.
  expect(sent).toBe(1);
  expect(await countTasks(order)).toBe(1);
});

test("a user who leaves the form while a file is sent stays on the other page", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=face_detection");
  const file = { name: "astronaut.png", mimeType: "image/png", buffer: testdata("astronaut.png") };
  await page.locator("#file").setInputFiles(file);
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(/\/v1\/tasks$/, async (route) => {
    const response = await route.fetch();
    await released;
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
