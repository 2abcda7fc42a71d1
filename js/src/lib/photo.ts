// A picture, decoded once: as pixels to draw with, and as bytes for the export.

import { bytesOf } from "./transport";

export interface Photo {
  width: number;
  height: number;
  pixels: ImageData;
  bytes: Uint8Array<ArrayBuffer>;
  mime: string;
}

function mimeOf(bytes: Uint8Array): string {
  return bytes[0] === 0xff ? "image/jpeg" : "image/png";
}

export async function decodePhoto(data: unknown, size: readonly [number, number]): Promise<Photo | null> {
  const bytes = bytesOf(data);
  if (bytes.byteLength === 0) return null;
  const mime = mimeOf(bytes);
  const bitmap = await createImageBitmap(new Blob([bytes], { type: mime }));
  const width = size[0] || bitmap.width;
  const height = size[1] || bitmap.height;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no 2D canvas");
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { width, height, pixels: context.getImageData(0, 0, width, height), bytes, mime };
}
