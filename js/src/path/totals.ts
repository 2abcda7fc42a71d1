// The total maps of all computed baselines side by side: one resolution, one scale.

import { clipRange } from "../lib/percentile";
import type { Field } from "./run";

/** The mean over blocks, for values are per pixel; null where that is no coarser. Sizes need not divide. */
export function coarsened(field: Field, width: number, height: number): Field | null {
  if (field.width === width && field.height === height) return field;
  if (field.width < width || field.height < height) return null;
  const values = new Float32Array(width * height);
  const counts = new Uint32Array(width * height);
  for (let y = 0, i = 0; y < field.height; y++) {
    const row = Math.floor((y * height) / field.height) * width;
    for (let x = 0; x < field.width; x++, i++) {
      const at = row + Math.floor((x * width) / field.width);
      values[at] = (values[at] as number) + (field.values[i] as number);
      counts[at] = (counts[at] as number) + 1;
    }
  }
  for (let at = 0; at < values.length; at++) values[at] = (values[at] as number) / (counts[at] as number);
  return { width, height, values };
}

/** All at the resolution of the coarsest: saved maps may be coarser than the one on show. */
export function sameResolution(fields: readonly Field[]): Field[] {
  const [first, ...rest] = fields;
  if (!first) return [];
  const { width, height } = rest.reduce((coarsest, one) => (one.width < coarsest.width ? one : coarsest), first);
  return fields.map((one) => coarsened(one, width, height)).filter((one) => one !== null);
}

/** The magnitude drawn at full strength in all of them: a percentile over everything shown together. */
export function commonRange(fields: readonly Field[], percent: number): number {
  const all = new Float32Array(fields.reduce((count, { values }) => count + values.length, 0));
  let at = 0;
  for (const { values } of fields) {
    all.set(values, at);
    at += values.length;
  }
  return all.length > 0 ? clipRange(all, percent) : 0;
}
