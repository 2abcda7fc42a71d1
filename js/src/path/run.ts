// What the page holds about one baseline in one mode, decoded: curves as they come, maps as prefix sums, so that the
// map accumulated between any two places is one subtraction.

import { clipRange } from "../lib/percentile";
import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { Mode, RunTraits } from "./traits";

/** A map: values per pixel of the input, whatever its own resolution. */
export interface Field {
  width: number;
  height: number;
  values: Float32Array;
  /** Pixels of the input along one side of a value; the last ones may have fewer. */
  pool?: number;
}

export interface Frames {
  count: number;
  /** count + 1 places on the path, or numbers of samples. */
  edges: number[];
  width: number;
  height: number;
  pool: number;
  /** count + 1 maps one after the other: the sums of the frames before each edge. The first is zero. */
  prefix: Float32Array;
}

type Described = Omit<RunTraits, "increments" | "total_map">;

export interface Run extends Described {
  key: string;
  mode: Mode;
  baselineId: string;
  frames: Frames | null;
  /** Exact, where the frames are rounded and may be pooled. */
  total: Field | null;
}

type Size = readonly number[];

export function keyOf(mode: Mode, baselineId: string): string {
  return `${mode}/${baselineId}`;
}

async function inflated(data: unknown): Promise<Uint8Array<ArrayBuffer> | null> {
  const raw = bytesOf(data);
  return raw.byteLength === 0 ? null : inflate(raw);
}

function fitting(buffer: Uint8Array, count: number, what: string): void {
  if (buffer.byteLength < count) throw new Error(`${what}: ${count} bytes expected, ${buffer.byteLength} received`);
}

/** One over the number of pixels of the input in each value: sums become values per pixel. */
function perPixel(width: number, height: number, pool: number, size: Size): Float32Array {
  const across = (x: number) => Math.min(pool, (size[0] ?? width * pool) - x * pool);
  const down = (y: number) => Math.min(pool, (size[1] ?? height * pool) - y * pool);
  return Float32Array.from(
    { length: width * height },
    (_, i) => 1 / Math.max(across(i % width) * down(Math.floor(i / width)), 1),
  );
}

async function decodeFrames({ inc_meta: meta, increments }: RunTraits, input: Size): Promise<Frames | null> {
  const bytes = await inflated(increments);
  if (!bytes || !meta?.K) return null;
  const [height, width] = meta.shape;
  const size = height * width;
  fitting(bytes, meta.K * size, "frames");
  const areas = perPixel(width, height, meta.pool, input);
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, meta.K * size);
  // an assignment to a byte wraps around, as the difference did
  if (meta.differences)
    for (let at = size; at < codes.length; at++) codes[at] = Number(codes[at]) + Number(codes[at - size]);
  const prefix = new Float32Array((meta.K + 1) * size);
  for (let k = 0; k < meta.K; k++) {
    const scale = meta.scales[k] ?? 0;
    for (let i = 0; i < size; i++) {
      const at = k * size + i;
      prefix[at + size] = (prefix[at] as number) + (codes[at] as number) * scale * (areas[i] as number);
    }
  }
  return { count: meta.K, edges: meta.edges, width, height, pool: meta.pool, prefix };
}

async function decodeTotal({ total_meta: meta, total_map: data }: RunTraits, input: Size): Promise<Field | null> {
  const bytes = await inflated(data);
  if (!bytes || !meta?.shape) return null;
  const [height, width] = meta.shape;
  fitting(bytes, height * width * (meta.dtype === "int8" ? 1 : 2), "total map");
  const values = floatsOf(bytes, meta.dtype, meta.scale, height * width);
  // A large input's total is pooled as well, less than its frames.
  const pool = Math.max(Math.ceil(Math.max(...input, 0) / Math.max(width, height)), 1);
  if (pool === 1) return { width, height, values, pool };
  const areas = perPixel(width, height, pool, input);
  return { width, height, values: values.map((value, i) => value * (areas[i] as number)), pool };
}

/** `input`: width and height of the explained picture, where it has any. */
export async function decodeRun(key: string, traits: RunTraits, input: Size = []): Promise<Run> {
  const [frames, total] = await Promise.all([decodeFrames(traits, input), decodeTotal(traits, input)]);
  const { increments: _increments, total_map: _total, ...described } = traits;
  const slash = key.indexOf("/");
  return { ...described, key, mode: key.slice(0, slash) as Mode, baselineId: key.slice(slash + 1), frames, total };
}

