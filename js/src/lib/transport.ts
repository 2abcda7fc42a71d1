// Numbers from the kernel: one (usually deflated) buffer with all maps of an input in C order.

import type { MapInfo } from "./traits";

export interface DecodedMap {
  info: MapInfo;
  height: number;
  width: number;
  values: Float32Array;
  /** Of maps sent as int8: the byte of each pixel, and the value of each byte. Colours are then worked out 256 times. */
  codes: { bytes: Uint8Array; levels: Float32Array } | null;
}

/** The bytes a view really covers: hosts may hand out slices of a larger buffer. */
export function bytesOf(view: unknown): Uint8Array<ArrayBuffer> {
  if (view instanceof ArrayBuffer) return new Uint8Array(view);
  if (!ArrayBuffer.isView(view)) return new Uint8Array(0);
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
}

export async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function floatOfHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Stored numbers of one dtype from the start of a view, each times a scale. */
export function floatsOf(
  stored: ArrayBufferView<ArrayBuffer>,
  dtype: MapInfo["dtype"],
  scale: number,
  count: number,
): Float32Array {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  // A double product rounded once, as on the Python side: the same last bit decides the same colour.
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    if (dtype === "int8") values[i] = view.getInt8(i) * scale;
    else if (dtype === "float16") values[i] = floatOfHalf(view.getUint16(2 * i, true)) * scale;
    else values[i] = view.getFloat32(4 * i, true) * scale;
  }
  return values;
}

function codesOf(view: DataView, scale: number): { bytes: Uint8Array; levels: Float32Array } {
  const bytes = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
  return { bytes, levels: Float32Array.from({ length: 256 }, (_, byte) => (byte < 128 ? byte : byte - 256) * scale) };
}

function decodeOne(info: MapInfo, buffer: Uint8Array): DecodedMap {
  const [height, width] = info.shape;
  const count = height * width;
  const bytesEach = { int8: 1, float16: 2, float32: 4 }[info.dtype];
  if (info.offset + count * bytesEach > buffer.byteLength) {
    throw new Error(`map ${info.key}: ${height}×${width} ${info.dtype} does not fit into ${buffer.byteLength} bytes`);
  }
  const view = new DataView(buffer.buffer as ArrayBuffer, buffer.byteOffset + info.offset, count * bytesEach);
  const values = floatsOf(view, info.dtype, info.scale, count);
  return { info, height, width, values, codes: info.dtype === "int8" ? codesOf(view, info.scale) : null };
}

export async function decodeMaps(infos: readonly MapInfo[], data: unknown): Promise<DecodedMap[]> {
  const raw = bytesOf(data);
  if (infos.length === 0 || raw.byteLength === 0) return [];
  const buffer = infos.some((info) => info.enc === "zlib") ? await inflate(raw) : raw;
  return infos.map((info) => decodeOne(info, buffer));
}

export async function decodeSegments(data: unknown): Promise<Uint16Array | null> {
  const raw = bytesOf(data);
  if (raw.byteLength === 0) return null;
  const buffer = await inflate(raw);
  // Copied: a Uint16Array needs an even offset.
  return new Uint16Array(buffer.slice().buffer);
}
