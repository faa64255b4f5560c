// The dashboard in a real browser, against the stack that AI_MESH_URL and AI_MESH_TOKEN name.

import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  // A stack on a laptop has few workers, and they are slow in the dev profile.
  timeout: 90_000,
  expect: { timeout: 30_000 },
  workers: 1,
  forbidOnly: true,
  reporter: process.env["AI_MESH_JUNIT"]
    ? [["line"], ["junit", { outputFile: process.env["AI_MESH_JUNIT"] }]]
    : [["list"]],
  outputDir: process.env["AI_MESH_WEB_TRACES"] ?? "test-results",
  use: {
    viewport: { width: 1280, height: 860 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env["AI_MESH_CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "dashboard", testMatch: "*.spec.ts", testIgnore: "streaming.spec.ts" },
    // The event-stream function needs the local cloud.
    { name: "cloud", testMatch: "streaming.spec.ts" },
    { name: "screenshots", testMatch: "screenshots.ts" },
  ],
});
