// Texts and table rows of examples that came when they were wanted.

import { signal as makeSignal } from "@preact/signals";
import type { Content, TextsMessage } from "./traits";

const MOST = 5000;

export class Contents {
  /** Changes whenever something comes or goes. */
  readonly version = makeSignal(0);
  readonly #known = new Map<number, Content>();

  of(id: number): Content | undefined {
    this.version.value;
    return this.#known.get(id);
  }

  has(id: number): boolean {
    return this.#known.has(id);
  }

  add({ texts = {}, cells = {} }: TextsMessage): number[] {
    const ids = [...new Set([...Object.keys(texts), ...Object.keys(cells)])].map(Number);
    for (const id of ids) {
      const text = texts[id];
      const row = cells[id];
      this.#known.delete(id);
      this.#known.set(id, { ...(text !== undefined && { text }), ...(row && { cells: row }) });
    }
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST) break;
      this.#known.delete(oldest);
    }
    this.version.value = this.version.peek() + 1;
    return ids;
  }
}
