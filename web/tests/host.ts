// The event stream behind an address that streams, as a function's does on AWS and local clouds' don't: the real function,
// run by the black-box tests' own host for as long as a test asks.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { expect } from "@playwright/test";

/** One request that came to the host. */
export interface Asked {
  method: string;
  path: string;
  headers: Record<string, string>;
  /** Whether its answer is over. */
  hasEnded: boolean;
}

export interface Host {
  address: string;
  asked: Asked[];
  /** The requests for a stream, without what a browser asks by itself before. */
  streams(): Asked[];
  stop(): Promise<void>;
}

interface Line {
  address?: string;
  asked?: number;
  ended?: number;
  method: string;
  path: string;
  headers: Record<string, string>;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}, as \`cargo xtask test\` does`);
  return value;
}

/** Starts it, with the function as it is shipped. A stream ends after `seconds` less the function's margin of 5. */
export async function startHost(seconds: number): Promise<Host> {
  const host = spawn(
    setting("AI_MESH_STREAMING_HOST"),
    ["--artifacts", setting("AI_MESH_ARTIFACTS"), "--seconds", String(seconds)],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const failed = new Promise<never>((_, reject) => host.once("error", reject));
  const exited = new Promise<void>((resolve) => host.once("close", () => resolve()));
  const asked: Asked[] = [];
  const told = new Promise<string>((resolve, reject) => {
    host.once("close", () => reject(new Error("the streaming host ended before it told its address")));
    createInterface({ input: host.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      if (line.address !== undefined) resolve(line.address);
      if (line.asked !== undefined) {
        asked[line.asked - 1] = { method: line.method, path: line.path, headers: line.headers, hasEnded: false };
      }
      const ended = line.ended === undefined ? undefined : asked[line.ended - 1];
      if (ended) ended.hasEnded = true;
    });
  });
  const address = await Promise.race([told, failed]);
  return {
    address,
    asked,
    streams: () => asked.filter((request) => request?.method === "GET"),
    async stop() {
      host.stdin.end();
      await exited;
      expect(host.exitCode, "how the streaming host ended").toBe(0);
    },
  };
}
