// A map and the reader's display settings give pixels. Twin of xaiwidgets/live/render.py: both are tested against the
// same fixtures. Pure functions of arrays, no canvas.

import type { Lut } from "./palettes";
import { Ranking, type Values } from "./ranking";
import type { Rgb, Shade } from "./theme";
import type { Display, Polarity } from "./traits";

export interface Rendered {
  rgba: Uint8ClampedArray<ArrayBuffer>;
  /** The magnitude drawn at full strength; 0 where everything is zero. */
  range: number;
}

export interface RenderOptions {
  polarity?: Polarity;
  /** Sorted magnitudes, if they are known already. */
  ranking?: Ranking;
  /** Unit of each pixel, where values are per unit. */
  labels?: Uint8Array | Uint16Array | Uint32Array | null;
  /** The range shared by all explained inputs. */
  sharedRange?: number;
}

export function rangeOf(display: Display, ranking: Ranking, sharedRange = 0): number {
  if (display.scale_mode === "fixed" && display.range > 0) return display.range;
  if (display.scale_mode === "shared" && sharedRange > 0) return sharedRange;
  return ranking.clipRange(display.clip);
}

const OPAQUE = 255 << 24;

/** Colour of one value with its opacity, as a packed pixel. */
function pixelOf(value: number, range: number, display: Display, lut: Lut, diverging: boolean, flip: boolean): number {
  let shown = value;
  if (display.sign === "positive" && value < 0) shown = 0;
  else if (display.sign === "negative" && value > 0) shown = 0;
  const magnitude = shown < 0 ? -shown : shown;
  const ratio = range > 0 ? magnitude / range : 0;
  const clipped = ratio < 1 ? ratio : 1;
  const strength = display.gamma === 1 ? clipped : clipped ** display.gamma;
  let index: number;
  if (diverging) {
    const direction = shown < 0 !== flip ? -127.5 : 127.5;
    const at = Math.floor(127.5 + direction * strength + 0.5);
    index = at > 255 ? 255 : at < 0 ? 0 : at;
  } else {
    index = Math.floor(255 * strength + 0.5);
  }
  const alpha = display.view === "side" ? OPAQUE : Math.floor(255 * Math.sqrt(strength) + 0.5) << 24;
  return ((lut[index] ?? 0) | alpha) >>> 0;
}

/** The colours of units over their pixels; without labels every pixel has its own. */
function spread(
  colours: Uint32Array<ArrayBuffer>,
  labels: Uint8Array | Uint16Array | Uint32Array | null,
  count: number,
): Uint32Array<ArrayBuffer> {
  if (!labels) return colours;
  const pixels = new Uint32Array(count);
  for (let i = 0; i < count; i++) pixels[i] = colours[labels[i] ?? 0] ?? 0;
  return pixels;
}

/** `values` are per pixel, or per unit where `labels` says which unit each pixel belongs to. */
export function renderMap(
  values: Values,
  width: number,
  height: number,
  display: Display,
  lut: Lut,
  signed: boolean,
  options: RenderOptions = {},
): Rendered {
  // a known range spares the sort of all values
  const known = display.scale_mode === "fixed" && display.range > 0;
  const range = known ? display.range : rangeOf(display, options.ranking ?? new Ranking(values), options.sharedRange);
  const diverging = signed && display.sign !== "absolute";
  const flip = options.polarity === "cool";
  const colours = new Uint32Array(values.length);
  for (let i = 0; i < colours.length; i++) {
    colours[i] = pixelOf(values[i] ?? 0, range, display, lut, diverging, flip);
  }
  const pixels = spread(colours, options.labels ?? null, width * height);
  return { rgba: new Uint8ClampedArray(pixels.buffer), range };
}

const COVER_ALPHA = 230;

/** Cover all but the strongest `top_p` percent with the colour of the page. */
export function renderMask(
  values: Values,
  width: number,
  height: number,
  display: Display,
  page: Rgb,
  options: RenderOptions = {},
): Uint8ClampedArray<ArrayBuffer> {
  const ranking = options.ranking ?? new Ranking(values);
  const threshold = ranking.topThreshold(display.top_p);
  const cover = (page[0] | (page[1] << 8) | (page[2] << 16) | (COVER_ALPHA << 24)) >>> 0;
  const covers = Uint32Array.from(values, (value) => {
    const magnitude = Math.abs(value);
    return magnitude > 0 && magnitude >= threshold ? 0 : cover;
  });
  const pixels = spread(covers, options.labels ?? null, width * height);
  return new Uint8ClampedArray(pixels.buffer);
}

/** The picture below an overlay, its greys faded so that its own contrast does not read as attribution. */
export function renderUnderlay(
  source: Uint8ClampedArray,
  fade: number,
  shade: Shade,
  target: Uint8ClampedArray<ArrayBuffer> = new Uint8ClampedArray(source.length),
): Uint8ClampedArray<ArrayBuffer> {
  const offset = shade === "light" ? 217 * fade : 0;
  const factor = fade * (shade === "light" ? 38 / 255 : 0.2);
  const keep = 1 - fade;
  for (let i = 0; i < source.length; i += 4) {
    const red = source[i] ?? 0;
    const green = source[i + 1] ?? 0;
    const blue = source[i + 2] ?? 0;
    const grey = offset + factor * (0.2126 * red + 0.7152 * green + 0.0722 * blue);
    target[i] = keep * red + grey;
    target[i + 1] = keep * green + grey;
    target[i + 2] = keep * blue + grey;
    target[i + 3] = 255;
  }
  return target;
}
