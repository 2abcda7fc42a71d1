// Colour tables as 256 packed pixels, ready to be written into a canvas. The tables themselves come from Python, so
// that the static picture and the live one show the same colours.

import { PALETTES } from "./palettes.gen";
import { bytesOfBase64 } from "./static-model";
import type { Shade } from "./theme";
import { bytesOf } from "./transport";

export type Lut = Uint32Array<ArrayBuffer>;
export type PaletteKind = "diverging" | "sequential";

/** Red, green and blue in the three low bytes, alpha left at zero: hosts are little-endian. */
export function packLut(rgb: Uint8Array): Lut {
  const lut = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    lut[i] = (rgb[3 * i] ?? 0) | ((rgb[3 * i + 1] ?? 0) << 8) | ((rgb[3 * i + 2] ?? 0) << 16);
  }
  return lut;
}

/** Entries were written as differences from the one before, modulo 256. */
function tableOf(steps: Uint8Array): Uint8Array {
  for (let i = 3; i < steps.length; i++) steps[i] = (steps[i] ?? 0) + (steps[i - 3] ?? 0);
  return steps;
}

export function paletteNames(kind: PaletteKind): { name: string; title: string }[] {
  return Object.entries(PALETTES)
    .filter(([name, palette]) => palette.kind === kind && !name.startsWith("default_"))
    .map(([name, palette]) => ({ name, title: palette.title }));
}

export function defaultPaletteTitle(kind: PaletteKind): string {
  return PALETTES[`default_${kind}`]?.title ?? "";
}

/** The table for a kind of map. A palette of the other kind would misread the values, so the default steps in. */
export function lutFor(palette: string, kind: PaletteKind, shade: Shade, custom: unknown): Lut {
  const customBytes = bytesOf(custom);
  if (palette === "custom" && customBytes.byteLength === 768) return packLut(customBytes);
  const named = PALETTES[palette];
  const chosen = named?.kind === kind ? named : PALETTES[`default_${kind}`];
  if (!chosen) return packLut(new Uint8Array(768));
  return packLut(tableOf(bytesOfBase64((shade === "dark" && chosen.dark) || chosen.light)));
}

export function cssColour(lut: Lut, index: number): string {
  const packed = lut[Math.max(0, Math.min(255, Math.round(index)))] ?? 0;
  return `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;
}
