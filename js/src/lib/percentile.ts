// One percentile of many magnitudes without sorting them all: colour ranges are needed at every step of a slider.

const BINS = 1024;

/** The nearest-rank percentile of |value|; the largest magnitude where that is zero. The same as Ranking.clipRange. */
export function clipRange(values: Float32Array, percent: number): number {
  const largest = largestOf(values);
  if (largest === 0) return 0;
  const counts = new Uint32Array(BINS);
  const scale = (BINS - 1) / largest;
  for (let i = 0; i < values.length; i++) {
    const bin = (Math.abs(values[i] as number) * scale) | 0;
    counts[bin] = (counts[bin] as number) + 1;
  }
  let rank = Math.min(Math.max(Math.ceil((percent / 100) * values.length), 1), values.length);
  let bin = 0;
  while (rank > (counts[bin] as number)) rank -= counts[bin++] as number;
  const inside: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i] as number);
    if (((magnitude * scale) | 0) === bin) inside.push(magnitude);
  }
  return Float32Array.from(inside).sort()[rank - 1] || largest;
}

export function largestOf(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
  return largest;
}
