// How the values are spread, for the legend.

import type { Ranking } from "./ranking";

export interface Histogram {
  /** Values from -extent (0 for unsigned maps) to +extent. */
  extent: number;
  low: number;
  counts: Float64Array;
  /** The fullest bin other than the one holding zero, which would flatten all others. */
  tallest: number;
}

/** Where the axis ends: the largest value, unless a few outliers would squeeze everything else to a line. */
export function extentOf(ranking: Ranking): number {
  return Math.min(ranking.largest, 2.5 * ranking.clipRange(99.5));
}

export function histogramOf(ranking: Ranking, signed: boolean, bins: number): Histogram {
  const extent = extentOf(ranking);
  const low = signed ? -extent : 0;
  const counts = new Float64Array(bins);
  if (extent > 0) {
    const scale = bins / (extent - low);
    for (const value of ranking.values) {
      const bin = Math.min(Math.max(Math.floor((value - low) * scale), 0), bins - 1);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
  }
  const zeroBin = signed ? Math.floor(bins / 2) : 0;
  let tallest = 1;
  counts.forEach((count, bin) => {
    if (Math.abs(bin - zeroBin) > (signed ? 1 : 0)) tallest = Math.max(tallest, count);
  });
  return { extent, low, counts, tallest };
}

/** The clip percentile whose range is closest to a magnitude. */
export function percentileOf(ranking: Ranking, magnitude: number): number {
  const percent = 100 * (1 - ranking.countAbove(magnitude) / Math.max(ranking.count, 1));
  return Math.min(Math.max(Math.round(percent * 100) / 100, 90), 100);
}
