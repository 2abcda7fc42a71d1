// What a score is made of: one line a checkpoint, and how much hangs on a single one of them. Pure functions.

import { type Candidates, partsOf, type Weighing } from "./candidates";
import type { GalleryStore } from "./store";
import type { ScoreMode } from "./traits";

/** What is chosen now. */
export function weighingOf({ mode, mask, ckpts, queryNorms }: GalleryStore): Weighing {
  return { mode: mode.value, mask: mask.value, ckpts: ckpts.value, queryNorms: queryNorms.value };
}

export interface Part {
  checkpoint: string;
  /** Whether it counts. */
  on: boolean;
  part: number;
  /** Cosine of the two gradients. Null where the sizes are not stored, or a gradient is nothing. */
  cosine: number | null;
  /** Size of the example's gradient. */
  size: number | null;
}

export function partLines(candidates: Candidates, row: number, weighing: Weighing): Part[] {
  const { width, scores, norms } = candidates;
  return partsOf(candidates, row, weighing).map((part, column) => {
    const at = row * width + column;
    const { name = "", learning_rate: rate = 1 } = weighing.ckpts[column] ?? {};
    const [n, q] = [norms[at], weighing.queryNorms[column]];
    const known = n !== undefined && q !== undefined;
    const both = known ? rate * Math.sqrt(n * q) : 0;
    return {
      checkpoint: name,
      on: weighing.mask[column] ?? true,
      part,
      cosine: both > 0 ? (scores[at] ?? 0) / both : null,
      size: known ? Math.sqrt(n) : null,
    };
  });
}

/** The least and the largest score without any one of the checkpoints that count; null for fewer than two of them. */
export function withoutOne(lines: readonly Part[], mode: ScoreMode): [low: number, high: number] | null {
  const counting = lines.filter(({ on }) => on);
  if (counting.length < 2) return null;
  const total = counting.reduce((sum, { part }) => sum + part, 0);
  // a mean of one less
  const factor = mode === "cosine" ? counting.length / (counting.length - 1) : 1;
  const left = counting.map(({ part }) => factor * (total - part));
  return [Math.min(...left), Math.max(...left)];
}

/** Share of the values that are smaller. */
export function shareBelow(values: Float32Array, value: number): number {
  let [below, known] = [0, 0];
  for (const one of values) {
    if (Number.isNaN(one)) continue;
    known++;
    if (one < value) below++;
  }
  return known > 0 ? below / known : 0;
}
