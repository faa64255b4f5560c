// The stack under test: calls to its API, and a fixture for its dashboard that fails on unexpected requests and errors.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type Page, type Route, test as base, expect } from "@playwright/test";

import type { Task } from "../src/api/types";

export { expect };

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: \`cargo xtask up\` writes it into .local/stack.env`);
  return value;
}

/** Ends with a slash: the page loads its files relative to it. */
export const URL_OF_STACK = `${setting("AI_MESH_URL").replace(/\/$/, "")}/`;
export const TOKEN = setting("AI_MESH_TOKEN");

/** A picture or recording of the test data that `cargo xtask models` creates. */
export function testdata(name: string): Buffer {
  const assets = process.env["AI_MESH_ASSETS"] ?? join(import.meta.dirname, "../../.local/assets");
  return readFileSync(join(assets, "testdata", name));
}

export async function callApi<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(new URL(path, URL_OF_STACK), {
    method,
    headers: { "X-Service-Token": TOKEN, "Content-Type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} failed with status ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

/** Submits a task by the API, not by the form, and returns its id. */
export async function submit(type: string, input: object, more: object = {}): Promise<string> {
  const { id } = await callApi<{ id: string }>("POST", "v1/tasks", { type, input, ...more });
  return id;
}

export async function submitMany(tasks: object[]): Promise<string[]> {
  const { results } = await callApi<{ results: { task: { id: string } }[] }>("POST", "v1/tasks/batch", { tasks });
  return results.map((result) => result.task.id);
}

export async function waitForTask(id: string): Promise<Task> {
  const deadline = Date.now() + 75_000;
  for (;;) {
    const task = await callApi<Task>("GET", `v1/tasks/${id}?wait=20`);
    if (["completed", "failed", "cancelled"].includes(task.status)) return task;
    if (Date.now() > deadline) throw new Error(`the task ${id} is still ${task.status} after 75 seconds`);
  }
}

/** Fails at the end if the page sent a request to another host, violated its security policy or logged an error. */
export const test = base.extend<{ dashboard: Page }>({
  dashboard: async ({ page }, use) => {
    const own = new URL(URL_OF_STACK).origin;
    const foreign: string[] = [];
    const errors: string[] = [];
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol.startsWith("http") && origin !== own) foreign.push(request.url());
    });
    // A violation of the policy is an error on the console. So is a 4xx response, which the tests check themselves.
    page.on("console", (message) => {
      const isResponse = /the server responded with a status of 4\d\d|ERR_BLOCKED_BY_CLIENT/.test(message.text());
      if (message.type() === "error" && !isResponse) errors.push(message.text());
    });
    page.on("pageerror", (error) => errors.push(String(error)));
    await use(page);
    expect(foreign, "requests to other hosts").toEqual([]);
    expect(errors, "errors on the console").toEqual([]);
  },
});

export async function signIn(page: Page, at = ""): Promise<void> {
  await page.goto(`${URL_OF_STACK}${at}`);
  await page.getByLabel("Service token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
}

/** Records the states of the connection that the header shows from now on. */
export async function recordStates(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const states: string[] = [];
    Object.assign(window, { states });
    const live = document.querySelector(".live");
    const observer = new MutationObserver(() => states.push(live?.textContent ?? ""));
    if (live) observer.observe(live, { characterData: true, subtree: true });
  });
  return () => page.evaluate(() => (window as unknown as { states: string[] }).states);
}

/** Opens another page of the dashboard as a link does, without a reload. */
export async function visit(page: Page, hash: string): Promise<void> {
  await page.evaluate((hash) => {
    window.location.hash = hash;
  }, hash);
}

/** Lets the page poll for changes from its start, as where a stream is buffered. */
export async function pollOnly(page: Page): Promise<void> {
  await page.route(/\/v1\/changes$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), links: undefined } });
  });
}

const API = /\/v1\//;
const abort = (route: Route) => route.abort("blockedbyclient");

/** Aborts all requests of the page to the API until `goOnline`. */
export async function goOffline(page: Page): Promise<void> {
  await page.route(API, abort);
}

/** Lets requests through again and fires the browser's event for it. */
export async function goOnline(page: Page): Promise<void> {
  await page.unroute(API, abort);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
}
