// Pictures of examples: those that are saved with the widget, and strips of squares that come when they are wanted. The
// strips looked at longest ago go when there are too many.

import { signal as makeSignal } from "@preact/signals";
import { bytesOf } from "../lib/transport";

/** Square `index` of a strip of `count`. */
export interface Picture {
  url: string;
  index: number;
  count: number;
  /** Its pixels are to be seen as squares when it is enlarged. */
  hard: boolean;
}

interface Strip {
  url: string;
  ids: readonly number[];
}

const MOST_STRIPS = 64;
/** Pictures of fewer pixels a side are enlarged. */
const TINY = 64;

/** Whether it is a PNG of few pixels. Its width is in a fixed place. */
function isTiny(bytes: Uint8Array<ArrayBuffer>): boolean {
  if (bytes[0] !== 0x89 || bytes.byteLength < 24) return false;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(16) < TINY;
}

export class Pictures {
  /** Changes whenever pictures come or go. */
  readonly version = makeSignal(0);
  #saved: Readonly<Record<string, unknown>> = {};
  readonly #savedUrls = new Map<string, string>();
  readonly #places = new Map<number, { strip: Strip; index: number }>();
  /** In the order of their last use. */
  readonly #strips = new Set<Strip>();

  constructor(lifetime: AbortSignal) {
    lifetime.addEventListener("abort", () => this.#dropAll(), { once: true });
  }

  /** "q0", or the position of an example. */
  of(key: string | number): Picture | null {
    this.version.value;
    const saved = this.#savedUrl(String(key));
    if (saved) return { url: saved, index: 0, count: 1, hard: isTiny(bytesOf(this.#saved[key])) };
    const place = this.#places.get(Number(key));
    return place ? { url: place.strip.url, index: place.index, count: place.strip.ids.length, hard: false } : null;
  }

  has(id: number): boolean {
    return this.#places.has(id) || this.#saved[id] !== undefined;
  }

  setSaved(saved: Readonly<Record<string, unknown>>): void {
    for (const [key, url] of this.#savedUrls) {
      if (saved[key] === this.#saved[key]) continue;
      URL.revokeObjectURL(url);
      this.#savedUrls.delete(key);
    }
    this.#saved = saved;
    this.version.value = this.version.peek() + 1;
  }

  add(ids: readonly number[], data: unknown): void {
    const bytes = bytesOf(data);
    if (ids.length === 0 || bytes.byteLength === 0) return;
    const strip: Strip = { url: URL.createObjectURL(new Blob([bytes])), ids };
    this.#strips.add(strip);
    for (const [index, id] of ids.entries()) this.#places.set(id, { strip, index });
    for (const oldest of this.#strips) {
      if (this.#strips.size <= MOST_STRIPS) break;
      this.#drop(oldest);
    }
    this.version.value = this.version.peek() + 1;
  }

  /** These are looked at now. */
  touch(ids: readonly number[]): void {
    for (const strip of new Set(ids.map((id) => this.#places.get(id)?.strip))) {
      if (strip && this.#strips.delete(strip)) this.#strips.add(strip);
    }
  }

  #savedUrl(key: string): string | null {
    const known = this.#savedUrls.get(key);
    if (known) return known;
    const bytes = bytesOf(this.#saved[key]);
    if (bytes.byteLength === 0) return null;
    const url = URL.createObjectURL(new Blob([bytes]));
    this.#savedUrls.set(key, url);
    return url;
  }

  #drop(strip: Strip): void {
    this.#strips.delete(strip);
    for (const id of strip.ids) if (this.#places.get(id)?.strip === strip) this.#places.delete(id);
    URL.revokeObjectURL(strip.url);
  }

  #dropAll(): void {
    for (const strip of [...this.#strips]) this.#drop(strip);
    for (const url of this.#savedUrls.values()) URL.revokeObjectURL(url);
    this.#savedUrls.clear();
  }
}
