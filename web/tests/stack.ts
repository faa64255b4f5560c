// The stack under test, by its API; and a page of it that is signed in and watched.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type Page, type Route, test as base, expect } from "@playwright/test";

import type { Task } from "../src/api/types";

export { expect };

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}: \`cargo xtask up\` writes it into .local/stack.env`);
  return value;
}

/** With the slash at its end: what the page loads lies beside it. */
export const URL_OF_STACK = `${setting("AI_MESH_URL").replace(/\/$/, "")}/`;
export const TOKEN = setting("AI_MESH_TOKEN");

/** A picture or a recording of the test data that `cargo xtask models` makes. */
export function testdata(name: string): Buffer {
  const assets = process.env["AI_MESH_ASSETS"] ?? join(import.meta.dirname, "../../.local/assets");
  return readFileSync(join(assets, "testdata", name));
}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(new URL(path, URL_OF_STACK), {
    method,
    headers: { "X-Service-Token": TOKEN, "Content-Type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

/** Submits a task as any other client does, and returns its id. */
export async function submit(type: string, input: object, more: object = {}): Promise<string> {
  const { id } = await ask<{ id: string }>("POST", "v1/tasks", { type, input, ...more });
  return id;
}

export async function submitMany(tasks: object[]): Promise<string[]> {
  const { results } = await ask<{ results: { task: { id: string } }[] }>("POST", "v1/tasks/batch", { tasks });
  return results.map((result) => result.task.id);
}

export async function finished(id: string): Promise<Task> {
  const end = Date.now() + 75_000;
  for (;;) {
    const task = await ask<Task>("GET", `v1/tasks/${id}?wait=20`);
    if (["completed", "failed", "cancelled"].includes(task.status)) return task;
    if (Date.now() > end) throw new Error(`the task ${id} is still ${task.status}`);
  }
}

/** A page to which nothing bad may happen: no other host, no breach of its policy, no error. */
export const test = base.extend<{ dashboard: Page }>({
  dashboard: async ({ page }, use) => {
    const own = new URL(URL_OF_STACK).origin;
    const strangers: string[] = [];
    const errors: string[] = [];
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol.startsWith("http") && origin !== own) strangers.push(request.url());
    });
    // A breach of the policy is told on the console, as an error; so is a refusal, which the tests look for themselves.
    page.on("console", (message) => {
      const isRefusal = /the server responded with a status of 4\d\d|ERR_BLOCKED_BY_CLIENT/.test(message.text());
      if (message.type() === "error" && !isRefusal) errors.push(message.text());
    });
    page.on("pageerror", (error) => errors.push(String(error)));
    await use(page);
    expect(strangers, "requests to other hosts").toEqual([]);
    expect(errors, "errors on the console").toEqual([]);
  },
});

export async function signIn(page: Page, at = ""): Promise<void> {
  await page.goto(`${URL_OF_STACK}${at}`);
  await page.getByLabel("Service token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
}

/** Watches what the header says of the connection, and returns all that it has said since. */
export async function states(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const states: string[] = [];
    Object.assign(window, { states });
    const live = document.querySelector(".live");
    const observer = new MutationObserver(() => states.push(live?.textContent ?? ""));
    if (live) observer.observe(live, { characterData: true, subtree: true });
  });
  return () => page.evaluate(() => (window as unknown as { states: string[] }).states);
}

/** Goes to another page of the dashboard, as a link does: without loading it anew. */
export async function visit(page: Page, hash: string): Promise<void> {
  await page.evaluate((hash) => {
    window.location.hash = hash;
  }, hash);
}

const API = /\/v1\//;
const refuse = (route: Route) => route.abort("blockedbyclient");

/** Nobody is there: what the page asks the API is not answered, until it is plugged in again. */
export async function unplug(page: Page): Promise<void> {
  await page.route(API, refuse);
}

/** The network is there again, as a browser tells its pages. */
export async function plugIn(page: Page): Promise<void> {
  await page.unroute(API, refuse);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
}
