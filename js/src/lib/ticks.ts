// Round numbers for an axis.

import { formatNumber } from "./format";

/** About `count` multiples of 1, 2 or 5 times a power of ten, none outside of the axis. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // plus zero: never −0
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step + 0);
}

/** All ticks of an axis with the same decimals: 0, 5, 10 rather than 0, 5.00, 10.0. */
export function formatTicks(ticks: readonly number[]): string[] {
  const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
  const largest = Math.max(...ticks.map(Math.abs));
  if (!(step >= 1e-3) || largest >= 1e5) return ticks.map(formatNumber);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return ticks.map((tick) => tick.toFixed(decimals).replace("-", "−"));
}
