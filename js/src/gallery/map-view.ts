// The state of a data map: its axes, which part is in view, the box drawn on it, and the example under the pointer. The
// keyboard's example is the store's cursor, so that verdicts and everything else work here as they do on cards.

import { computed, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import { type AxisName, axesOf, cloudOf, type Levels, levelsOf, wholeOf } from "./axes";
import { type Box, boxOf, type Cloud, inBox, nearest, type Places, placesOf, radiusFor, towards } from "./scatter";
import type { GalleryStore } from "./store";

const WHOLE: Box = { x0: 0, x1: 1, y0: 0, y1: 1 };
/** Pixels around a point that belong to it. */
const REACH = 14;

export class MapView {
  readonly axes: ReadonlySignal<readonly [AxisName, AxisName] | null>;
  readonly cloud: ReadonlySignal<Cloud>;
  readonly whole: ReadonlySignal<Box>;
  /** Null: everything. */
  readonly zoom = makeSignal<Box | null>(null);
  readonly view: ReadonlySignal<Box>;
  /** Of the plot, in CSS pixels. */
  readonly size = makeSignal<readonly [width: number, height: number]>([0, 0]);
  readonly levels: ReadonlySignal<Levels>;
  /** One level alone, or null. */
  readonly level = makeSignal<number | null>(null);
  /** 1 for each row that filters and level let through; null: all. */
  readonly passes: ReadonlySignal<Uint8Array | null>;
  readonly places: ReadonlySignal<Places>;
  /** Places of rows that can be pointed at. */
  readonly open: ReadonlySignal<Places>;
  readonly radius: ReadonlySignal<number>;
  readonly box = makeSignal<Box | null>(null);
  /** The corners of a box that is drawn by keys: where it began, and the one that moves. */
  #corners: [start: [number, number], moving: [number, number]] | null = null;
  /** Rows of the box that pass, in the order of the triage. */
  readonly boxed: ReadonlySignal<number[]>;

  constructor(readonly store: GalleryStore) {
    this.axes = computed(() => store.columns.value && axesOf(store.columns.value));
    this.cloud = computed(() => {
      const [columns, axes] = [store.columns.value, this.axes.value];
      return columns && axes ? cloudOf(columns, ...axes) : { x: new Float32Array(0), y: new Float32Array(0) };
    });
    this.whole = computed(() => (this.axes.value ? wholeOf(this.cloud.value, ...this.axes.value) : WHOLE));
    this.view = computed(() => this.zoom.value ?? this.whole.value);
    this.levels = computed(() => {
      const columns = store.columns.value;
      return columns ? levelsOf(columns, store.ckpts.value.length) : { level: new Uint8Array(0), titles: [] };
    });
    this.passes = computed(() => {
      const columns = store.columns.value;
      const rows = store.triage.value;
      const only = this.level.value;
      if (!columns || (rows.length === columns.n && only === null)) return null;
      const passing = new Uint8Array(columns.n);
      const { level } = this.levels.value;
      for (const row of rows) passing[row] = only === null || level[row] === only ? 1 : 0;
      return passing;
    });
    this.places = computed(() => placesOf(this.cloud.value, this.view.value, ...this.size.value));
    this.open = computed(() => {
      const passes = this.passes.value;
      const { x, y } = this.places.value;
      return passes ? { x: x.map((value, row) => (passes[row] ? value : Number.NaN)), y } : { x, y };
    });
    this.radius = computed(() => radiusFor(store.columns.value?.n ?? 0));
    this.boxed = computed(() => {
      const box = this.box.value;
      if (!box) return [];
      const passes = this.passes.value;
      const inside = inBox(this.cloud.value, box, store.triage.value);
      return passes ? inside.filter((row) => passes[row] === 1) : inside;
    });
  }

  /** Row of an example, −1 if it is not on the map. */
  rowOf(id: number): number {
    return this.store.columns.value?.rowOf(id) ?? -1;
  }

  idOf(row: number): number {
    return this.store.columns.value?.idOf(row) ?? -1;
  }

  at(x: number, y: number): number {
    return nearest(this.open.value, x, y, REACH);
  }

  /** Mark the example at a place in the plot, or none. */
  point(x: number, y: number): void {
    const row = this.at(x, y);
    this.store.hovered.value = row < 0 ? null : this.idOf(row);
  }

  /** Data coordinates of a place in the plot. */
  pointAt(x: number, y: number): [number, number] {
    const [width, height] = this.size.value;
    const { x0, x1, y0, y1 } = this.view.value;
    const share = (place: number, length: number) => Math.min(Math.max(place / Math.max(length, 1), 0), 1);
    return [x0 + share(x, width) * (x1 - x0), y1 - share(y, height) * (y1 - y0)];
  }

  /** Where data coordinates lie, as shares of the plot. */
  shareOf(x: number, y: number): [number, number] {
    const { x0, x1, y0, y1 } = this.view.value;
    return [(x - x0) / (x1 - x0), (y1 - y) / (y1 - y0)];
  }

  /** The keyboard's row; −1 before the first key. */
  get here(): number {
    const focused = this.store.focused.value;
    return focused === null ? -1 : this.rowOf(focused);
  }

  /** Put the keyboard on a row. */
  moveTo(row: number): void {
    const place = this.store.triage.value.indexOf(row);
    if (place >= 0) this.store.moveTo("triage", place);
  }

  /** To the next point in a direction; from nowhere, to the first of the triage. */
  step(dx: -1 | 0 | 1, dy: -1 | 0 | 1, pixels: number): void {
    const { here } = this;
    const isOpen = here >= 0 && !Number.isNaN(this.open.value.x[here] ?? Number.NaN);
    this.moveTo(isOpen ? towards(this.open.value, here, dx, dy, pixels) : this.first(1));
  }

  /** The open point highest (1) or lowest (−1) on the vertical axis. */
  first(direction: 1 | -1): number {
    const { x, y } = this.open.value;
    let best = -1;
    for (let row = 0; row < x.length; row++) {
      if (Number.isNaN(x[row] as number)) continue;
      if (best < 0 || direction * ((y[best] as number) - (y[row] as number)) > 0) best = row;
    }
    return best;
  }

  /** Move one corner of the box a twentieth of the plot; it begins at the keyboard's example. */
  stretchBox(dx: -1 | 0 | 1, dy: -1 | 0 | 1): void {
    const { here } = this;
    const { x0, x1, y0, y1 } = this.view.value;
    if (!this.box.value || !this.#corners) {
      const { x, y } = this.cloud.value;
      const start: [number, number] =
        here >= 0 ? [x[here] as number, y[here] as number] : [(x0 + x1) / 2, (y0 + y1) / 2];
      this.#corners = [start, start];
    }
    const [start, [x, y]] = this.#corners;
    const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
    const moving: [number, number] = [
      clamp(x + (dx * (x1 - x0)) / 20, x0, x1),
      clamp(y - (dy * (y1 - y0)) / 20, y0, y1),
    ];
    this.#corners = [start, moving];
    this.box.value = boxOf(start, moving);
  }

  /** A box drawn in one go, or none. */
  setBox(box: Box | null): void {
    this.#corners = null;
    this.box.value = box;
  }

  selectBoxed(): void {
    this.store.select(this.boxed.value.map((row) => this.idOf(row)));
  }

  zoomToBox(): void {
    if (!this.box.value) return;
    this.zoom.value = this.box.value;
    this.setBox(null);
  }
}
