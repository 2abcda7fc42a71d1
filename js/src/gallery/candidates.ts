// The stored candidates with what each checkpoint says of them, and their scores in every mode. Positive: proponent.
//
// Of checkpoint c: s = η·g·g′, n = ‖g(z)‖² of the example, q = ‖g(z′)‖² of the query.
//   dot: Σ s      cosine: mean of s / (η·√(n·q))      relative: Σ s / √n      (over the checkpoints that are switched on)

import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { Checkpoint, Item, ScoreMode } from "./traits";

export interface Candidates {
  items: readonly Item[];
  /** Columns of `scores` and `norms`: one a checkpoint, or one in all. */
  width: number;
  scores: Float32Array;
  norms: Float32Array;
  rowOf: ReadonlyMap<number, number>;
}

async function floats(data: unknown): Promise<Float32Array> {
  const raw = bytesOf(data);
  if (raw.byteLength === 0) return new Float32Array(0);
  const bytes = await inflate(raw);
  return floatsOf(bytes, "float32", 1, bytes.byteLength / 4);
}

export async function decodeCandidates(items: readonly Item[], scores: unknown, norms: unknown): Promise<Candidates> {
  const [decoded, squares] = await Promise.all([floats(scores), floats(norms)]);
  const width = items.length ? decoded.length / items.length : 0;
  if (!Number.isInteger(width)) {
    throw new Error(`${decoded.length} scores do not belong to ${items.length} examples`);
  }
  return { items, width, scores: decoded, norms: squares, rowOf: new Map(items.map(({ id }, row) => [id, row])) };
}

/** What a mode needs beside the candidates. */
export interface Weighing {
  mode: ScoreMode;
  mask: readonly boolean[];
  ckpts: readonly Checkpoint[];
  queryNorms: readonly number[];
}

function divisorOf(mode: ScoreMode, n: number, q: number, rate: number): number {
  if (mode === "dot") return 1;
  return mode === "relative" ? Math.sqrt(n) : rate * Math.sqrt(n * q);
}

/** Share of each column in the score of a row: all columns are given, those switched on sum to the score. */
export function partsOf(candidates: Candidates, row: number, { mode, mask, ckpts, queryNorms }: Weighing): number[] {
  const { width, scores, norms } = candidates;
  const perCheckpoint = width === mask.length;
  const on = perCheckpoint ? mask.filter(Boolean).length : width;
  return Array.from({ length: width }, (_, column) => {
    const at = row * width + column;
    const rate = perCheckpoint ? (ckpts[column]?.learning_rate ?? 1) : 1;
    const divisor = divisorOf(mode, norms[at] ?? 0, queryNorms[column] ?? 0, rate);
    // a gradient of nothing moves nothing
    const part = divisor > 0 ? (scores[at] ?? 0) / divisor : 0;
    return mode === "cosine" ? part / Math.max(on, 1) : part;
  });
}

/** One score a row. Columns that are not one a checkpoint cannot be switched off. */
export function scoresOf(candidates: Candidates, weighing: Weighing): Float64Array {
  const { items, width } = candidates;
  const perCheckpoint = width === weighing.mask.length;
  return Float64Array.from(items, (_, row) => {
    let sum = 0;
    partsOf(candidates, row, weighing).forEach((part, column) => {
      if (!perCheckpoint || weighing.mask[column]) sum += part;
    });
    return sum;
  });
}
