// Phrases a reader chose, by their places in the text, and what they add up to.

import { placeBefore } from "./groups";
import type { CharRange, SelectionSum, TokenTuple } from "./traits";

/** Ranges in order; what overlaps or touches is one. */
export function merged(ranges: readonly CharRange[]): CharRange[] {
  const found: CharRange[] = [];
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = found.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else if (end > start) found.push([start, end]);
  }
  return found;
}

/** The chosen ranges without one of them. */
export function without(ranges: readonly CharRange[], gone: CharRange): CharRange[] {
  const kept = ranges.flatMap(([start, end]): CharRange[] => [
    [start, Math.min(end, gone[0])],
    [Math.max(start, gone[1]), end],
  ]);
  return kept.filter(([start, end]) => end > start);
}

export function covers(ranges: readonly CharRange[], start: number, end: number): boolean {
  return ranges.some(([from, to]) => start < to && end > from);
}

/** Tokens with some text in the ranges (which are in order). */
export function membersIn(tokens: readonly TokenTuple[], ranges: readonly CharRange[]): number[] {
  const starts = ranges.map(([start]) => start);
  const found: number[] = [];
  tokens.forEach(([start, end], token) => {
    if (end <= start) return;
    const range = ranges[placeBefore(starts, end - 1)];
    if (range && start < range[1]) found.push(token);
  });
  return found;
}

export function sumOf(
  values: Float32Array,
  tokens: readonly TokenTuple[],
  text: string,
  ranges: readonly CharRange[],
  total: number,
): SelectionSum {
  const members = membersIn(tokens, ranges);
  let positive = 0;
  let negative = 0;
  for (const member of members) {
    const value = values[member] || 0;
    if (value > 0) positive += value;
    else negative += value;
  }
  const sum = positive + negative;
  return {
    sum,
    positive,
    negative,
    share: total > 0 ? sum / total : 0,
    tokens: members.length,
    text: ranges.map(([start, end]) => text.slice(start, end)).join(" … "),
  };
}
