// What is read at a place, in numbers and in words. The same words go to the page and to screen readers.

import { formatNumber, formatPercent, formatSigned } from "../lib/format";
import type { Point } from "../lib/traits";
import { unitAt, unitPoint } from "../lib/units";
import type { HeatmapStore } from "./store";

export interface Reading {
  unit: number;
  value: number;
  /** Share of the total magnitude, signed like the value. */
  share: number;
  rank: number;
  count: number;
  place: string;
  verb: string;
}

export function verbFor(value: number, signed: boolean): string {
  if (value === 0) return "no influence";
  if (!signed) return "influence";
  return value > 0 ? "supports" : "opposes";
}

function placeOf(store: HeatmapStore, unit: number): string {
  const units = store.units.value;
  if (!units) return "";
  if (units.kind === "superpixel") {
    const { x, y } = unitPoint(units, unit);
    return `superpixel ${unit + 1} at ${x}, ${y}`;
  }
  const row = Math.floor(unit / units.columns) + 1;
  return `row ${row} of ${units.rows}, column ${(unit % units.columns) + 1}`;
}

export function readUnit(store: HeatmapStore, unit: number): Reading | null {
  const ranking = store.ranking.value;
  const value = ranking?.values[unit];
  if (!ranking || value === undefined) return null;
  return {
    unit,
    value,
    share: ranking.total > 0 ? value / ranking.total : 0,
    rank: ranking.rank(unit),
    count: ranking.count,
    place: placeOf(store, unit),
    verb: verbFor(value, store.signed.value),
  };
}

export function readPoint(store: HeatmapStore, point: Point): Reading | null {
  const units = store.units.value;
  if (!units || point.x >= units.width || point.y >= units.height) return null;
  return readUnit(store, unitAt(units, point.x, point.y));
}

/** For the live region: place first, then what it means. */
export function spokenReading(reading: Reading): string {
  const share = formatPercent(Math.abs(reading.share));
  return `${reading.place}: ${reading.verb}, ${share}, rank ${reading.rank}`;
}

export function valueText(store: HeatmapStore, value: number): string {
  return store.signed.value ? formatSigned(value) : formatNumber(value);
}
