// Curves of results: decoded, and read at a place.

import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { CurveInfo } from "./traits";

export interface Line extends CurveInfo {
  /** Mean over all inputs, and each of those on show; not a number where it is not defined. */
  mean: Float32Array;
  each: readonly Float32Array[];
}

export async function decodeLines(infos: readonly CurveInfo[], data: unknown): Promise<Line[]> {
  const raw = bytesOf(data);
  if (infos.length === 0 || raw.byteLength === 0) return [];
  const stored = await inflate(raw);
  return infos.map((info) => {
    const length = info.x.length;
    const count = (1 + info.inputs) * length;
    if (info.offset + 2 * count > stored.byteLength) throw new Error(`a curve of ${info.entry} does not fit its bytes`);
    const all = floatsOf(stored.subarray(info.offset, info.offset + 2 * count), "float16", info.scale, count);
    const each = Array.from({ length: info.inputs }, (_, at) => all.subarray((at + 1) * length, (at + 2) * length));
    return { ...info, each, mean: all.subarray(0, length) };
  });
}

/** Linear between the points; the ends beyond. */
export function lineAt(x: readonly number[], y: Float32Array | readonly number[], place: number): number {
  const next = x.findIndex((one) => one >= place);
  if (next <= 0) return y[next < 0 ? x.length - 1 : 0] ?? Number.NaN;
  const [x0 = 0, x1 = 0] = [x[next - 1], x[next]];
  const [y0 = Number.NaN, y1 = Number.NaN] = [y[next - 1], y[next]];
  return x1 > x0 ? y0 + ((y1 - y0) * (place - x0)) / (x1 - x0) : y1;
}

/** Names of the curves of a column, its own first. */
export function curveNames(lines: readonly Line[], column: string): string[] {
  const names = [...new Set(lines.filter(({ columns }) => columns.includes(column)).map(({ name }) => name))];
  return names.sort((a, b) => Number(b === column) - Number(a === column));
}
