// How changes arrive: by server-sent events where the stack tells of them, and by asking where they are held back on
// their way. A local cloud streams nothing, so the stream is played here, between the page and the network.

import { TOKEN, URL_OF_STACK, expect, signIn, submit, test } from "./stack";

const EVENTS = `${URL_OF_STACK}v1/events`;

test("changes are streamed where there is a stream, each once, with the token in no address", async ({
  dashboard: page,
}) => {
  await page.route(/\/v1\/changes/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), links: { events: EVENTS } } });
  });
  const asked: { address: string; token: string | null; after: string | null }[] = [];
  let order = "";
  await page.route(EVENTS, async (route) => {
    const request = route.request();
    asked.push({
      address: request.url(),
      token: await request.headerValue("x-service-token"),
      after: await request.headerValue("last-event-id"),
    });
    // The first tells of a task that has come meanwhile; the one after it ended, of nothing more.
    const [at, id] =
      asked.length === 1 ? [9_000_000, await submit("sentiment", { text: "fine" }, { metadata: { order } })] : [];
    const change = {
      cursor: String(at),
      id,
      type: "sentiment",
      status: "pending",
      previous_status: null,
      generation: 1,
      attempt: 0,
    };
    const event = id === undefined ? "" : `id: ${at}\nevent: change\ndata: ${JSON.stringify(change)}\n\n`;
    await route.fulfill({ contentType: "text/event-stream", body: `: live\nretry: 50\n\n${event}` });
  });
  order = String(Date.now());
  await signIn(page, `#/tasks?metadata.order=${order}`);
  await expect(page.getByRole("list", { name: "Tasks" }).getByRole("listitem")).toHaveCount(1);
  await expect.poll(() => asked.length).toBeGreaterThan(2);
  expect(asked.every(({ address, token }) => token === TOKEN && !address.includes(TOKEN))).toBe(true);
  expect(asked[0]?.after).toMatch(/^\d+$/);
  expect(asked.slice(1).map(({ after }) => after)).toEqual(asked.slice(1).map(() => "9000000"));
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a stream that is held back is given up for asking", async ({ dashboard: page }) => {
  await page.route(/\/v1\/changes(?!\?after)/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), links: { events: EVENTS } } });
  });
  let streams = 0;
  await page.route(EVENTS, () => {
    // Never answered.
    streams += 1;
  });
  await signIn(page);
  await expect(page.getByTitle("by long-polling")).toBeVisible();
  const order = String(Date.now());
  await submit("sentiment", { text: "fine" }, { metadata: { order } });
  await expect(page.getByText(`order: ${order}`)).toBeVisible();
  expect(streams).toBe(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a stream that is refused or can't be reached is given up for asking", async ({ dashboard: page }) => {
  for (const status of [403, undefined]) {
    await page.route(/\/v1\/changes(?!\?after)/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), links: { events: EVENTS } } });
    });
    await page.route(EVENTS, (route) =>
      status === undefined ? route.abort("blockedbyclient") : route.fulfill({ status }),
    );
    await signIn(page);
    await expect(page.getByTitle("by long-polling")).toBeVisible();
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await page.getByRole("button", { name: "Sign out" }).click();
  }
});

test("whoever was away for too long reads everything anew", async ({ dashboard: page }) => {
  let gone = 0;
  await page.route(/\/v1\/changes\?after/, async (route) => {
    if (gone > 0) return route.fallback();
    gone += 1;
    await submit("sentiment", { text: "fine" }, { metadata: { away: "yes" } });
    const problem = {
      type: "urn:ai-mesh:problem:changes-gone",
      title: "Gone",
      status: 410,
      detail: "Gone",
      request_id: "1",
    };
    await route.fulfill({ status: 410, contentType: "application/problem+json", json: problem });
  });
  await signIn(page);
  await expect(page.getByText("away: yes").first()).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
  expect(gone).toBe(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
