// The total map of every computed baseline, small, all on one scale.

import type { ReadonlySignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { SignalCanvas } from "../lib/canvas";
import { largestOf } from "../lib/percentile";
import { paintField } from "./picture";
import { type Field, keyOf } from "./run";
import type { PathStore } from "./store";
import { commonRange } from "./totals";

export interface Multiples {
  /** By baseline. */
  fields: ReadonlyMap<string, Field>;
  range: number;
}

export function multiplesOf(store: PathStore): Multiples {
  const mode = store.mode.value;
  const fields = new Map<string, Field>();
  for (const { id } of store.baselines.value) {
    const field = store.runs.value.get(keyOf(mode, id))?.total;
    if (field) fields.set(id, field);
  }
  return { fields, range: commonRange([...fields.values()], store.display.value.clip) };
}

interface MultipleProps {
  store: PathStore;
  id: string;
  multiples: ReadonlySignal<Multiples>;
}

/** Bars for tokens, from the middle: up supports, down opposes. */
function TokenBars({ field, range, signed }: { field: Field; range: number; signed: boolean }) {
  const count = field.values.length;
  const largest = range || largestOf(field.values) || 1;
  let path = "";
  field.values.forEach((value, index) => {
    const height = Math.min(Math.abs(value) / largest, 1);
    const top = value > 0 || !signed ? 1 - height : 1;
    path += `M${index} ${top}h.8v${height}h-.8Z`;
  });
  return (
    <svg class="xw-multiple xw-multiple-bars" viewBox={`0 0 ${count} 2`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

export function Multiple({ store, id, multiples }: MultipleProps) {
  const draw = useMemo(
    () => () => {
      const { fields, range } = multiples.value;
      const field = fields.get(id);
      return field ? paintField(store, field, range, store.display.value.sign === "both") : null;
    },
    [store, id, multiples],
  );
  const { fields, range } = multiples.value;
  const field = fields.get(id);
  if (!field) return <span class="xw-multiple xw-multiple-none">no map yet</span>;
  if (store.medium.value === "text") {
    return <TokenBars field={field} range={range} signed={store.display.value.sign === "both"} />;
  }
  return <SignalCanvas class="xw-multiple" hard={field.width < 160} draw={draw} />;
}
