// Server-sent events, out of a stream that is read by fetch: EventSource sends no header, and the token belongs into no
// address. As the HTML standard says, section 9.2.6.

export interface ServerEvent {
  type: string;
  data: string;
  /** The last id that the stream has named, by this event or one before. */
  id: string;
}

/** Cuts a stream of text into events. What it is given may end anywhere, in the middle of a line too. */
export class EventParser {
  /** After how many milliseconds the stream asks to be opened again, if it says so. */
  retry: number | undefined;
  private rest = "";
  private begun = false;
  private type = "";
  private data: string[] = [];
  private id: string;

  constructor(lastId = "") {
    this.id = lastId;
  }

  push(text: string): ServerEvent[] {
    this.rest += text;
    if (!this.begun && this.rest.length > 0) {
      this.begun = true;
      if (this.rest.startsWith("\uFEFF")) this.rest = this.rest.slice(1);
    }
    const events: ServerEvent[] = [];
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      // A carriage return at the very end may be half of a line's end.
      if (end < 0 || (this.rest[end] === "\r" && end === this.rest.length - 1)) return events;
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + (this.rest.startsWith("\r\n", end) ? 2 : 1));
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
    // A line that begins with a colon has the empty field: a comment, which says that somebody is there.
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
