// Reading a comparison: the two maps have one scale, whatever the medium.

import { clipRange } from "../lib/percentile";
import type { Pair } from "./traits";

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
