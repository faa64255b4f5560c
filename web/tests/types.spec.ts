// The generated types of the API. This test needs neither a browser nor a stack.

import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { expect, test } from "@playwright/test";

test("the types in src/api/schema.d.ts are those of docs/openapi.json", () => {
  const check = () =>
    execFileSync("npm", ["run", "--silent", "types:check"], { cwd: join(import.meta.dirname, ".."), stdio: "pipe" });
  expect(check, "run `npm run types` in web/ and commit the result").not.toThrow();
});
