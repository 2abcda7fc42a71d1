// How much the answer depends on the baseline: at every place, the standard deviation over the computed baselines.

export interface TotalMap {
  values: ArrayLike<number>;
  /** Height and width. */
  shape: readonly [number, number];
}

/** Summed over blocks, so that attributions of coarser and finer maps are about the same pixels. Null if it cannot be. */
export function pooled(map: TotalMap, shape: readonly [number, number]): ArrayLike<number> | null {
  const [height, width] = map.shape;
  const down = height / shape[0];
  const across = width / shape[1];
  if (down === 1 && across === 1) return map.values;
  if (!Number.isInteger(down) || !Number.isInteger(across)) return null;
  const sums = new Float32Array(shape[0] * shape[1]);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y / down) * shape[1];
    for (let x = 0; x < width; x++, i++) {
      const at = row + Math.floor(x / across);
      sums[at] = (sums[at] ?? 0) + (map.values[i] ?? 0);
    }
  }
  return sums;
}

export interface Disagreement extends TotalMap {
  values: Float32Array<ArrayBuffer>;
  /** How many baselines it compares. */
  count: number;
}

/** sqrt(mean_b (φ_b − mean_b φ_b)²) for every value; null with fewer than two maps. */
export function disagreement(maps: readonly TotalMap[]): Disagreement | null {
  let coarsest: readonly [number, number] | null = null;
  for (const { shape } of maps) if (coarsest === null || shape[0] < coarsest[0]) coarsest = shape;
  if (coarsest === null) return null;
  const shape = coarsest;
  const same = maps.map((map) => pooled(map, shape)).filter((values) => values !== null);
  if (same.length < 2) return null;
  const values = new Float32Array(shape[0] * shape[1]);
  for (let i = 0; i < values.length; i++) {
    let sum = 0;
    for (const one of same) sum += one[i] ?? 0;
    const mean = sum / same.length;
    let squares = 0;
    for (const one of same) squares += ((one[i] ?? 0) - mean) ** 2;
    values[i] = Math.sqrt(squares / same.length);
  }
  return { values, shape, count: same.length };
}
