// The dashboard on a real stream: Chromium reads the event stream's own function piece by piece, across origins, under
// the page's own policy.

import { expect, test } from "@playwright/test";

import { type Host, startHost } from "./host";
import { TOKEN, URL_OF_STACK, finished, signIn, submit } from "./stack";

// A page that a test has touched is from nowhere to the browser, which asks before it lets that reach this machine.
test.use({ permissions: ["local-network-access"] });

/** The function's timeout. A stream of it lasts 5 seconds less. */
const SECONDS = 15;

/** The address that the stack gives for its event stream: its local cloud would gather the answer. */
function eventsUrl(): string {
  const address = process.env["EVENTS_URL"];
  if (!address) throw new Error("set EVENTS_URL: `cargo xtask up` writes it into .local/stack.env");
  return address;
}

async function cursor(): Promise<string> {
  const answer = await fetch(new URL("v1/changes", URL_OF_STACK), { headers: { "X-Service-Token": TOKEN } });
  return ((await answer.json()) as { next: string }).next;
}

let host: Host;
test.beforeEach(async () => {
  host = await startHost(SECONDS);
});
test.afterEach(() => host.stop());

test("a page follows real streams from one to the next, and misses nothing in between", async ({ page }) => {
  // It sees two streams to their end.
  test.slow();
  const asked: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));

  // The stack names its event stream twice: in the page's policy, which lets it be asked, and in the link by which
  // the page finds it. In both the host takes its place; nothing else is touched, and the stream itself is not
  // intercepted.
  await page.route(
    URL_OF_STACK,
    async (route) => {
      const response = await route.fetch();
      const policy = response.headers()["content-security-policy"] ?? "";
      expect(policy).toContain(` ${eventsUrl()};`);
      const headers = {
        ...response.headers(),
        "content-security-policy": policy.replace(eventsUrl(), host.address),
      };
      await route.fulfill({ response, headers });
    },
    { times: 1 },
  );
  await page.route(
    /\/v1\/changes$/,
    async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as { links: { events: string } };
      expect(answer.links.events).toBe(`${eventsUrl()}v1/events`);
      answer.links.events = `${host.address}v1/events`;
      await route.fulfill({ response, json: answer });
    },
    // When the token is tried, and when the page begins to follow.
    { times: 2 },
  );

  const order = String(Date.now());
  await signIn(page, `#/tasks?metadata.order=${order}`);
  await expect(page.getByTitle("by server-sent events")).toBeVisible();
  const opened = () => host.streams().length;
  const stream = (number: number) => host.streams()[number - 1];
  const cursorOf = (number: number) => Number(stream(number)?.headers["last-event-id"]);
  expect(stream(1)?.path).toBe("/v1/events");
  expect(stream(1)?.headers["origin"]).toBe(new URL(URL_OF_STACK).origin);
  expect(stream(1)?.headers["last-event-id"]).toMatch(/^\d+$/);

  // What comes while a stream is open is seen while it is open. Where that takes longer than a stream lasts, it is looked
  // for in the next.
  const rows = page.getByRole("list", { name: "Tasks" }).getByRole("listitem");
  await expect(rows).toHaveCount(0);
  let submitted = 0;
  let open = 0;
  await expect(async () => {
    open = opened();
    await submit("sentiment", { text: "fine" }, { metadata: { order } });
    submitted += 1;
    await expect(rows).toHaveCount(submitted);
    expect(stream(open)?.hasEnded, "it was told in the stream that was open").toBe(false);
  }).toPass();

  // It ends in its time, and the page opens the next where it was.
  await expect.poll(() => stream(open)?.hasEnded).toBe(true);
  await submit("sentiment", { text: "fine" }, { metadata: { order } });
  submitted += 1;
  await expect(rows).toHaveCount(submitted);
  expect(opened()).toBeGreaterThan(open);
  expect(cursorOf(open + 1)).toBeGreaterThan(cursorOf(open));

  // Somebody looks away; the stream ends, no other is opened, and tasks come and go.
  const look = (isHidden: boolean) =>
    page.evaluate((isHidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  await look(true);
  await expect(page.getByTitle("by server-sent events")).toBeHidden();
  const last = opened();
  await expect.poll(() => stream(last)?.hasEnded).toBe(true);
  const before = await cursor();
  const ids = await Promise.all(
    ["3", "4"].map(() => submit("sentiment", { text: "fine" }, { metadata: { order } })),
  );
  await Promise.all(ids.map((id) => finished(id)));
  await expect.poll(async () => Number(await cursor())).toBeGreaterThanOrEqual(Number(before) + 6);
  expect(opened()).toBe(last);
  await look(false);
  await expect(rows).toHaveCount(submitted + 2);
  expect(cursorOf(last + 1)).toBeGreaterThanOrEqual(cursorOf(last));
  expect(cursorOf(last + 1)).toBeLessThanOrEqual(Number(before));

  // All of it by streams: since the first, the log was not asked, nor the page loaded anew.
  const begin = asked.indexOf(`${host.address}v1/events`);
  expect(begin).toBeGreaterThan(0);
  expect(asked.slice(begin).filter((url) => /\/v1\/changes|\/assets\//.test(url))).toEqual([]);
  // The browser has asked the function itself whether it may.
  expect(host.asked.some(({ method }) => method === "OPTIONS")).toBe(true);
  expect(host.streams().every(({ headers }) => headers["x-service-token"] === TOKEN)).toBe(true);
  const addresses = [...asked, ...host.asked.map(({ path }) => path)];
  expect(addresses.filter((address) => address.includes(TOKEN))).toEqual([]);
  expect(errors, "errors on the console").toEqual([]);
});
