// The axes and colours of the data map. The usual ones are variability, confidence and correctness over the checkpoints;
// where an index has one checkpoint only, what there is stands in.

import type { Rgb } from "../lib/theme";
import type { Columns } from "./columns";
import type { Box, Cloud } from "./scatter";
import type { FieldName } from "./traits";

export type AxisName = Extract<FieldName, "variability" | "confidence" | "conf" | "self">;

interface AxisInfo {
  title: string;
  means: string;
  /** Drawn as the logarithm of the value. */
  log?: boolean;
  /** What can be, whatever is. */
  from?: number;
  to?: number;
}

export const AXES: Readonly<Record<AxisName, AxisInfo>> = {
  variability: { title: "variability", means: "spread of the label's probability over checkpoints", from: 0 },
  confidence: { title: "mean confidence", means: "mean of the label's probability over checkpoints", from: 0, to: 1 },
  conf: { title: "confidence now", means: "probability of the class predicted last", from: 0, to: 1 },
  self: { title: "self-influence", means: "squared size of its own gradients", log: true },
};

/** The usual one, and what stands in for it. */
const PAIRS: readonly (readonly [AxisName, AxisName])[] = [
  ["variability", "confidence"],
  ["self", "confidence"],
  ["self", "conf"],
];

/** Null where none of the pairs is known. */
export function axesOf(columns: Columns): readonly [AxisName, AxisName] | null {
  return PAIRS.find((pair) => pair.every((name) => columns.fields.has(name))) ?? null;
}

function drawnValues(columns: Columns, name: AxisName): Float32Array {
  const values = columns.fields.get(name) ?? new Float32Array(0);
  return AXES[name].log ? values.map((value) => (value > 0 ? Math.log10(value) : Number.NaN)) : values;
}

export function cloudOf(columns: Columns, x: AxisName, y: AxisName): Cloud {
  return { x: drawnValues(columns, x), y: drawnValues(columns, y) };
}

function extent(values: Float32Array, { from, to }: AxisInfo): [number, number] {
  let [low, high] = [from ?? Number.POSITIVE_INFINITY, to ?? Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const room = 0.03 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

export function wholeOf(cloud: Cloud, x: AxisName, y: AxisName): Box {
  const [x0, x1] = extent(cloud.x, AXES[x]);
  const [y0, y1] = extent(cloud.y, AXES[y]);
  return { x0, x1, y0, y1 };
}

// --- colours --------------------------------------------------------------------------------------------------------------

export interface Levels {
  /** Of each row; its colour is `colours[level]`. */
  level: Uint8Array;
  titles: string[];
}

const MOST_LEVELS = 6;

/** Correctness in at most six steps; right or wrong now, where that is all there is. */
export function levelsOf(columns: Columns, checkpoints: number): Levels {
  const correctness = columns.fields.get("correctness");
  const { n } = columns;
  if (correctness && checkpoints > 1) {
    const steps = Math.min(checkpoints, MOST_LEVELS - 1);
    const level = Uint8Array.from({ length: n }, (_, row) =>
      Math.round(Math.min(Math.max(correctness[row] ?? 0, 0), 1) * steps),
    );
    const titles = Array.from({ length: steps + 1 }, (_, step) => {
      if (step === 0) return "never right";
      if (step === steps) return "always right";
      return steps === checkpoints ? `${step} of ${steps}` : `${Math.round((100 * step) / steps)} %`;
    });
    return { level, titles };
  }
  const [y, yhat] = [columns.fields.get("y"), columns.fields.get("yhat")];
  if (y && yhat)
    return {
      level: Uint8Array.from({ length: n }, (_, row) => (y[row] === yhat[row] ? 1 : 0)),
      titles: ["wrong now", "right now"],
    };
  return { level: new Uint8Array(n), titles: [""] };
}

/** From wrong to right: purple over blue to green, readable on the page's colour, distinct without red and green. */
const RAMPS: Readonly<Record<"light" | "dark", readonly Rgb[]>> = {
  light: [
    [122, 17, 111],
    [88, 62, 160],
    [44, 104, 172],
    [22, 135, 150],
    [74, 163, 110],
    [150, 184, 70],
  ],
  dark: [
    [226, 112, 205],
    [166, 130, 232],
    [104, 154, 232],
    [72, 180, 200],
    [108, 204, 148],
    [196, 222, 100],
  ],
};

/** `count` colours over the whole ramp. */
export function coloursFor(count: number, shade: "light" | "dark"): Rgb[] {
  const ramp = RAMPS[shade];
  if (count < 2) return [ramp[2] as Rgb];
  return Array.from({ length: count }, (_, step) => ramp[Math.round((step * (ramp.length - 1)) / (count - 1))] as Rgb);
}
