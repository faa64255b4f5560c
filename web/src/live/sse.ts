// Parses server-sent events as the HTML standard specifies (section 9.2.6). EventSource is not used, because it can't
// send the token in a header, and addresses must not contain it.

export interface ServerEvent {
  type: string;
  data: string;
  /** The id of this event, or of the last one before it that had an id. */
  id: string;
}

/** Splits a stream of text into events. A chunk may end anywhere, also in the middle of a line. */
export class EventParser {
  /** The delay in milliseconds before the stream is opened again, if the stream has set one. */
  retry: number | undefined;
  private buffer = "";
  private hasBegun = false;
  private type = "";
  private data: string[] = [];
  private id: string;

  constructor(lastId = "") {
    this.id = lastId;
  }

  push(text: string): ServerEvent[] {
    this.buffer += text;
    if (!this.hasBegun && this.buffer.length > 0) {
      this.hasBegun = true;
      if (this.buffer.startsWith("\uFEFF")) this.buffer = this.buffer.slice(1);
    }
    const events: ServerEvent[] = [];
    for (;;) {
      const end = this.buffer.search(/[\r\n]/);
      // A carriage return at the end of the chunk may be the first half of a line break.
      if (end < 0 || (this.buffer[end] === "\r" && end === this.buffer.length - 1)) return events;
      const line = this.buffer.slice(0, end);
      this.buffer = this.buffer.slice(end + (this.buffer.startsWith("\r\n", end) ? 2 : 1));
      const event = this.line(line);
      if (event) events.push(event);
    }
  }

  private line(line: string): ServerEvent | undefined {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.type = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    // A line that begins with a colon has an empty field name: it is a comment, which the stream sends as a heartbeat.
    return undefined;
  }

  private dispatch(): ServerEvent | undefined {
    const event = { type: this.type || "message", data: this.data.join("\n"), id: this.id };
    const isEmpty = this.data.length === 0;
    this.type = "";
    this.data = [];
    return isEmpty ? undefined : event;
  }
}
