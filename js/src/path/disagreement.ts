// How much the answer depends on the baseline: at every place, the standard deviation over the computed baselines.

import type { Field } from "./run";
import { sameResolution } from "./totals";

export interface Disagreement extends Field {
  /** How many baselines it compares. */
  count: number;
}

/** sqrt(mean_b (φ_b − mean_b φ_b)²) at every place; null with fewer than two maps. */
export function disagreement(fields: readonly Field[]): Disagreement | null {
  const compared = sameResolution(fields);
  const count = compared.length;
  const first = compared[0];
  if (!first || count < 2) return null;
  const values = first.values.map((_, i) => {
    const mean = compared.reduce((sum, one) => sum + (one.values[i] ?? 0), 0) / count;
    return Math.sqrt(compared.reduce((sum, one) => sum + ((one.values[i] ?? 0) - mean) ** 2, 0) / count);
  });
  return { ...first, values, count };
}
