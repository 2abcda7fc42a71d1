// Units of reading: pixels, square blocks, or superpixels. Attributions add up, so a unit's value is the sum over its
// pixels, and the picture shows that sum on all of them.

import type { Values } from "./ranking";
import type { Region, UnitKind } from "./traits";

export interface Units {
  kind: UnitKind;
  width: number;
  height: number;
  /** One value per unit. */
  values: Values;
  /** Unit of each pixel; null where every pixel is its own unit. */
  labels: Uint16Array | Uint32Array | null;
  /** Grid of the units; superpixels have none. */
  rows: number;
  columns: number;
  /** Pixels on a side of a block. */
  size: number;
}

export function pixelUnits(values: Values, width: number, height: number): Units {
  return { kind: "pixel", width, height, values, labels: null, rows: height, columns: width, size: 1 };
}

export function blockSize(block: number, width: number, height: number): number {
  return Math.max(1, Math.round(block > 0 ? block : Math.max(width, height) / 14));
}

export function blockUnits(values: Values, width: number, height: number, block: number): Units {
  const size = blockSize(block, width, height);
  const columns = Math.ceil(width / size);
  const rows = Math.ceil(height / size);
  const labels = new Uint32Array(width * height);
  const sums = new Float64Array(rows * columns);
  for (let y = 0, i = 0; y < height; y++) {
    const first = Math.floor(y / size) * columns;
    for (let x = 0; x < width; x++, i++) {
      const unit = first + Math.floor(x / size);
      labels[i] = unit;
      sums[unit] = (sums[unit] ?? 0) + (values[i] ?? 0);
    }
  }
  return { kind: "block", width, height, values: sums, labels, rows, columns, size };
}

export function superpixelUnits(values: Values, width: number, height: number, segments: Uint16Array): Units {
  let largest = 0;
  for (const label of segments) if (label > largest) largest = label;
  // Label numbers may have gaps: count only those that occur, so that ranks and percentiles are over real units.
  const compact = new Int32Array(largest + 1).fill(-1);
  let count = 0;
  const labels = new Uint16Array(width * height);
  for (let i = 0; i < labels.length; i++) {
    const label = segments[i] ?? 0;
    if (compact[label] === -1) compact[label] = count++;
    labels[i] = compact[label] ?? 0;
  }
  const sums = new Float64Array(count);
  for (let i = 0; i < labels.length; i++) {
    const unit = labels[i] ?? 0;
    sums[unit] = (sums[unit] ?? 0) + (values[i] ?? 0);
  }
  return { kind: "superpixel", width, height, values: sums, labels, rows: 0, columns: 0, size: 0 };
}

export function unitAt(units: Units, x: number, y: number): number {
  const pixel = y * units.width + x;
  return units.labels ? (units.labels[pixel] ?? 0) : pixel;
}

/** The pixels around a unit, and its middle. */
export function unitBox(units: Units, unit: number): Region {
  if (units.kind !== "superpixel") {
    const x0 = (unit % units.columns) * units.size;
    const y0 = Math.floor(unit / units.columns) * units.size;
    return { x0, y0, x1: Math.min(x0 + units.size, units.width), y1: Math.min(y0 + units.size, units.height) };
  }
  const box = { x0: units.width, y0: units.height, x1: 0, y1: 0 };
  for (let i = 0; i < units.width * units.height; i++) {
    if (units.labels?.[i] !== unit) continue;
    const x = i % units.width;
    const y = (i - x) / units.width;
    box.x0 = Math.min(box.x0, x);
    box.x1 = Math.max(box.x1, x + 1);
    box.y0 = Math.min(box.y0, y);
    box.y1 = Math.max(box.y1, y + 1);
  }
  return box;
}

/** A pixel inside the unit: the middle of a block, the pixel of a superpixel closest to its box's middle. */
export function unitPoint(units: Units, unit: number): { x: number; y: number } {
  const box = unitBox(units, unit);
  const middle = { x: Math.floor((box.x0 + box.x1 - 1) / 2), y: Math.floor((box.y0 + box.y1 - 1) / 2) };
  if (units.kind !== "superpixel" || unitAt(units, middle.x, middle.y) === unit) return middle;
  let best = middle;
  let closest = Number.POSITIVE_INFINITY;
  for (let y = box.y0; y < box.y1; y++) {
    for (let x = box.x0; x < box.x1; x++) {
      const distance = (x - middle.x) ** 2 + (y - middle.y) ** 2;
      if (distance < closest && unitAt(units, x, y) === unit) {
        closest = distance;
        best = { x, y };
      }
    }
  }
  return best;
}

/** The edge of a superpixel as an SVG path in map pixels. */
export function unitOutline(units: Units, unit: number): string {
  const { width, height } = units;
  const box = unitBox(units, unit);
  if (units.kind !== "superpixel") return `M${box.x0} ${box.y0}H${box.x1}V${box.y1}H${box.x0}Z`;
  const inside = (x: number, y: number) => x >= 0 && y >= 0 && x < width && y < height && unitAt(units, x, y) === unit;
  let path = "";
  for (let y = box.y0; y < box.y1; y++) {
    for (let x = box.x0; x < box.x1; x++) {
      if (!inside(x, y)) continue;
      if (!inside(x, y - 1)) path += `M${x} ${y}h1`;
      if (!inside(x, y + 1)) path += `M${x} ${y + 1}h1`;
      if (!inside(x - 1, y)) path += `M${x} ${y}v1`;
      if (!inside(x + 1, y)) path += `M${x + 1} ${y}v1`;
    }
  }
  return path;
}

export interface RegionSum {
  sum: number;
  positive: number;
  negative: number;
  /** The signed sum as a share of the map's total magnitude. */
  share: number;
}

export function sumRegion(values: Values, width: number, region: Region): RegionSum {
  let positive = 0;
  let negative = 0;
  let total = 0;
  for (const value of values) total += Math.abs(value);
  for (let y = region.y0; y < region.y1; y++) {
    for (let x = region.x0; x < region.x1; x++) {
      const value = values[y * width + x] ?? 0;
      if (value > 0) positive += value;
      else negative += value;
    }
  }
  const sum = positive + negative;
  return { sum, positive, negative, share: total > 0 ? sum / total : 0 };
}
