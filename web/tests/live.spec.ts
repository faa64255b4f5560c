// How changes arrive: by server-sent events, or by long-polling where the stream is buffered or refused. Local clouds do
// not stream, so these tests mock the stream.

import { TOKEN, URL_OF_STACK, expect, pollOnly, recordStates, signIn, submit, test } from "./stack";

const EVENTS = `${URL_OF_STACK}v1/events`;

test("changes arrive by the stream, each once, and no address has the token", async ({ dashboard: page }) => {
  await page.route(/\/v1\/changes/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), links: { events: EVENTS } } });
  });
  const requests: { address: string; token: string | null; after: string | null }[] = [];
  /** The event of the next stream. */
  let event = "";
  await page.route(EVENTS, async (route) => {
    const request = route.request();
    requests.push({
      address: request.url(),
      token: await request.headerValue("x-service-token"),
      after: await request.headerValue("last-event-id"),
    });
    const body = `: live\nretry: 50\n\n${event}`;
    event = "";
    await route.fulfill({ contentType: "text/event-stream", body });
  });
  const order = String(Date.now());
  await signIn(page, `#/tasks?metadata.order=${order}`);
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  await expect(page.getByText("No task matches these filters")).toBeVisible();
  const id = await submit("sentiment", { text: "fine" }, { metadata: { order } });
  const change = { cursor: "9000000", id, type: "sentiment", status: "pending", previous_status: null };
  const data = JSON.stringify({ ...change, generation: 1, attempt: 0 });
  event = `id: 9000000\nevent: change\ndata: ${data}\n\n`;
  await expect(page.getByRole("list", { name: "Tasks" }).getByRole("listitem")).toHaveCount(1);
  const later = () => requests.filter(({ after }) => after === "9000000").length;
  await expect.poll(later).toBeGreaterThan(1);
  expect(requests.every(({ address, token }) => token === TOKEN && !address.includes(TOKEN))).toBe(true);
  // Each stream continues where the one before it ended.
  const first = requests[0]?.after ?? "";
  expect(first).toMatch(/^\d+$/);
  const afters = requests.map((_, at) => (at < requests.length - later() ? first : "9000000"));
  expect(requests.map(({ after }) => after)).toEqual(afters);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("the page polls where a proxy buffers the stream", async ({ dashboard: page }) => {
  await page.route(/\/v1\/changes(?!\?after)/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), links: { events: EVENTS } } });
  });
  let streams = 0;
  await page.route(EVENTS, () => {
    // There is no response.
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

test("the page polls where the stream is refused or can't be reached", async ({ dashboard: page }) => {
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

test("a stream that fails later is tried again after a delay, and the page polls until then", async ({
  dashboard: page,
}) => {
  await page.clock.install();
  let polls = 0;
  await page.route(/\/v1\/changes/, async (route) => {
    const after = new URL(route.request().url()).searchParams.get("after");
    if (after !== null) polls += 1;
    await route.fulfill({ json: { changes: [], next: after ?? "7", links: { events: EVENTS } } });
  });
  let streams = 0;
  let isRefused = false;
  await page.route(EVENTS, (route) => {
    streams += 1;
    // A refusal without CORS headers looks to the page like a network error.
    if (isRefused) return route.abort("blockedbyclient");
    return route.fulfill({ contentType: "text/event-stream", body: ": live\nretry: 50\n\n" });
  });
  await signIn(page, "#/submit");
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  const states = await recordStates(page);
  isRefused = true;
  await expect(page.getByTitle("by long-polling")).toBeVisible();
  const before = { polls, streams };
  await expect.poll(() => polls - before.polls).toBeGreaterThan(3);
  expect(streams, "streams opened without a delay").toBe(before.streams);
  isRefused = false;
  await page.clock.fastForward(31_000);
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  expect(await states()).not.toContain("Offline");
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a stream that is cut is opened again after the last event, and the page is not offline", async ({
  dashboard: page,
}) => {
  await page.route(/\/v1\/changes/, (route) =>
    route.fulfill({ json: { changes: [], next: "7", links: { events: EVENTS } } }),
  );
  // Playwright fulfills a request with a complete body, so the stream is mocked and cut within the page.
  await page.addInitScript((events) => {
    const afters: (string | null)[] = [];
    Object.assign(window, { afters });
    const fetchOriginal = window.fetch;
    window.fetch = async (address, init) => {
      if (address !== events) return fetchOriginal(address, init);
      afters.push(new Headers(init?.headers).get("last-event-id"));
      const change = `id: 9\nevent: change\ndata: ${JSON.stringify({ cursor: "9", id: "a", status: "pending" })}\n\n`;
      const text = `: live\nretry: 50\n\n${afters.length === 1 ? change : ""}`;
      const body = new ReadableStream({
        start(stream) {
          stream.enqueue(new TextEncoder().encode(text));
          setTimeout(() => stream.error(new TypeError("network error")), 50);
        },
      });
      return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
    };
  }, EVENTS);
  await signIn(page, "#/submit");
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  const states = await recordStates(page);
  const afters = () => page.evaluate(() => (window as unknown as { afters: (string | null)[] }).afters);
  await expect.poll(async () => (await afters()).length).toBeGreaterThan(5);
  expect((await afters()).slice(0, 4)).toEqual(["7", "9", "9", "9"]);
  expect(await states()).toEqual([]);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a page whose cursor has expired reads everything again", async ({ dashboard: page }) => {
  const away = String(Date.now());
  let expired = 0;
  await pollOnly(page);
  await page.route(/\/v1\/changes\?after/, async (route) => {
    if (expired > 0) return route.fallback();
    expired += 1;
    await submit("sentiment", { text: "fine" }, { metadata: { away } });
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
  await expect(page.getByText(`away: ${away}`)).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "Live" })).toBeVisible();
  expect(expired).toBe(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
