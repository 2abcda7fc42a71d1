// Maps as they are compared: on one scale, each as a share of its own total magnitude; or as they are.

import { clipRange, largestOf } from "../lib/percentile";
import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { MapsInfo, Scale } from "./traits";

export interface Field {
  width: number;
  height: number;
  values: Float32Array;
}

/** By entry, then by input. */
export type Fields = ReadonlyMap<string, readonly Field[]>;

export async function decodeFields(info: MapsInfo, data: unknown): Promise<Fields> {
  const raw = bytesOf(data);
  const fields = new Map<string, Field[]>();
  if (raw.byteLength === 0) return fields;
  const stored = await inflate(raw);
  for (const [key, { offset, scales }] of Object.entries(info.entries)) {
    let at = offset;
    const maps = info.shapes.map(([height, width], input) => {
      const count = height * width;
      if (at + count > stored.byteLength) throw new Error(`the map of ${key} does not fit into its bytes`);
      const values = floatsOf(stored.subarray(at, at + count), "int8", scales[input] ?? 0, count);
      at += count;
      return { width, height, values };
    });
    fields.set(key, maps);
  }
  return fields;
}

export function massOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += Math.abs(value);
  return sum;
}

/** Each value as a share of the map's total magnitude; zeros stay zeros. */
export function asShares(field: Field): Field {
  const mass = massOf(field.values);
  return mass > 0 ? { ...field, values: field.values.map((value) => value / mass) } : field;
}

/** The magnitude that is drawn at full strength, of one map or of several together. */
export function rangeOfAll(fields: readonly Field[], clip: number): number {
  const all = new Float32Array(fields.reduce((count, { values }) => count + values.length, 0));
  let at = 0;
  for (const { values } of fields) {
    all.set(values, at);
    at += values.length;
  }
  return all.length > 0 ? clipRange(all, clip) : 0;
}

export interface Drawn extends Field {
  range: number;
  signed: boolean;
}

/** What is drawn of some maps of one input: with the range that each has. */
export function drawnOf(
  fields: ReadonlyMap<string, Field>,
  scale: Scale,
  clip: number,
  signed: (key: string) => boolean,
): Map<string, Drawn> {
  const read = new Map([...fields].map(([key, field]) => [key, scale === "share" ? asShares(field) : field]));
  const common = scale === "own" ? 0 : rangeOfAll([...read.values()], clip);
  return new Map(
    [...read].map(([key, field]) => [
      key,
      { ...field, range: scale === "own" ? clipRange(field.values, clip) : common, signed: signed(key) },
    ]),
  );
}

/** Standard deviation over maps, each as a share of its total magnitude; null with fewer than two. */
export function disagreement(fields: readonly Field[], absolute: boolean): Field | null {
  const first = fields[0];
  if (!first || fields.length < 2) return null;
  const shares = fields.map((field) => {
    const { values } = asShares(field);
    return absolute ? values.map(Math.abs) : values;
  });
  const values = first.values.map((_, i) => {
    const mean = shares.reduce((sum, one) => sum + (one[i] ?? 0), 0) / shares.length;
    return Math.sqrt(shares.reduce((sum, one) => sum + ((one[i] ?? 0) - mean) ** 2, 0) / shares.length);
  });
  return { ...first, values };
}

/** One map's shares minus the other's. */
export function difference(a: Field, b: Field, absolute: boolean): Field {
  const [x, y] = [asShares(a).values, asShares(b).values];
  const read = absolute ? Math.abs : (value: number) => value;
  return { ...a, values: x.map((value, i) => read(value) - read(y[i] ?? 0)) };
}

/** How many of the strongest `share` of the places both have in common; null where a map is zero everywhere. */
export function overlap(a: Field, b: Field, share: number): number | null {
  if (largestOf(a.values) === 0 || largestOf(b.values) === 0) return null;
  const count = Math.max(1, Math.round(share * a.values.length));
  const top = ({ values }: Field) =>
    new Set(
      Array.from(values.keys())
        .sort((i, j) => Math.abs(values[j] ?? 0) - Math.abs(values[i] ?? 0) || i - j)
        .slice(0, count),
    );
  const theirs = top(b);
  let common = 0;
  for (const place of top(a)) if (theirs.has(place)) common += 1;
  return common / count;
}
