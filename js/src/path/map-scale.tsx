// The scale under a map: its colours, its numbers with their unit, and in words what the ends mean.

import { useMemo } from "preact/hooks";
import { SignalCanvas } from "../lib/canvas";
import { formatNumber, formatPercent } from "../lib/format";
import { paintScale } from "./picture";
import type { PathStore } from "./store";

interface MapScaleProps {
  store: PathStore;
  range: number;
  /** The largest magnitude drawn now, where that is so little that colours hardly show it. */
  faint?: number;
  signed: boolean;
  unit: string;
  /** What the two ends of a map without sign mean. */
  ends?: [string, string];
}

export function MapScale({ store, range, faint = 0, signed, unit, ends = ["no influence", "strong"] }: MapScaleProps) {
  const draw = useMemo(() => () => paintScale(store, signed), [store, signed]);
  if (range === 0) return <p class="xw-scale xw-legend-note">Nothing to draw here: every value is zero.</p>;
  const [low, high] = signed ? ["◂ opposes", "supports ▸"] : ends;
  const { clip } = store.display.value;
  return (
    <div class="xw-scale" title={`at most ${formatNumber(100 - clip)} % of a map lie beyond the ends of its scale`}>
      <SignalCanvas class="xw-scale-strip" draw={draw} />
      <div class="xw-scale-numbers">
        <span>{signed ? formatNumber(-range) : "0"}</span>
        {signed && <span>0</span>}
        <span>
          {signed && "+"}
          {formatNumber(range)}
        </span>
      </div>
      <div class="xw-scale-words">
        <span>{low}</span>
        <span>{high}</span>
      </div>
      <p class="xw-scale-unit">{unit}</p>
      {/* always there, so that moving along the path does not move the page */}
      <p class="xw-scale-unit">
        {faint > 0 ? `faint: at most ${formatPercent(faint / range)} of full colour` : "\u00a0"}
      </p>
    </div>
  );
}
