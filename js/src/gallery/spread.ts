// How the scores are spread: bars of a histogram on a scale that shows single examples beside a hundred thousand, and
// how many a cut-off leaves.

export interface Spread {
  /** One more than counts, ascending. */
  edges: readonly number[];
  counts: readonly number[];
}

/** A histogram of `scores`, zero being the edge of a bin. */
export function spreadOf(scores: ArrayLike<number>, bins = 48): Spread | null {
  let [low, high] = [0, 0];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!Number.isFinite(score)) continue;
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  if (high === low) return null;
  const width = (high - low) / bins;
  const below = low < 0 ? Math.max(Math.ceil(-low / width), 1) : 0;
  const above = high > 0 ? Math.max(Math.ceil(high / width), 1) : 0;
  const counts = new Array<number>(below + above).fill(0);
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!Number.isFinite(score)) continue;
    const bin = Math.min(Math.max(Math.floor(score / width) + below, 0), counts.length - 1);
    counts[bin] = (counts[bin] as number) + 1;
  }
  return { edges: Array.from({ length: below + above + 1 }, (_, i) => (i - below) * width), counts };
}

/** Without the empty bins at both ends; zero stays on the axis. */
export function trimmed({ edges, counts }: Spread): Spread {
  let [first, end] = [0, counts.length];
  while (first < end && counts[first] === 0 && (edges[first + 1] ?? 0) <= 0) first++;
  while (end > first && counts[end - 1] === 0 && (edges[end - 1] ?? 0) >= 0) end--;
  return { edges: edges.slice(first, end + 1), counts: counts.slice(first, end) };
}

/** Share of the full height: logarithmic, so that one example among many thousands is still seen. */
export function heights(counts: readonly number[]): number[] {
  const most = Math.log1p(Math.max(...counts, 1));
  return counts.map((count) => Math.log1p(count) / most);
}

/** The outline of the bars in a box of 1000 × 1. */
export function outline({ edges, counts }: Spread): string {
  const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 1];
  const x = (value: number) => Number(((1000 * (value - low)) / (high - low)).toFixed(1));
  let path = "M0 1";
  heights(counts).forEach((height, bin) => {
    path += `L${x(edges[bin] ?? 0)} ${(1 - height).toFixed(3)}H${x(edges[bin + 1] ?? 0)}`;
  });
  return `${path}L1000 1Z`;
}
