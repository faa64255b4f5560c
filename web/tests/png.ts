// Compresses a screenshot: a PNG of 256 colours, chosen by median cut (P. Heckbert, "Color image quantization for frame
// buffer display", 1982). The browser that took the screenshot decodes it.

import { crc32, deflateSync } from "node:zlib";

import type { Page } from "@playwright/test";

const MAX_COLOURS = 256;
/** Colours that differ only in their last three bits look alike. With fewer colours a photograph would show bands. */
const SHIFT = 3;

interface Pixels {
  width: number;
  height: number;
  /** Three bytes for each pixel: red, green and blue. */
  rgb: Uint8Array;
}

/** The colours that are replaced by one, each with its number of pixels. */
type Bin = { colour: [number, number, number]; count: number }[];

export async function compressed(page: Page, png: Buffer): Promise<Buffer> {
  const { width, height, rgb } = await decoded(page, png);
  const counts = new Map<number, number>();
  for (let at = 0; at < rgb.length; at += 3) {
    const key = keyOf(rgb, at);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const palette = medianCut(counts);
  const index = new Map<number, number>();
  for (const key of counts.keys()) index.set(key, nearest(palette, colourOf(key)));
  const rows = Buffer.alloc((width + 1) * height);
  for (let at = 0; at < width * height; at += 1) {
    // Each row begins with its filter type, 0 for none.
    rows[Math.floor(at / width) * (width + 1) + 1 + (at % width)] = index.get(keyOf(rgb, 3 * at)) ?? 0;
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // A bit depth of 8, colour type 3 (palette), and the defaults of the rest.
  head.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", head),
    chunk("PLTE", Buffer.from(palette.flat())),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

async function decoded(page: Page, png: Buffer): Promise<Pixels> {
  // A blank page decodes it, because the policy of the dashboard forbids such pictures.
  const other = await page.context().newPage();
  const { width, height, base64 } = await other.evaluate(async (png) => {
    const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const { width, height } = bitmap;
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen?.drawImage(bitmap, 0, 0);
    const data = pen?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
    let text = "";
    for (let at = 0; at < data.length; at += 4)
      text += String.fromCharCode(data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0);
    return { width, height, base64: btoa(text) };
  }, png.toString("base64"));
  await other.close();
  return { width, height, rgb: Buffer.from(base64, "base64") };
}

function keyOf(rgb: Uint8Array, at: number): number {
  return ((rgb[at] ?? 0) << 16) | ((rgb[at + 1] ?? 0) << 8) | (rgb[at + 2] ?? 0);
}

function colourOf(key: number): [number, number, number] {
  return [key >> 16, (key >> 8) & 0xff, key & 0xff];
}

function medianCut(counts: Map<number, number>): [number, number, number][] {
  const merged = new Map<number, Bin[number]>();
  for (const [key, count] of counts) {
    const colour = colourOf(key);
    const coarse = colour.reduce((sum, part) => (sum << 8) | (part >> SHIFT), 0);
    const known = merged.get(coarse);
    // The most frequent of similar colours replaces the others, so that flat areas keep their exact colour.
    if (!known) merged.set(coarse, { colour, count });
    else if (count > known.count) merged.set(coarse, { colour, count: count + known.count });
    else known.count += count;
  }
  const bins: Bin[] = [[...merged.values()]];
  while (bins.length < MAX_COLOURS) {
    const spread = bins.map((bin) => Math.max(...axes(bin)) * Math.log2(2 + weight(bin)));
    const widest = spread.indexOf(Math.max(...spread));
    const bin = bins[widest];
    if (!bin || bin.length < 2) break;
    const spans = axes(bin);
    const axis = spans.indexOf(Math.max(...spans)) as 0 | 1 | 2;
    bin.sort((one, other) => one.colour[axis] - other.colour[axis]);
    const middle = (bin[0]?.colour[axis] ?? 0) + (spans[axis] ?? 0) / 2;
    const cut = Math.max(
      1,
      bin.findIndex((entry) => entry.colour[axis] > middle),
    );
    bins.splice(widest, 1, bin.slice(0, cut), bin.slice(cut));
  }
  return bins.map((bin) => bin.reduce((best, entry) => (entry.count > best.count ? entry : best)).colour);
}

function axes(bin: Bin): number[] {
  if (bin.length < 2) return [0, 0, 0];
  return ([0, 1, 2] as const).map((axis) => {
    let [low, high] = [255, 0];
    for (const { colour } of bin) {
      low = Math.min(low, colour[axis]);
      high = Math.max(high, colour[axis]);
    }
    return high - low;
  });
}

function weight(bin: Bin): number {
  return bin.reduce((sum, { count }) => sum + count, 0);
}

function nearest(palette: [number, number, number][], colour: [number, number, number]): number {
  let [best, minimum] = [0, Infinity];
  palette.forEach((known, at) => {
    const distance = known.reduce((sum, part, axis) => sum + (part - (colour[axis] ?? 0)) ** 2, 0);
    if (distance < minimum) [best, minimum] = [at, distance];
  });
  return best;
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}
