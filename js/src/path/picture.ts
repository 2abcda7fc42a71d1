// The pixels of the panels.

import type { Picture } from "../lib/canvas";
import type { Photo } from "../lib/photo";
import { renderMap } from "../lib/render";
import { DEFAULT_DISPLAY, type Display } from "../lib/traits";
import type { BlindSpot } from "./baseline-pictures";
import type { Field } from "./run";
import type { PathStore } from "./store";

/** The point between two pictures: exact, for a model's own scaling of its input is linear. */
export function blend(from: Photo, to: Photo, share: number): Picture {
  const { width, height } = to;
  const rgba = new Uint8ClampedArray(4 * width * height);
  const start = from.pixels.data;
  const end = to.pixels.data;
  for (let i = 0; i < rgba.length; i++) {
    const before = start[i] as number;
    rgba[i] = before + share * ((end[i] as number) - before);
  }
  return { width, height, rgba };
}

/** One of many pictures side by side, and how far it has been blended into the input. */
export interface Sample {
  sprite: Photo;
  index: number;
  count: number;
  alpha: number;
}

/** As blend, from a stored reference that may be smaller than the input. */
export function blendSample({ sprite, index, count, alpha }: Sample, to: Photo): Picture {
  const { width, height } = to;
  const wide = Math.floor(sprite.width / count);
  const start = new Uint32Array(sprite.pixels.data.buffer);
  const pixels = new Uint32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor((y * sprite.height) / height) * sprite.width + index * wide;
    for (let x = 0; x < width; x++, i++) pixels[i] = start[row + Math.floor((x * wide) / width)] ?? 0;
  }
  const rgba = new Uint8ClampedArray(pixels.buffer);
  const end = to.pixels.data;
  for (let i = 0; i < rgba.length; i++) {
    const before = rgba[i] as number;
    rgba[i] = before + alpha * ((end[i] as number) - before);
  }
  return { width, height, rgba };
}

/** Panel 1: where the path is. The input stands alone while its colours are picked, and before its baseline has arrived. */
export function paintPoint(store: PathStore): Picture | null {
  const photo = store.photo.value;
  if (!photo) return null;
  if (store.mode.value === "distribution") {
    const sample = store.sample.value;
    return sample ? blendSample(sample, photo) : blend(photo, photo, 1);
  }
  const from = store.picture(store.baselineId.value).value;
  const ready = !store.picking.value && from?.width === photo.width && from.height === photo.height;
  return ready ? blend(from, photo, store.shownAlpha.value) : blend(photo, photo, 1);
}

/** A map in the colours of the widget; `range` gets the full colour, and with none nothing is drawn but the neutral. */
export function paintField(store: PathStore, field: Field, range: number, signed: boolean): Picture {
  const { width, height, values } = field;
  const display: Display = {
    ...DEFAULT_DISPLAY,
    view: "side",
    scale_mode: "fixed",
    range: range > 0 ? range : Number.POSITIVE_INFINITY,
  };
  const lut = store.maps.tables[signed ? "diverging" : "sequential"].value;
  const { rgba } = renderMap(values, width, height, display, lut, signed, { polarity: store.polarity.value });
  return { width, height, rgba };
}

/** The colours from one end of a scale to the other. */
export function paintScale(store: PathStore, signed: boolean): Picture {
  const values = Float32Array.from({ length: 256 }, (_, i) => (signed ? (2 * i) / 255 - 1 : i / 255));
  return paintField(store, { width: 256, height: 1, values }, 1, signed);
}

/** Fine enough for the lines to stay lines over a coarse picture. */
const HATCH_SIDE = 448;
const PERIOD = 12;
const LINE = 3;
const DARK = 0xd0101010;
const BRIGHT = 0xd0ffffff;

/** Slanted lines, dark beside bright, so that they are seen over any colour and in either theme. */
export function hatch({ width, height, covered }: BlindSpot): Picture {
  const scale = Math.max(Math.ceil(HATCH_SIDE / Math.max(width, height)), 1);
  const wide = width * scale;
  const pixels = new Uint32Array(wide * height * scale);
  for (let i = 0; i < pixels.length; i++) {
    const x = i % wide;
    const y = (i - x) / wide;
    if (!covered[Math.floor(y / scale) * width + Math.floor(x / scale)]) continue;
    const across = (x + y) % PERIOD;
    if (across < 2 * LINE) pixels[i] = across < LINE ? DARK : BRIGHT;
  }
  return { width: wide, height: height * scale, rgba: new Uint8ClampedArray(pixels.buffer) };
}
