// The pictures of a test: maps as one byte a place, removals as pictures side by side.

import type { Photo } from "../lib/photo";
import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { Control, Layers } from "./traits";

export interface SmallMap {
  width: number;
  height: number;
  values: Float32Array;
  signed: boolean;
}

interface Stored {
  shape: readonly [number, number];
  scale: number;
  signed: boolean;
}

/** Maps one after the other. Those that the bytes do not reach yet come later. */
async function mapsOf(data: unknown, stored: readonly Stored[]): Promise<(SmallMap | null)[]> {
  const raw = bytesOf(data);
  if (raw.byteLength === 0) return stored.map(() => null);
  const bytes = await inflate(raw);
  let offset = 0;
  return stored.map(({ shape: [height, width], scale, signed }) => {
    const count = height * width;
    const part = bytes.subarray(offset, offset + count);
    offset += count;
    if (part.byteLength < count) return null;
    return { width, height, values: floatsOf(part, "int8", scale, count), signed };
  });
}

export function decodeControls(data: unknown, controls: readonly Control[]): Promise<(SmallMap | null)[]> {
  return mapsOf(data, controls);
}

/** By number of the layer. */
export async function decodeLayers(
  data: unknown,
  layers: Partial<Layers>,
  signed: boolean,
): Promise<ReadonlyMap<number, SmallMap>> {
  const { shown = [], shape = [0, 0], scales = [] } = layers;
  const maps = await mapsOf(
    data,
    shown.map((_, index) => ({ shape, scale: scales[index] ?? 0, signed })),
  );
  return new Map(shown.flatMap((layer, index) => (maps[index] ? [[layer, maps[index]]] : [])));
}

/** One of the pictures side by side. */
export function framePixels({ pixels, width, height }: Photo, index: number, count: number) {
  const wide = Math.floor(width / count);
  const rgba = new Uint8ClampedArray(4 * wide * height);
  for (let y = 0; y < height; y++) {
    const start = 4 * (y * width + index * wide);
    rgba.set(pixels.data.subarray(start, start + 4 * wide), 4 * y * wide);
  }
  return { width: wide, height, rgba };
}
