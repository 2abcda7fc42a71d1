// How much the answer depends on the baseline: at every place, the standard deviation over the computed baselines.

import { clipRange, largestOf } from "../lib/percentile";
import type { PanelMap } from "./maps";
import type { Field } from "./run";
import type { PathStore } from "./store";
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

/** Of what the page holds in this mode; null where it is not asked for, or not known. */
export function spreadOf(store: PathStore): (Disagreement & PanelMap) | null {
  if (!store.display.value.disagreement) return null;
  const mode = store.mode.value;
  const totals = [...store.runs.value.values()].filter((run) => run.mode === mode).map((run) => run.total);
  const found = disagreement(totals.filter((total) => total !== null));
  if (!found) return null;
  const { values } = found;
  return { ...found, exact: true, largest: largestOf(values), range: clipRange(values, store.display.value.clip) };
}
