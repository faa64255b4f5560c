// The parser of server-sent events. These tests need neither a browser nor a stack.

import { expect, test } from "@playwright/test";

import { EventParser } from "../src/live/sse";

const change = (cursor: number) => `id: ${cursor}\nevent: change\ndata: {"cursor":"${cursor}"}\n\n`;

test("a change is read with its id and its type", () => {
  const parser = new EventParser();
  expect(parser.push(`: hello\nretry: 2000\n\n${change(4711)}`)).toEqual([
    { type: "change", data: '{"cursor":"4711"}', id: "4711" },
  ]);
  expect(parser.retry).toBe(2_000);
});

test("chunks may end anywhere in the stream", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const stream = `\uFEFF: comment\n${change(1)}${change(2)}: heartbeat\n\n${change(3)}`.replaceAll("\n", end);
    const whole = new EventParser().push(`${stream}\n`);
    expect(whole.map((event) => event.id)).toEqual(["1", "2", "3"]);
    for (let size = 1; size < 12; size += 1) {
      const parser = new EventParser();
      const events = [];
      for (let at = 0; at < stream.length; at += size) events.push(...parser.push(stream.slice(at, at + size)));
      events.push(...parser.push("\n"));
      expect(events, `in chunks of ${size}, lines ending in ${JSON.stringify(end)}`).toEqual(whole);
    }
  }
});

test("several data lines are one text, and the id applies until the next one", () => {
  const parser = new EventParser("7");
  expect(parser.push("data: a\ndata:b\ndata\n\n")).toEqual([{ type: "message", data: "a\nb\n", id: "7" }]);
  expect(parser.push("id: 8\n\ndata:  c\n\n")).toEqual([{ type: "message", data: " c", id: "8" }]);
});

test("comments, empty events and unfinished events are not dispatched", () => {
  const parser = new EventParser();
  expect(parser.push(": heartbeat\n\n\nevent: change\n\nretry: soon\nunknown: x\n\ndata: unfinished\n")).toEqual([]);
  expect(parser.retry).toBeUndefined();
});
