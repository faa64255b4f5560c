// The dashboard on a real stream: Chromium reads the response of the event-stream function in pieces, across origins and
// under the page's policy.

import { expect, test } from "@playwright/test";

import { TOKEN, URL_OF_STACK, signIn, submit, waitForTask } from "./stack";
import { type Host, startHost } from "./streamingHost";

// The browser asks for permission before a page whose response was intercepted may connect to this machine.
test.use({ permissions: ["local-network-access"] });

/** The function's timeout in seconds. A stream ends 5 seconds earlier. */
const SECONDS = 15;

/** The address of the event stream in the stack's responses. Local clouds buffer it, so the tests replace it. */
function eventsUrl(): string {
  const address = process.env["EVENTS_URL"];
  if (!address) throw new Error("EVENTS_URL is not set: `cargo xtask up --cloud` writes it into .local/stack.env");
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

test("a page continues from one real stream to the next, and misses no change between them", async ({ page }) => {
  // The test waits for the end of two streams.
  test.slow();
  const requests: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));

  // The address of the event stream is in two responses: in the page's policy and in the link of the changes. The test
  // replaces it by the host's address in both. It intercepts nothing else, in particular not the stream.
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
    // Once to check the token, and once when the feed starts.
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

  // A task that is submitted while a stream is open is shown before that stream ends. If this takes longer, the test
  // repeats it with the next stream.
  const rows = page.getByRole("list", { name: "Tasks" }).getByRole("listitem");
  await expect(rows).toHaveCount(0);
  let submitted = 0;
  let open = 0;
  await expect(async () => {
    open = opened();
    await submit("sentiment", { text: "fine" }, { metadata: { order } });
    submitted += 1;
    await expect(rows).toHaveCount(submitted);
    expect(stream(open)?.hasEnded, "whether the stream ended before the task was shown").toBe(false);
  }).toPass();

  // The stream ends on time, and the page opens the next one after the last event.
  await expect.poll(() => stream(open)?.hasEnded).toBe(true);
  await submit("sentiment", { text: "fine" }, { metadata: { order } });
  submitted += 1;
  await expect(rows).toHaveCount(submitted);
  expect(opened()).toBeGreaterThan(open);
  expect(cursorOf(open + 1)).toBeGreaterThan(cursorOf(open));

  // The page is hidden: the stream ends, the page opens no other, and tasks run meanwhile.
  const setHidden = (isHidden: boolean) =>
    page.evaluate((isHidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  await setHidden(true);
  await expect(page.getByTitle("by server-sent events")).toBeHidden();
  const last = opened();
  await expect.poll(() => stream(last)?.hasEnded).toBe(true);
  const before = await cursor();
  const ids = await Promise.all(["3", "4"].map(() => submit("sentiment", { text: "fine" }, { metadata: { order } })));
  await Promise.all(ids.map((id) => waitForTask(id)));
  await expect.poll(async () => Number(await cursor())).toBeGreaterThanOrEqual(Number(before) + 6);
  expect(opened()).toBe(last);
  await setHidden(false);
  await expect(rows).toHaveCount(submitted + 2);
  expect(cursorOf(last + 1)).toBeGreaterThanOrEqual(cursorOf(last));
  expect(cursorOf(last + 1)).toBeLessThanOrEqual(Number(before));

  // Since the first stream the page has neither polled nor reloaded.
  const begin = requests.indexOf(`${host.address}v1/events`);
  expect(begin).toBeGreaterThan(0);
  expect(requests.slice(begin).filter((url) => /\/v1\/changes|\/assets\//.test(url))).toEqual([]);
  // The function itself has answered the preflight request.
  expect(host.requests.some(({ method }) => method === "OPTIONS")).toBe(true);
  expect(host.streams().every(({ headers }) => headers["x-service-token"] === TOKEN)).toBe(true);
  const addresses = [...requests, ...host.requests.map(({ path }) => path)];
  expect(addresses.filter((address) => address.includes(TOKEN))).toEqual([]);
  expect(errors, "errors on the console").toEqual([]);
});
