// A chart that is read at one place: axes with numbers, lines, and a marker that follows the pointer and the arrow keys.

import type { ComponentChildren, TargetedPointerEvent } from "preact";
import { formatTicks, niceTicks } from "../lib/ticks";

/** Units of the drawing; it is stretched to its box, lines keep their width. */
export const SIDE = 1000;

export interface Axes {
  /** Across, from 0 to `span`. */
  span: number;
  low: number;
  high: number;
}

export const across = ({ span }: Axes, x: number): number => (SIDE * x) / (span || 1);
export const down = ({ low, high }: Axes, y: number): number => (SIDE * (high - y)) / (high - low || 1);

export function pathOf(axes: Axes, xs: readonly number[], ys: readonly (number | null)[]): string {
  let pen = "M";
  return ys
    .map((y, i) => {
      if (y === null || !Number.isFinite(y)) {
        pen = "M";
        return "";
      }
      const point = `${pen}${across(axes, xs[i] ?? 0).toFixed(1)} ${down(axes, y).toFixed(1)}`;
      pen = "L";
      return point;
    })
    .join("");
}

/** The band between two lines as a clip path: what fills it is not stretched with the drawing. */
export function bandOf(axes: Axes, xs: readonly number[], low: readonly number[], high: readonly number[]): string {
  const point = (x: number, y: number) => `${across(axes, x) / 10}% ${down(axes, y) / 10}%`;
  const there = xs.map((x, i) => point(x, high[i] ?? 0));
  const back = xs.map((x, i) => point(x, low[i] ?? 0)).reverse();
  return `polygon(${[...there, ...back].join()})`;
}

const STEPS: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -4,
  PageUp: 4,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

interface PlotProps {
  axes: Axes;
  label: string;
  /** Numbers under the axis, with their words. */
  below: readonly [place: number, words: string][];
  place: number;
  /** What the place is called, with all values there. */
  reading: string;
  /** Of the arrow keys. */
  step: number;
  onRead(place: number): void;
  children: ComponentChildren;
}

export function Plot({ axes, label, below, place, reading, step, onRead, children }: PlotProps) {
  const ticks = niceTicks(axes.low, axes.high, 4);
  const numbers = formatTicks(ticks);
  const read = (x: number) => onRead(Math.min(Math.max(x, 0), axes.span));
  const point = (event: TargetedPointerEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    read((axes.span * (event.clientX - box.left)) / box.width);
  };
  return (
    <div
      class="xw-plot"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={axes.span}
      aria-valuenow={Number(place.toFixed(3))}
      aria-valuetext={reading}
      onPointerDown={point}
      onPointerMove={point}
      onKeyDown={(event) => {
        const steps = STEPS[event.key];
        if (steps === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        read(Math.round(place / step + steps) * step);
      }}
    >
      <svg viewBox={`0 0 ${SIDE} ${SIDE}`} preserveAspectRatio="none" aria-hidden="true">
        {ticks.map((tick) => (
          <path key={tick} class="xw-plot-grid" data-zero={tick === 0} d={`M0 ${down(axes, tick)}H${SIDE}`} />
        ))}
        <path class="xw-plot-marker" d={`M${across(axes, place)} 0V${SIDE}`} />
      </svg>
      {children}
      {ticks.map((tick, i) => (
        <span key={tick} class="xw-plot-tick xw-plot-left" style={{ top: `${down(axes, tick) / 10}%` }}>
          {numbers[i]}
        </span>
      ))}
      {below.map(([x, words]) => (
        <span key={x} class="xw-plot-tick xw-plot-below" style={{ left: `${across(axes, x) / 10}%` }}>
          {words}
        </span>
      ))}
    </div>
  );
}
