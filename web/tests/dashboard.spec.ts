// The main tasks of a user, in a browser.

import { TASK_TYPES } from "../src/labels";
import { mockChanges, mockList, mockTask, mockTasks } from "./mockApi";
import { TOKEN, URL_OF_STACK, expect, signIn, submit, test, testdata, visit, waitForTask } from "./stack";

test("a wrong token is refused, and the right one signs in and appears in no address", async ({ dashboard: page }) => {
  const addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  await page.goto(URL_OF_STACK);
  await page.getByLabel("Service token").fill("not-the-token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("does not accept");
  await page.getByLabel("Service token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
  expect(addresses.filter((address) => address.includes(TOKEN))).toEqual([]);
  const stored = await page.evaluate(() => JSON.stringify(localStorage) + document.cookie);
  expect(stored).not.toContain(TOKEN);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByLabel("Service token")).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
});

test("the policy forbids other hosts, and browsers revalidate the page", async ({ request }) => {
  const page = await request.get(URL_OF_STACK);
  const policy = page.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).not.toContain("unsafe");
  expect(page.headers()["cache-control"]).toBe("no-cache");
  expect((await request.get(URL_OF_STACK.replace(/\/$/, ""))).url(), "redirect of the address without its slash").toBe(
    URL_OF_STACK,
  );
  const etag = page.headers()["etag"] ?? "";
  const again = await request.get(URL_OF_STACK, { headers: { "If-None-Match": etag } });
  expect(again.status()).toBe(304);
  const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
  const asset = await request.get(URL_OF_STACK + script);
  expect(asset.headers()["content-type"]).toBe("text/javascript; charset=utf-8");
  expect(asset.headers()["cache-control"]).toContain("immutable");
  for (const path of [
    "assets/..%2findex.html",
    "assets/..%2f..%2fbootstrap",
    "assets/nothing.js",
    "assets/index.html",
  ]) {
    expect((await request.get(URL_OF_STACK + path)).status(), path).toBe(404);
  }
});

test("a dropped photograph is shown with boxes around its faces", async ({ dashboard: page }) => {
  await signIn(page, "#/submit?type=face_detection");
  const photo = testdata("astronaut.png").toString("base64");
  const transfer = await page.evaluateHandle((photo) => {
    const bytes = Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "astronaut.png", { type: "image/png" }));
    return transfer;
  }, photo);
  const drop = page.locator(".drop");
  await drop.dispatchEvent("dragover", { dataTransfer: transfer });
  await drop.dispatchEvent("drop", { dataTransfer: transfer });
  await expect(page.getByText("astronaut.png")).toBeVisible();
  await page.getByRole("button", { name: "Submit", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Detect faces" })).toBeVisible();
  await expect(page.getByText("1 face", { exact: true })).toBeVisible();
  const box = page.locator(".overlay svg .box");
  await expect(box).toHaveCount(1);
  // In pixels of the picture, around the face.
  expect(Number(await box.getAttribute("x"))).toBeGreaterThan(150);
  expect(Number(await box.getAttribute("x"))).toBeLessThan(220);
  const sizes = await page.locator(".overlay").evaluate((overlay) => {
    const [img, svg] = [overlay.querySelector("img"), overlay.querySelector("svg")];
    return [img?.naturalWidth, svg?.getBoundingClientRect().width, img?.getBoundingClientRect().width];
  });
  expect(sizes[0]).toBe(512);
  expect(sizes[1]).toBeCloseTo(sizes[2] ?? 0, 0);
});

test("a picture too large for a request is uploaded first", async ({ dashboard: page }) => {
  // A white bitmap of 4.3 MB.
  const [width, height] = [1_200, 1_200];
  const bitmap = Buffer.alloc(54 + 3 * width * height, 0xff);
  bitmap.fill(0, 0, 54);
  bitmap.write("BM");
  bitmap.writeUInt32LE(bitmap.length, 2);
  bitmap.writeUInt32LE(54, 10);
  bitmap.writeUInt32LE(40, 14);
  bitmap.writeInt32LE(width, 18);
  bitmap.writeInt32LE(height, 22);
  bitmap.writeUInt16LE(1, 26);
  bitmap.writeUInt16LE(24, 28);
  await signIn(page, "#/submit?type=face_detection");
  const uploads: string[] = [];
  page.on("request", (request) => {
    if (request.method() === "PUT") uploads.push(request.url());
  });
  await page.locator("#file").setInputFiles({ name: "white.bmp", mimeType: "image/bmp", buffer: bitmap });
  await page.getByRole("button", { name: "Submit", exact: true }).click();
  await expect(page.getByText("No face found", { exact: true })).toBeVisible();
  expect(uploads).toHaveLength(1);
});

