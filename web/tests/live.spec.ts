// How changes arrive: by server-sent events where the stack tells of them, and by asking where they are held back on
// their way. A local cloud streams nothing, so the stream is played here, between the page and the network.

import { TOKEN, URL_OF_STACK, expect, signIn, states, submit, test } from "./stack";

const EVENTS = `${URL_OF_STACK}v1/events`;

test("changes are streamed where there is a stream, each once, with the token in no address", async ({
  dashboard: page,
}) => {
  await page.route(/\/v1\/changes/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), links: { events: EVENTS } } });
  });
  const asked: { address: string; token: string | null; after: string | null }[] = [];
  /** What the next stream tells. */
  let event = "";
  await page.route(EVENTS, async (route) => {
    const request = route.request();
    asked.push({
      address: request.url(),
      token: await request.headerValue("x-service-token"),
      after: await request.headerValue("last-event-id"),
    });
    const told = event;
    event = "";
    await route.fulfill({ contentType: "text/event-stream", body: `: live\nretry: 50\n\n${told}` });
  });
  const order = String(Date.now());
  await signIn(page, `#/tasks?metadata.order=${order}`);
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  await expect(page.getByText("No task fits these filters")).toBeVisible();
  const id = await submit("sentiment", { text: "fine" }, { metadata: { order } });
  const change = { cursor: "9000000", id, type: "sentiment", status: "pending", previous_status: null };
  const data = JSON.stringify({ ...change, generation: 1, attempt: 0 });
  event = `id: 9000000\nevent: change\ndata: ${data}\n\n`;
  await expect(page.getByRole("list", { name: "Tasks" }).getByRole("listitem")).toHaveCount(1);
  const later = () => asked.filter(({ after }) => after === "9000000").length;
  await expect.poll(later).toBeGreaterThan(1);
  expect(asked.every(({ address, token }) => token === TOKEN && !address.includes(TOKEN))).toBe(true);
  // Each goes on where the one before it ended.
  const begun = asked[0]?.after ?? "";
  expect(begun).toMatch(/^\d+$/);
  const afters = asked.map((_, at) => (at < asked.length - later() ? begun : "9000000"));
  expect(asked.map(({ after }) => after)).toEqual(afters);
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

test("a stream that is refused later is asked for again after a while, and the page is not offline meanwhile", async ({
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
    // A refusal that does not let pages of other origins read it looks like no answer at all.
    if (isRefused) return route.abort("blockedbyclient");
    return route.fulfill({ contentType: "text/event-stream", body: ": live\nretry: 50\n\n" });
  });
  await signIn(page, "#/submit");
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  const told = await states(page);
  isRefused = true;
  await expect(page.getByTitle("by long-polling")).toBeVisible();
  const before = { polls, streams };
  await expect.poll(() => polls - before.polls).toBeGreaterThan(3);
  expect(streams, "asked for again at once").toBe(before.streams);
  isRefused = false;
  await page.clock.fastForward(31_000);
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  expect(await told()).not.toContain("Offline");
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a stream that is cut is opened again where it was, and the page is not offline", async ({ dashboard: page }) => {
  await page.route(/\/v1\/changes/, (route) =>
    route.fulfill({ json: { changes: [], next: "7", links: { events: EVENTS } } }),
  );
  // What is played between the page and the network comes whole: this stream is cut within the page.
  await page.addInitScript((events) => {
    const afters: (string | null)[] = [];
    Object.assign(window, { afters });
    const ask = window.fetch;
    window.fetch = async (address, init) => {
      if (address !== events) return ask(address, init);
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
  const told = await states(page);
  const afters = () => page.evaluate(() => (window as unknown as { afters: (string | null)[] }).afters);
  await expect.poll(async () => (await afters()).length).toBeGreaterThan(5);
  expect((await afters()).slice(0, 4)).toEqual(["7", "9", "9", "9"]);
  expect(await told()).toEqual([]);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("whoever was away for too long reads everything anew", async ({ dashboard: page }) => {
  const away = String(Date.now());
  let gone = 0;
  await page.route(/\/v1\/changes\?after/, async (route) => {
    if (gone > 0) return route.fallback();
    gone += 1;
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
  expect(gone).toBe(1);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});
