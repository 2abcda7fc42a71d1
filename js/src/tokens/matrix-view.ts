// The matrix as the reader reads it: rows and columns are units, so its cells add up like everything else.

import { computed, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import { mixed } from "../lib/bar-colours";
import type { Picture } from "../lib/canvas";
import type { Rgb } from "../lib/theme";
import { type Group, groupValue } from "./groups";
import { spanOf } from "./outputs";
import type { TokenStore } from "./store";

export interface Cells {
  rows: Group[];
  columns: Group[];
  /** Row after row; not a number where nothing is known. */
  values: Float32Array;
  /** Largest magnitude of each row. */
  largest: Float32Array;
}

export interface Cell {
  row: number;
  column: number;
}

export class MatrixView {
  readonly cells: ReadonlySignal<Cells | null>;
  readonly hover = makeSignal<Cell | null>(null);
  readonly #cursor = makeSignal<Cell>({ row: 0, column: 0 });
  readonly width = makeSignal(0);

  constructor(readonly store: TokenStore) {
    this.cells = computed(() => this.#cells());
  }

  /** The cell the keyboard is at; other units may have fewer. */
  get cursor(): Cell {
    const { row, column } = this.#cursor.value;
    return this.#inside(row, column);
  }

  goTo({ row, column }: Cell): void {
    this.#cursor.value = this.#inside(row, column);
  }

  #inside(row: number, column: number): Cell {
    const cells = this.cells.value;
    const clamp = (value: number, count = 1) => Math.min(Math.max(value, 0), Math.max(count - 1, 0));
    return { row: clamp(row, cells?.rows.length), column: clamp(column, cells?.columns.length) };
  }

  /** What a cell of full strength holds; of a target's own scale, row by row. */
  rangeOf(row: number): number {
    const { scaleMode, display } = this.store;
    if (scaleMode.value === "fixed" && display.value.range > 0) return display.value.range;
    const largest = this.cells.value?.largest ?? new Float32Array(0);
    return scaleMode.value === "target" ? (largest[row] ?? 0) : Math.max(...largest, 0);
  }

  valueAt({ row, column }: Cell): number {
    const cells = this.cells.value;
    return cells?.values[row * cells.columns.length + column] ?? Number.NaN;
  }

  /** Whether a column comes after the tokens of a row, so that it cannot matter to them. */
  isLater({ row, column }: Cell): boolean {
    const cells = this.cells.value;
    return (cells?.columns[column]?.members[0] ?? 0) >= (cells?.rows[row]?.members.at(-1) ?? 0);
  }

  /** One pixel a cell; what is not known is transparent, what cannot matter has the colour of the page. */
  picture(): Picture | null {
    const cells = this.cells.value;
    if (!cells || cells.rows.length === 0) return null;
    const { store } = this;
    const colours = store.colours.value;
    const width = cells.columns.length;
    const pixels = new Uint32Array(cells.values.length);
    const packed = ([red, green, blue]: Rgb) => (red | (green << 8) | (blue << 16) | 0xff000000) >>> 0;
    const blank = packed(colours.page);
    cells.rows.forEach((_, row) => {
      const range = this.rangeOf(row);
      for (let column = 0; column < width; column++) {
        const value = cells.values[row * width + column] as number;
        if (this.isLater({ row, column })) pixels[row * width + column] = blank;
        if (Number.isNaN(value)) continue;
        pixels[row * width + column] = packed(mixed(colours, value, range));
      }
    });
    return { width, height: cells.rows.length, rgba: new Uint8ClampedArray(pixels.buffer) };
  }

  #cells(): Cells | null {
    const { store } = this;
    const matrix = store.currentMatrix.value;
    const shown = store.grouping.value.groups.filter((group) => store.specials.value || !group.special);
    const first = store.nPrompt.value;
    const rows = shown.filter((group) => (group.members[0] ?? 0) >= first);
    // the last output token is behind every target
    const columns = shown.filter((group) => group.index !== rows.at(-1)?.index || group.members.length > 1);
    if (!matrix || rows.length === 0) return null;
    const { columns: stride } = matrix.meta;
    const values = new Float32Array(rows.length * columns.length).fill(Number.NaN);
    const largest = new Float32Array(rows.length);
    const agg = store.agg.value;
    rows.forEach((group, row) => {
      const [from, to] = spanOf(store, group);
      const own = new Float32Array(stride);
      for (let place = from; place <= to; place++) {
        if (!matrix.have.has(place)) return;
        for (let token = 0; token < stride; token++) {
          own[token] = (own[token] as number) + (matrix.values[place * stride + token] as number);
        }
      }
      columns.forEach((column, at) => {
        const later = (column.members[0] ?? 0) >= first + to;
        const value = later ? Number.NaN : groupValue(own, column.members, agg);
        values[row * columns.length + at] = value;
        if (!Number.isNaN(value)) largest[row] = Math.max(largest[row] as number, Math.abs(value));
      });
    });
    return { rows, columns, values, largest };
  }
}
