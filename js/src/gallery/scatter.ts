// Points of a scatter plot: where they fall, how they are drawn, which is under the pointer. Pure functions of arrays.
// A cloud has up to some 200,000 points: one pass over all is a millisecond, so there is no index.

import type { Picture } from "../lib/canvas";
import type { Rgb } from "../lib/theme";

export interface Box {
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

export interface Cloud {
  x: Float32Array;
  y: Float32Array;
}

/** Pixels of each point; what lies outside of the view is not a number. y grows upwards in the data, downwards here. */
export interface Places {
  x: Float32Array;
  y: Float32Array;
}

export function boxOf(a: readonly [number, number], b: readonly [number, number]): Box {
  return { x0: Math.min(a[0], b[0]), x1: Math.max(a[0], b[0]), y0: Math.min(a[1], b[1]), y1: Math.max(a[1], b[1]) };
}

export function placesOf(cloud: Cloud, view: Box, width: number, height: number): Places {
  const count = cloud.x.length;
  const places = { x: new Float32Array(count), y: new Float32Array(count) };
  const [perX, perY] = [width / (view.x1 - view.x0), height / (view.y1 - view.y0)];
  for (let i = 0; i < count; i++) {
    const [x, y] = [cloud.x[i] as number, cloud.y[i] as number];
    const inside = x >= view.x0 && x <= view.x1 && y >= view.y0 && y <= view.y1;
    places.x[i] = inside ? (x - view.x0) * perX : Number.NaN;
    places.y[i] = inside ? (view.y1 - y) * perY : Number.NaN;
  }
  return places;
}

/** The place of the nearest point at most `reach` away, −1 where there is none. */
export function nearest(places: Places, x: number, y: number, reach: number): number {
  let best = -1;
  let least = reach * reach;
  for (let i = 0; i < places.x.length; i++) {
    const dx = (places.x[i] as number) - x;
    const dy = (places.y[i] as number) - y;
    const distance = dx * dx + dy * dy;
    if (distance <= least) {
      least = distance;
      best = i;
    }
  }
  return best;
}

/** Those of some points that are in a box in data coordinates, its edges included, in their order. */
export function inBox({ x, y }: Cloud, { x0, x1, y0, y1 }: Box, rows: Int32Array): number[] {
  const found: number[] = [];
  for (const row of rows) {
    const [across, up] = [x[row] as number, y[row] as number];
    if (across >= x0 && across <= x1 && up >= y0 && up <= y1) found.push(row);
  }
  return found;
}

/**
 * The next point in a direction: at least `step` pixels ahead, as near as possible, what lies aside counting three times.
 * The same point where there is none.
 */
export function towards(places: Places, from: number, dx: -1 | 0 | 1, dy: -1 | 0 | 1, step: number): number {
  const [x, y] = [places.x[from] as number, places.y[from] as number];
  let best = from;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < places.x.length; i++) {
    const [along, aside] = [
      ((places.x[i] as number) - x) * dx + ((places.y[i] as number) - y) * dy,
      Math.abs(((places.x[i] as number) - x) * dy) + Math.abs(((places.y[i] as number) - y) * dx),
    ];
    if (!(along >= step)) continue;
    const cost = along + 3 * aside;
    if (cost < least) {
      least = cost;
      best = i;
    }
  }
  return best;
}

/** Few points are large, many small: the plot stays readable from ten to a hundred thousand. */
export function radiusFor(count: number): number {
  if (count <= 400) return 4;
  if (count <= 4000) return 3;
  return count <= 30_000 ? 2.2 : 1.6;
}

interface Dot {
  dx: number;
  dy: number;
  cover: number;
}

/** A disc as the pixels it covers, its rim by shares. */
function disc(radius: number): Dot[] {
  const reach = Math.ceil(radius + 0.5);
  const dots: Dot[] = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const cover = Math.min(Math.max(radius + 0.5 - Math.hypot(dx, dy), 0), 1);
      if (cover > 0.02) dots.push({ dx, dy, cover });
    }
  }
  return dots;
}

interface Painting {
  width: number;
  height: number;
  radius: number;
  /** Which colour each point has. */
  level: Uint8Array;
  colours: readonly Rgb[];
  /** Zero where a point is filtered out: it stays as a trace. */
  passes: Uint8Array | null;
  faint: Rgb;
}

/** How much of the ground a point covers: of many each less, so that crowds are seen. */
function strengthFor(count: number): number {
  if (count <= 4000) return 0.75;
  return count <= 30_000 ? 0.5 : 0.28;
}

const TRACE = 0.16;

/** Where points lie over each other their colours are averaged and the ground is covered more: no order hides any. */
export function paintCloud(places: Places, options: Painting): Picture {
  const { width, height, radius, level, colours, passes, faint } = options;
  const size = width * height;
  const [red, green, blue] = [new Float32Array(size), new Float32Array(size), new Float32Array(size)];
  const weight = new Float32Array(size);
  const open = new Float32Array(size).fill(1);
  const dots = disc(radius);
  const full = strengthFor(places.x.length);
  for (let i = 0; i < places.x.length; i++) {
    const [px, py] = [places.x[i] as number, places.y[i] as number];
    if (Number.isNaN(px)) continue;
    const shown = !passes || passes[i] === 1;
    const colour = shown ? colours[level[i] as number] : faint;
    if (!colour) continue;
    const strength = shown ? full : full * TRACE;
    const [left, top] = [Math.round(px), Math.round(py)];
    for (const { dx, dy, cover } of dots) {
      const [x, y] = [left + dx, top + dy];
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const at = y * width + x;
      const share = strength * cover;
      red[at] = (red[at] as number) + colour[0] * share;
      green[at] = (green[at] as number) + colour[1] * share;
      blue[at] = (blue[at] as number) + colour[2] * share;
      weight[at] = (weight[at] as number) + share;
      open[at] = (open[at] as number) * (1 - share);
    }
  }
  const rgba = new Uint8ClampedArray(4 * size);
  for (let at = 0; at < size; at++) {
    const total = weight[at] as number;
    if (total === 0) continue;
    rgba[4 * at] = (red[at] as number) / total;
    rgba[4 * at + 1] = (green[at] as number) / total;
    rgba[4 * at + 2] = (blue[at] as number) / total;
    rgba[4 * at + 3] = 255 * (1 - (open[at] as number));
  }
  return { width, height, rgba };
}
