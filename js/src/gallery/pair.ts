// Reading a comparison: the two maps have one scale, whatever the medium.

import { clipRange } from "../lib/percentile";
import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { Pair } from "./traits";

export async function decodePair(
  pair: Pair | null,
  data: unknown,
): Promise<readonly [query: Float32Array, example: Float32Array] | null> {
  const raw = bytesOf(data);
  if (!pair || pair.error || raw.byteLength === 0) return null;
  const [query, example] = (pair.shapes ?? [pair.shape ?? [0], pair.shape ?? [0]]).map((shape) =>
    shape.reduce((product, side) => product * side, 1),
  ) as [number, number];
  const values = floatsOf(await inflate(raw), "int8", pair.scale, query + example);
  return [values.subarray(0, query), values.subarray(query)];
}

/** Beyond it lie the few strongest values. */
export const PAIR_CLIP = 99.5;

/** The magnitude that is drawn at full strength in both. */
export function pairRange(maps: readonly [Float32Array, Float32Array]): number {
  const both = new Float32Array(maps[0].length + maps[1].length);
  both.set(maps[0]);
  both.set(maps[1], maps[0].length);
  return clipRange(both, PAIR_CLIP);
}

/** Rows and columns of a picture's map; null for texts and tables. */
export function pictureShape({ shape, tokens }: Pair): [height: number, width: number] | null {
  const [height, width] = shape ?? [];
  return tokens === undefined && height !== undefined && width !== undefined ? [height, width] : null;
}

export interface TokenLine {
  surface: string;
  value: number;
}

export function tokenLines(pair: Pair, maps: readonly [Float32Array, Float32Array]): [TokenLine[], TokenLine[]] {
  const line = (which: 0 | 1) =>
    (pair.tokens?.[which] ?? []).map((surface, place) => ({ surface, value: maps[which][place] ?? 0 }));
  return [line(0), line(1)];
}