test("the example of each type can be submitted", async ({ dashboard: page }) => {
  test.setTimeout(240_000);
  await signIn(page, "#/submit");
  const shown: Record<string, string | RegExp> = {
    sentiment: "POSITIVE",
    classify: "sports",
    embed: "384 numbers",
    summarize: /museum/i,
    translate: "This stack has no language model",
    data_extraction: "This stack has no language model",
    face_detection: "1 face",
    ocr: /reading\s*room/i,
    transcribe: /tried/i,
  };
  for (const type of TASK_TYPES) {
    await visit(page, `#/submit?type=${type}`);
    await page.getByRole("button", { name: "Use an example" }).click();
    const filled = page.locator("textarea:not(:placeholder-shown), .chosen-file").first();
    await expect(filled, type).toBeVisible();
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    await expect(page, type).toHaveURL(/#\/tasks\//);
    const place = page.locator('section[aria-label="Result"], section[aria-label="Error"]');
    await expect(place, type).toContainText(shown[type] ?? "", { timeout: 60_000 });
  }
});

test("changes are shown without a reload", async ({ dashboard: page }) => {
  await signIn(page);
  const order = String(Date.now());
  await page.getByLabel("Metadata, as key=value").fill(`order=${order}`);
  await page.getByRole("button", { name: "Add" }).click();
  await expect(page.getByText("No task matches these filters")).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
  const id = await submit("sentiment", { text: "What a delightful little machine." }, { metadata: { order } });
  const row = page.getByRole("link").filter({ hasText: id.slice(-8) });
  await expect(row).toBeVisible();
  await expect(row).toContainText("Completed");
  await row.click();
  await expect(page.locator(".headline")).toContainText("POSITIVE");
  await page.getByRole("link", { name: "← Tasks" }).click();
  await expect(page.getByRole("button", { name: "Remove the filter order" })).toBeVisible();
});

test("a task is cancelled and retried on its page", async ({ dashboard: page }) => {
  await signIn(page);
  // Each attempt fails, so that the task is always waiting for the next one.
  const id = await submit("sentiment", { text: "fine" }, { max_attempts: 10, metadata: { fault: "transient:10" } });
  await visit(page, `#/tasks/${id}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator(".task-head .status")).toHaveText("Cancelled");
  await expect(page.getByRole("button", { name: "Cancel" })).toHaveCount(0);
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page.locator(".task-head .status")).not.toHaveText("Cancelled");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator(".task-head .status")).toHaveText("Cancelled");
});

test("a dead letter is listed with its error, and redriven", async ({ dashboard: page }) => {
  const id = await submit("sentiment", { text: "fine" }, { max_attempts: 1, metadata: { fault: "transient:1" } });
  expect((await waitForTask(id)).error?.kind).toBe("exhausted");
  await signIn(page, "#/dead-letters");
  const letter = page.getByRole("listitem").filter({ hasText: id.slice(-8) });
  await expect(letter).toContainText("an injected fault failed attempt 1");
  await letter.getByRole("button", { name: /Redrive/ }).click();
  await expect(page.getByText("1 task has new attempts.")).toBeVisible();
  await visit(page, `#/tasks/${id}`);
  await expect(page.getByText("generation 2").first()).toBeVisible();
});

test("a failed task shows what to do", async ({ dashboard: page }) => {
  const whole = testdata("page.png");
  const id = await submit("ocr", { image: whole.subarray(0, whole.length / 2).toString("base64") });
  await waitForTask(id);
  await signIn(page, `#/tasks/${id}`);
  await expect(page.getByRole("heading", { name: "Failed: invalid_image" })).toBeVisible();
  await expect(page.getByText("Send it whole.")).toBeVisible();
  await visit(page, "#/tasks/019a0000-0000-7000-8000-000000000000");
  await expect(page.getByRole("alert")).toContainText("Task not found");
});

test("a list of a thousand tasks renders few elements", async ({ dashboard: page }) => {
  const tasks = mockTasks(1_000, 1);
  await mockChanges(page);
  await mockList(page, (cursor) => {
    const next = Number(cursor) + 100;
    const more = next < tasks.length ? { next_cursor: String(next) } : {};
    return { tasks: tasks.slice(Number(cursor), next), ...more };
  });
  await signIn(page);
  const rows = page.getByRole("list", { name: "Tasks" }).getByRole("listitem");
  await expect(rows.first()).toBeVisible();
  // Records the largest number of rows that one update adds or changes.
  await page.evaluate(() => {
    const rows = { touched: 0 };
    Object.assign(window, { rows });
    const list = document.querySelector(".rows");
    const observer = new MutationObserver((changes) => {
      const nodes = changes.flatMap(({ target, addedNodes }) => [target, ...addedNodes]);
      const elements = nodes.map((node) => (node instanceof Element ? node : node.parentElement));
      const touched = new Set(elements.map((element) => element?.closest("li")).filter(Boolean));
      rows.touched = Math.max(rows.touched, touched.size);
    });
    if (list) observer.observe(list, { attributes: true, characterData: true, childList: true, subtree: true });
  });
  const last = page.getByRole("link").filter({ hasText: mockTask(1).id.slice(-8) });
  let maxElements = 0;
  for (let turn = 0; turn < 200 && !(await last.isVisible()); turn += 1) {
    await page.mouse.wheel(0, 1_500);
    maxElements = Math.max(maxElements, await page.evaluate(() => document.querySelectorAll("*").length));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  }
  await expect(last).toBeVisible();
  await expect(page.getByText("1000 tasks")).toBeAttached();
  expect(maxElements, "elements in the document at once").toBeLessThan(1_200);
  // No step of scrolling renders more than the rows near the window.
  const touched = await page.evaluate(() => (window as unknown as { rows: { touched: number } }).rows.touched);
  expect(touched, "rows rendered at once").toBeGreaterThan(0);
  expect(touched, "rows rendered at once").toBeLessThan(150);
  // The arrow keys move from row to row.
  await page.keyboard.press("Home");
  await expect(rows.first().getByRole("link")).toBeInViewport();
  await rows.first().getByRole("link").focus();
  for (let row = 0; row < 40; row += 1) await page.keyboard.press("ArrowDown");
  await expect(page.locator("li:focus-within")).toHaveAttribute("aria-posinset", "41");
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
