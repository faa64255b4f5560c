// The API's documentation at /docs. It is not part of the dashboard, but needs a browser, too.

import axe from "axe-core";

import { TOKEN, URL_OF_STACK, expect, test, testdata } from "./stack";

test("the documentation shows every operation and sends requests", async ({ dashboard: page }) => {
  await page.goto(`${URL_OF_STACK}docs`);
  const operations = page.locator("details.operation");
  const paths = await page.evaluate(async () => {
    const document = await (await fetch("openapi.json")).json();
    return Object.values<object>(document.paths).flatMap((item) => Object.keys(item)).length;
  });
  await expect(operations).toHaveCount(paths);
  // Each is rendered when it is opened. An error on the console fails the test.
  for (const operation of await operations.all()) {
    await operation.locator("summary").first().click();
    await expect(operation.getByRole("button", { name: "Send" })).toBeVisible();
  }
  await page.evaluate(axe.source);
  const serious = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run(document);
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.html}`));
  });
  expect(serious).toEqual([]);

  await page.getByLabel("Token").fill(TOKEN);
  const models = page.locator("#get-v-models");
  await models.getByRole("button", { name: "Send" }).click();
  await expect(models.locator("pre").last()).toContainText("minilm-sentiment");
  const form = page.locator("#post-enqueue");
  const file = { name: "photo.png", mimeType: "image/png", buffer: testdata("astronaut.png") };
  await form.getByLabel("file", { exact: true }).setInputFiles(file);
  await form.getByRole("button", { name: "Send" }).click();
  await expect(form.locator("pre").last()).toContainText("task_id");
});
