// The scale is part of the claim: numbers, words, how the values are spread, and how many are clipped.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { EndWords } from "../components/end-words";
import { Handle } from "../components/handle";
import { SignalCanvas } from "../lib/canvas";
import { formatCount, formatNumber, formatPercent } from "../lib/format";
import { type Histogram, histogramOf, percentileOf } from "../lib/histogram";
import type { Ranking } from "../lib/ranking";
import { renderMap } from "../lib/render";
import type { HeatmapStore } from "./store";

const BINS = 121;
const STRIP = 256;

/** The colours from one end of the axis to the other, drawn by the same function as the map. */
function drawStrip(store: HeatmapStore, histogram: Histogram) {
  const values = new Float64Array(STRIP);
  const step = (histogram.extent - histogram.low) / (STRIP - 1);
  values.forEach((_, index) => {
    values[index] = histogram.low + index * step;
  });
  const display = {
    ...store.drawn.value,
    view: "side" as const,
    scale_mode: "fixed" as const,
    range: store.range.value,
  };
  const { rgba } = renderMap(values, STRIP, 1, display, store.table.value, store.signed.value, {
    polarity: store.polarity.value,
  });
  return { width: STRIP, height: 1, rgba };
}

function Bars({ histogram }: { histogram: Histogram }) {
  let path = "M0 1";
  histogram.counts.forEach((count, bin) => {
    // square roots: a few strong pixels must stay visible beside thousands of weak ones
    const height = Math.min(Math.sqrt(count / histogram.tallest), 1);
    path += `L${bin} ${1 - height}H${bin + 1}`;
  });
  return (
    <svg class="xw-histogram" viewBox={`0 0 ${BINS} 1`} preserveAspectRatio="none" aria-hidden="true">
      <path d={`${path}L${BINS} 1Z`} />
    </svg>
  );
}

function ClipHandle({ store, histogram, place }: { store: HeatmapStore; histogram: Histogram; place: number }) {
  const { clip, scale_mode: mode } = store.display.value;
  if (mode === "shared") return null;
  const fixed = mode === "fixed";
  const drag = (at: number) => {
    const magnitude = Math.abs(histogram.low + at * (histogram.extent - histogram.low));
    const ranking = store.ranking.value;
    if (fixed) store.show({ range: magnitude });
    else if (ranking) store.show({ clip: percentileOf(ranking, magnitude) });
  };
  const step = (direction: number) => {
    if (fixed) store.show({ range: store.range.value * (1 + direction / 20) });
    else store.show({ clip: Math.min(Math.max(Math.round(10 * clip + direction) / 10, 90), 100) });
  };
  return (
    <Handle
      class="xw-clip"
      place={place}
      title="drag: which value gets the full colour"
      label={fixed ? "fixed scale" : "clip percentile"}
      now={clip}
      low={90}
      high={100}
      text={`${fixed ? "" : `${clip} percent, `}full colour at ${formatNumber(store.range.value)}`}
      onDrag={drag}
      onStep={step}
    />
  );
}

const UNIT_WORDS = { pixel: "pixels", block: "blocks", superpixel: "superpixels" } as const;
const SCALE_WORDS = { own: "", shared: "same scale for all inputs", fixed: "scale held fixed" } as const;

function clippedText(store: HeatmapStore, ranking: Ranking): string {
  const clipped = ranking.countAbove(store.range.value);
  if (clipped === 0) return "nothing clipped";
  const words = UNIT_WORDS[store.units.value?.kind ?? "pixel"];
  return `${formatPercent(clipped / ranking.count)} clipped (${formatCount(clipped)} ${words})`;
}

function LegendNote({ store }: { store: HeatmapStore }) {
  const ranking = store.ranking.value;
  if (!ranking) return null;
  const { view, underlay, scale_mode: mode } = store.display.value;
  const unit = store.map.value?.info.unit;
  const mixed = (view === "overlay" || view === "wipe") && underlay < 0.5;
  const parts = [
    unit && `in ${unit}`,
    clippedText(store, ranking),
    mode === "shared" && store.sharedRange === 0 ? "own scale: sums over units differ in size" : SCALE_WORDS[mode],
    mixed && "colours are mixed with the photo: read values from the cursor",
  ];
  return <p class="xw-legend-note">{parts.filter(Boolean).join(" · ")}</p>;
}

/** Centred on its place, but never beyond the ends of the axis. */
function tickShift(place: number): string {
  if (place < 0.06) return "0";
  return place > 0.94 ? "-100%" : "-50%";
}

export function Legend({ store }: { store: HeatmapStore }) {
  // The axis shows strengths where the map is drawn without sign.
  const bothSides = useMemo(() => computed(() => store.signed.value && store.drawn.value.sign !== "absolute"), [store]);
  const histogram = useMemo(
    () => computed(() => (store.ranking.value ? histogramOf(store.ranking.value, bothSides.value, BINS) : null)),
    [store, bothSides],
  );
  const strip = useMemo(() => () => (histogram.value ? drawStrip(store, histogram.value) : null), [store, histogram]);
  const shown = histogram.value;
  const range = store.range.value;
  if (!shown || store.display.value.view === "mask") return null;
  if (range === 0) {
    return (
      <p class="xw-legend-note">
        Every value is zero: nothing to draw. Check the class, and that the model is in eval mode.
      </p>
    );
  }
  const place = (value: number) => Math.min(Math.max((value - shown.low) / (shown.extent - shown.low), 0), 1);
  const ticks = bothSides.value ? [-range, 0, range] : [0, range];
  return (
    <div class="xw-legend">
      <EndWords target={store.question.value.target_label} signed={bothSides.value} />
      <div class="xw-legend-axis">
        <Bars histogram={shown} />
        <SignalCanvas class="xw-strip" draw={strip} />
        <ClipHandle store={store} histogram={shown} place={place(range)} />
      </div>
      <div class="xw-ticks">
        {ticks.map((value) => (
          <span
            key={value}
            class="xw-tick"
            style={{ left: `${100 * place(value)}%`, translate: tickShift(place(value)) }}
          >
            {bothSides.value && value > 0 ? "+" : ""}
            {formatNumber(value)}
          </span>
        ))}
      </div>
      <LegendNote store={store} />
    </div>
  );
}
