// The pictures of the baselines and where they equal the input, each decoded when it is first looked at.

import { computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { decodePhoto, type Photo } from "../lib/photo";
import { bytesOf, inflate } from "../lib/transport";
import type { PathStore } from "./store";

export interface BlindSpot {
  width: number;
  height: number;
  /** 1 where nothing can get credit. */
  covered: Uint8Array;
}

/** As sent: an encoded picture (missing where the baseline is one colour), and the blind spot. */
export interface StoredPicture {
  image?: unknown;
  blind?: unknown;
}

/** Bits, most significant first, one row of the picture after the other without padding. */
export async function decodeBlindSpot(data: unknown, [width, height]: readonly number[]): Promise<BlindSpot | null> {
  const raw = bytesOf(data);
  if (raw.byteLength === 0 || !width || !height) return null;
  const bits = await inflate(raw);
  const covered = Uint8Array.from({ length: width * height }, (_, i) => ((bits[i >> 3] ?? 0) >> (7 - (i & 7))) & 1);
  return { width, height, covered };
}

function solid(colour: string, [width, height]: readonly number[]): Photo | null {
  const digits = /^#([0-9a-f]{6})$/i.exec(colour)?.[1];
  if (!digits || !width || !height) return null;
  const packed = Number.parseInt(digits, 16);
  const bgr = ((packed & 255) << 16) | (packed & 0xff00) | (packed >> 16);
  const pixels = new ImageData(width, height);
  new Uint32Array(pixels.data.buffer).fill((bgr | 0xff000000) >>> 0);
  return { width, height, pixels, bytes: new Uint8Array(0), mime: "" };
}

export class Pictures {
  readonly #size: Signal<[number, number]>;
  readonly #pictures = new Map<string, ReadonlySignal<Photo | null>>();
  readonly #blindSpots = new Map<string, ReadonlySignal<BlindSpot | null>>();

  constructor(readonly store: PathStore) {
    this.#size = store.bridge.trait<[number, number]>("image_size", [0, 0]);
  }

  picture(id: string): ReadonlySignal<Photo | null> {
    const colour = computed(() => this.store.baselines.value.find((one) => one.id === id)?.colour ?? "");
    return this.#keep(this.#pictures, id, "image", async (bytes) => {
      const size = this.#size.value;
      return colour.value ? solid(colour.value, size) : decodePhoto(bytes, size);
    });
  }

  blindSpot(id: string): ReadonlySignal<BlindSpot | null> {
    return this.#keep(this.#blindSpots, id, "blind", (bytes) => decodeBlindSpot(bytes, this.#size.value));
  }

  /** `decode` reads its signals before it waits for anything, so that they are followed. */
  #keep<T>(
    cache: Map<string, ReadonlySignal<T | null>>,
    id: string,
    part: keyof StoredPicture,
    decode: (bytes: unknown) => Promise<T | null>,
  ): ReadonlySignal<T | null> {
    const known = cache.get(id);
    if (known) return known;
    const made: Signal<T | null> = makeSignal(null);
    cache.set(id, made);
    // The trait is sent whole: only new bytes of this baseline are decoded again.
    const bytes = computed(() => this.store.baselineData.value[id]?.[part]);
    let newest = 0;
    const stop = effect(() => {
      const mine = ++newest;
      decode(bytes.value)
        .then((value) => {
          if (mine === newest) made.value = value;
        })
        .catch((error: unknown) => {
          this.store.decodeError.value = error instanceof Error ? error.message : String(error);
        });
    });
    this.store.lifetime.addEventListener("abort", stop, { once: true });
    return made;
  }
}
