// The maps of panels 2 and 3 at the place on show, and the magnitude that gets the full colour in each.

import { computed, type ReadonlySignal } from "@preact/signals";
import { type Lut, lutFor, type PaletteKind } from "../lib/palettes";
import { clipRange, largestOf } from "../lib/percentile";
import {
  type Field,
  gainedBetween,
  meanBetween,
  noiseOf,
  type Run,
  rateAt,
  sharedGainRange,
  sharedRateRange,
  sizeOf,
  spanOf,
} from "./run";
import type { PathStore } from "./store";

export interface PanelMap extends Field {
  /** Drawn at full strength; 0 where there is nothing to draw. */
  range: number;
  largest: number;
  /** At the resolution it was computed in, not pooled. */
  exact: boolean;
}

export class Maps {
  /** What is gained at α per unit of the path; of a distribution, the mean of the samples there. */
  readonly rate: ReadonlySignal<PanelMap | null>;
  /** What is gained from the start of the window up to α, or its mean. */
  readonly accumulated: ReadonlySignal<PanelMap | null>;
  /** Whether panel 3 shows a mean. */
  readonly averaged: ReadonlySignal<boolean>;
  /** Whether every place has a scale of its own. */
  readonly rescaled: ReadonlySignal<boolean>;
  /** Colours of maps with and without sign. */
  readonly tables: Record<PaletteKind, ReadonlySignal<Lut>>;

  constructor(store: PathStore) {
    const clip = computed(() => store.display.value.clip);
    this.averaged = computed(() => {
      const mode = store.lastRun.value?.mode;
      return mode === "distribution" || (mode === "path" && store.cumulative.value === "running_mean");
    });
    this.rescaled = computed(() => store.frameScale.value === "each");
    const table = (kind: PaletteKind) =>
      computed(() => lutFor(store.palette.value, kind, store.shade.value, store.lut.value));
    this.tables = { diverging: table("diverging"), sequential: table("sequential") };
    const rateRange = computed(() => {
      const frames = store.lastRun.value?.frames;
      return frames ? sharedRateRange(frames, clip.value) : 0;
    });
    const total = computed(() => store.lastRun.value?.total ?? null);
    const gainRange = computed(() => {
      const frames = store.lastRun.value?.frames;
      return frames ? sharedGainRange(frames, total.value, clip.value, this.averaged.value) : 0;
    });
    const framed = (run: Run, map: (values: Float32Array, span: number) => Float32Array): Field | null =>
      run.frames && { ...run.frames, values: map(new Float32Array(sizeOf(run.frames)), spanOf(run)) };
    const ranged = (run: Run, field: Field | null, shared: number, exact: boolean): PanelMap | null => {
      if (!field) return null;
      const largest = largestOf(field.values);
      const range = this.rescaled.value ? clipRange(field.values, clip.value) : shared;
      return { ...field, exact, largest, range: range <= noiseOf(run, field) ? 0 : range };
    };
    this.rate = computed(() => {
      const run = store.lastRun.value;
      if (!run?.frames) return null;
      const { frames } = run;
      const field = framed(run, (values, span) => rateAt(frames, store.shownAlpha.value * span, values));
      return ranged(run, field, rateRange.value, false);
    });
    this.accumulated = computed(() => {
      const run = store.lastRun.value;
      if (!run) return null;
      const [start] = store.window.value;
      if (total.value && (!run.frames || (start === 0 && store.shownAlpha.value === 1))) {
        return ranged(run, total.value, gainRange.value, true);
      }
      if (!run.frames) return null;
      const { frames } = run;
      const map = this.averaged.value ? meanBetween : gainedBetween;
      const field = framed(run, (values, span) => map(frames, start * span, store.shownAlpha.value * span, values));
      return ranged(run, field, gainRange.value, false);
    });
  }
}
