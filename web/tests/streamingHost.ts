// Runs the real event-stream function behind an HTTP server that streams, as a function URL does on AWS. Local clouds
// buffer responses. The server is the streaming host of the black-box tests.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { expect } from "@playwright/test";

/** One request that the host received. */
export interface HostRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  /** Whether the response has ended. */
  hasEnded: boolean;
}

export interface Host {
  address: string;
  requests: HostRequest[];
  /** The requests for a stream, without the preflight requests of the browser. */
  streams(): HostRequest[];
  stop(): Promise<void>;
}

/** A line of the host's output. `received` and `ended` are the number of a request. */
interface Line {
  address?: string;
  received?: number;
  ended?: number;
  method: string;
  path: string;
  headers: Record<string, string>;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests by \`cargo xtask test\``);
  return value;
}

/** Starts the host with the packaged function. A stream ends 5 seconds before the function's timeout of `seconds`. */
export async function startHost(seconds: number): Promise<Host> {
  const host = spawn(
    setting("AI_MESH_STREAMING_HOST"),
    ["--artifacts", setting("AI_MESH_ARTIFACTS"), "--seconds", String(seconds)],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const failed = new Promise<never>((_, reject) => host.once("error", reject));
  const exited = new Promise<void>((resolve) => host.once("close", () => resolve()));
  const requests: HostRequest[] = [];
  const listening = new Promise<string>((resolve, reject) => {
    host.once("close", () => reject(new Error("the streaming host exited before it printed its address")));
    createInterface({ input: host.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      if (line.address !== undefined) resolve(line.address);
      if (line.received !== undefined) {
        requests[line.received - 1] = { method: line.method, path: line.path, headers: line.headers, hasEnded: false };
      }
      const ended = line.ended === undefined ? undefined : requests[line.ended - 1];
      if (ended) ended.hasEnded = true;
    });
  });
  const address = await Promise.race([listening, failed]);
  return {
    address,
    requests,
    streams: () => requests.filter((request) => request?.method === "GET"),
    async stop() {
      host.stdin.end();
      await exited;
      expect(host.exitCode, "exit code of the streaming host").toBe(0);
    },
  };
}
