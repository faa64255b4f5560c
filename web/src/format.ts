// Formats of numbers, sizes and times.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export function number(value: number): string {
  return Math.abs(value) >= 100_000 ? COMPACT.format(value) : NUMBER.format(value);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share >= 0.9995 || share === 0 ? 0 : 1)} %`;
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${NUMBER.format(milliseconds / 1_000)} s`;
  if (milliseconds < 3_600_000) return `${NUMBER.format(milliseconds / 60_000)} min`;
  return `${NUMBER.format(milliseconds / 3_600_000)} h`;
}

export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  if (count < 1_000_000) return `${NUMBER.format(count / 1_000)} kB`;
  return `${NUMBER.format(count / 1_000_000)} MB`;
}

export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const remainder = String(whole % 60).padStart(2, "0");
  return `${Math.floor(whole / 60)}:${remainder}`;
}

/** The English name of a language code, or the code itself if it is not known. */
export function language(code: string): string {
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

export function moment(time: string): string {
  return TIME.format(new Date(time));
}

/** A rough relative time, such as "2 min ago". Elements that show it have the exact time as their title. */
export function ago(time: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1_000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
