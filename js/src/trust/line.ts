// Reading lines between their points.

import type { Line } from "./traits";

/** Straight between computed points. */
export function heightAt(xs: readonly number[], ys: readonly number[], at: number): number {
  const after = xs.findIndex((x) => x >= at);
  if (after === -1) return ys.at(-1) ?? Number.NaN;
  const high = ys[after] ?? Number.NaN;
  const low = ys[after - 1];
  const from = xs[after - 1];
  if (low === undefined || from === undefined) return high;
  return low + ((high - low) * (at - from)) / ((xs[after] ?? at) - from || 1);
}

export interface Reading {
  y: number;
  low: number | null;
  high: number | null;
}

export function readingAt({ x, y, low, high }: Line, at: number): Reading {
  const banded = low.length === x.length && high.length === x.length;
  return {
    y: heightAt(x, y, at),
    low: banded ? heightAt(x, low, at) : null,
    high: banded ? heightAt(x, high, at) : null,
  };
}

/** The smallest and largest height of all lines; a probability has its own ends. */
export function heightsOf(lines: readonly Line[]): [number, number] {
  const all = lines.flatMap(({ y, low, high }) => [...y, ...low, ...high]).filter(Number.isFinite);
  const least = Math.min(...all);
  const most = Math.max(...all);
  if (least >= 0 && most <= 1) return [0, 1];
  if (!Number.isFinite(least)) return [0, 1];
  const margin = 0.05 * (most - least || 1);
  return [Math.min(least - margin, 0), most + margin];
}