/** How much work a run has behind it: of two forms of one run, the one with more is newer. */
export function effortOf(run: Run): number {
  return run.facts?.evaluations?.gradient ?? run.alphas.length;
}

/** Where the frames end: 1 on the path, the number of samples of a distribution. */
export function spanOf(run: Run): number {
  return run.frames?.edges.at(-1) ?? run.alphas.at(-1) ?? 1;
}

/** Values of one map. */
export function sizeOf({ width, height }: Field | Frames): number {
  return width * height;
}

/** The frame that ends at or after a place. */
export function frameAt(frames: Frames, place: number): number {
  let frame = 0;
  while (frame < frames.count - 1 && (frames.edges[frame + 1] ?? 0) < place - 1e-9) frame++;
  return frame;
}

function prefixAt(frames: Frames, place: number): { from: number; share: number } {
  const frame = frameAt(frames, place);
  const start = frames.edges[frame] ?? 0;
  const width = (frames.edges[frame + 1] ?? 1) - start;
  return { from: frame * sizeOf(frames), share: width > 0 ? (place - start) / width : 1 };
}

/** Attribution gained per unit of the path (or per sample) in the frame at a place. */
export function rateAt(frames: Frames, place: number, values: Float32Array): Float32Array {
  const frame = frameAt(frames, place);
  const size = sizeOf(frames);
  const width = (frames.edges[frame + 1] ?? 1) - (frames.edges[frame] ?? 0);
  const { prefix } = frames;
  const at = frame * size;
  for (let i = 0; i < size; i++) values[i] = ((prefix[at + size + i] as number) - (prefix[at + i] as number)) / width;
  return values;
}

/** Attribution gained between two places; inside a frame it grows evenly. */
export function gainedBetween(frames: Frames, start: number, end: number, values: Float32Array): Float32Array {
  const size = sizeOf(frames);
  const low = prefixAt(frames, start);
  const high = prefixAt(frames, end);
  const { prefix } = frames;
  const at = (from: number, share: number, i: number) => {
    const before = prefix[from + i] as number;
    return before + share * ((prefix[from + size + i] as number) - before);
  };
  for (let i = 0; i < size; i++) values[i] = at(high.from, high.share, i) - at(low.from, low.share, i);
  return values;
}

/** The mean of what is gained between two places; at one and the same place, the rate there. */
export function meanBetween(frames: Frames, start: number, end: number, values: Float32Array): Float32Array {
  if (end - start < 1e-6) return rateAt(frames, end, values);
  gainedBetween(frames, start, end, values);
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) / (end - start);
  return values;
}

/** One range for the rates of all frames: no frame has more clipped than the percentile says. */
export function sharedRateRange(frames: Frames, percent: number): number {
  const values = new Float32Array(sizeOf(frames));
  let range = 0;
  for (const edge of frames.edges.slice(1)) range = Math.max(range, clipRange(rateAt(frames, edge, values), percent));
  return range;
}

/** One range for all accumulated maps, the exact total among them. */
export function sharedGainRange(frames: Frames, total: Field | null, percent: number, mean: boolean): number {
  const values = new Float32Array(sizeOf(frames));
  const map = mean ? meanBetween : gainedBetween;
  let range = total ? clipRange(total.values, percent) : 0;
  for (const edge of frames.edges.slice(1)) range = Math.max(range, clipRange(map(frames, 0, edge, values), percent));
  return range;
}

/** Below this there is nothing to draw: stretching it to full colour would show rounding. */
export function noiseOf({ gaps }: Run, field: Field): number {
  return (1e-6 * Math.abs(gaps?.difference ?? 0)) / field.values.length;
}

/** A curve at a place between its nodes. */
export function curveAt(places: readonly number[], heights: readonly number[], place: number): number {
  const last = Math.min(places.length, heights.length) - 1;
  if (last < 0) return 0;
  let right = 0;
  while (right < last && (places[right] ?? 0) < place) right++;
  const x1 = places[right] ?? 0;
  const y1 = heights[right] ?? 0;
  if (right === 0 || x1 <= place) return y1;
  const x0 = places[right - 1] ?? 0;
  const y0 = heights[right - 1] ?? 0;
  return y0 + ((place - x0) / (x1 - x0)) * (y1 - y0);
}

/** Share of the total attribution that a part of the path holds; null where the total is nothing. */
export function shareBetween(run: Run, start: number, end: number): number | null {
  const total = run.C.at(-1) ?? 0;
  if (Math.abs(total) < 1e-12) return null;
  return (curveAt(run.alphas, run.C, end) - curveAt(run.alphas, run.C, start)) / total;
}
