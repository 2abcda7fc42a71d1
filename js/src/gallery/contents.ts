// Texts and table rows of examples: those that are saved with the widget, and those that came when they were wanted.

import { signal as makeSignal } from "@preact/signals";
import type { Cells, Content, TextsMessage } from "./traits";

const MOST = 5000;

export class Contents {
  /** Changes whenever something comes or goes. */
  readonly version = makeSignal(0);
  #saved: ReadonlyMap<number, Content> = new Map();
  readonly #known = new Map<number, Content>();

  of(id: number): Content | undefined {
    this.version.value;
    return this.#known.get(id) ?? this.#saved.get(id);
  }

  has(id: number): boolean {
    return this.#known.has(id) || this.#saved.has(id);
  }

  setSaved(texts: Readonly<Record<string, string>>, cells: Readonly<Record<string, Cells>>): void {
    this.#saved = contentsOf(texts, cells);
    this.version.value = this.version.peek() + 1;
  }

  add({ texts = {}, cells = {} }: TextsMessage): number[] {
    const arrived = contentsOf(texts, cells);
    for (const [id, content] of arrived) {
      this.#known.delete(id);
      this.#known.set(id, content);
    }
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST) break;
      this.#known.delete(oldest);
    }
    this.version.value = this.version.peek() + 1;
    return [...arrived.keys()];
  }
}

function contentsOf(
  texts: Readonly<Record<string, string>>,
  cells: Readonly<Record<string, Cells>>,
): Map<number, Content> {
  const found = new Map<number, Content>();
  for (const [id, text] of Object.entries(texts)) found.set(Number(id), { text });
  for (const [id, row] of Object.entries(cells)) found.set(Number(id), { ...found.get(Number(id)), cells: row });
  return found;
}
