// The state of a heatmap: which map is drawn, in which units, and what the reader points at. Everything here is
// recomputed by signals, so a control changes one value and the pictures follow.

import { batch, computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { BaseStore } from "../lib/base-store";
import type { Model } from "../lib/host";
import { type Lut, lutFor, type PaletteKind } from "../lib/palettes";
import { decodePhoto, type Photo } from "../lib/photo";
import { Ranking } from "../lib/ranking";
import { rangeOf } from "../lib/render";
import {
  DEFAULT_DISPLAY,
  type Display,
  type MapInfo,
  type Named,
  type Point,
  type Quality,
  type Region,
  type UnitKind,
  type WhatIf,
} from "../lib/traits";
import { bytesOf, type DecodedMap, decodeMaps, decodeSegments } from "../lib/transport";
import { blockUnits, pixelUnits, sumRegion, superpixelUnits, type Units, unitAt } from "../lib/units";
import { Zoom } from "./zoom";

export interface InputInfo {
  label: string;
}

interface Segments {
  labels: Uint16Array;
  shape: [number, number];
}

/** An empty object stands for "none" in the cursor, region and what-if traits. */
function present<T extends object>(value: Partial<T>): T | null {
  return Object.keys(value).length > 0 ? (value as T) : null;
}

export class HeatmapStore extends BaseStore {
  declare readonly baselines: Signal<Named[]>;
  readonly inputs: Signal<InputInfo[]>;
  readonly thumbnails: Signal<unknown>;
  readonly quality: Signal<Quality>;
  readonly sharedScale: Signal<Partial<Record<UnitKind, number>>>;
  /** Ways to make one number of a pixel's channels; empty where there is only one channel. */
  readonly reductions: Signal<Named[]>;
  readonly display: ReadonlySignal<Display>;
  /** The display as far as the map is drawn by it: opacity, wipe and the faded photo never redraw the map. */
  readonly drawn: ReadonlySignal<Display>;

  readonly maps: Signal<DecodedMap[]> = makeSignal([]);
  readonly photo: Signal<Photo | null> = makeSignal(null);
  /** Whether there is a picture under the map, or will be. */
  readonly hasPhoto: ReadonlySignal<boolean>;
  readonly segments: Signal<Segments | null> = makeSignal(null);

  readonly map: ReadonlySignal<DecodedMap | null>;
  readonly signed: ReadonlySignal<boolean>;
  readonly units: ReadonlySignal<Units | null>;
  readonly ranking: ReadonlySignal<Ranking | null>;
  readonly range: ReadonlySignal<number>;
  readonly paletteKind: ReadonlySignal<PaletteKind>;
  readonly table: ReadonlySignal<Lut>;

  /** Where the pointer is; the locked or keyboard cursor is the trait. */
  readonly hover: Signal<Point | null> = makeSignal(null);
  readonly cursor: ReadonlySignal<Point | null>;
  readonly point: ReadonlySignal<Point | null>;
  readonly region: ReadonlySignal<Region | null>;
  /** A region being drawn, not yet chosen. */
  readonly draft: Signal<Region | null> = makeSignal(null);
  /** Where a keyboard region began. */
  readonly anchor: Signal<Point | null> = makeSignal(null);
  readonly whatIf: ReadonlySignal<WhatIf | null>;
  readonly askingWhatIf = makeSignal(false);
  readonly mapHidden = makeSignal(false);
  readonly tableOpen = makeSignal(false);
  readonly exportOpen = makeSignal(false);
  readonly moreOpen = makeSignal(false);
  readonly zoom = new Zoom();

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const { bridge } = this;
    this.inputs = bridge.trait<InputInfo[]>("inputs", []);
    this.thumbnails = bridge.trait<unknown>("thumbnails", null);
    this.quality = bridge.trait<Quality>("quality", {});
    this.sharedScale = bridge.trait("shared_scale", {});
    this.reductions = bridge.trait<Named[]>("reductions", []);

    const display = bridge.trait<Partial<Display>>("display", {});
    this.display = computed(() => ({ ...DEFAULT_DISPLAY, ...display.value }));
    let drawn: Display = DEFAULT_DISPLAY;
    this.drawn = computed(() => {
      const { sign } = this.display.value;
      // A map without signs has no side to hide.
      const next: Display = {
        ...this.display.value,
        opacity: 1,
        wipe: 0,
        underlay: 1,
        sign: this.signed.value ? sign : "both",
      };
      if (Object.entries(next).some(([name, value]) => drawn[name as keyof Display] !== value)) drawn = next;
      return drawn;
    });
    const cursor = bridge.trait<Partial<Point>>("cursor", {});
    this.cursor = computed(() => {
      const point = present<Point>(cursor.value);
      const map = this.map.value;
      // Chosen on a larger map: another method may answer with a coarser one.
      return point && map && (point.x >= map.width || point.y >= map.height) ? null : point;
    });
    const region = bridge.trait<Partial<Region>>("region", {});
    this.region = computed(() => {
      const chosen = present<Region>(region.value);
      const map = this.map.value;
      return chosen && map && (chosen.x1 > map.width || chosen.y1 > map.height) ? null : chosen;
    });
    const whatIf = bridge.trait<Partial<WhatIf>>("whatif", {});
    this.whatIf = computed(() => present<WhatIf>(whatIf.value));
    this.point = computed(() => this.hover.value ?? this.cursor.value);

    this.map = computed(() => {
      const { reduction } = this.display.value;
      return this.maps.value.find((map) => map.info.reduction === reduction) ?? this.maps.value[0] ?? null;
    });
    this.signed = computed(() => this.map.value?.info.signed ?? true);
    const unitKind = computed(() => this.display.value.unit);
    const block = computed(() => this.display.value.block);
    this.units = computed(() => this.#makeUnits(this.map.value, unitKind.value, block.value));
    // The sort of all pixels is the one slow step: kept apart, so that switching units and back does not repeat it.
    const pixelRanking = computed(() => (this.map.value ? new Ranking(this.map.value.values) : null));
    this.ranking = computed(() => {
      const units = this.units.value;
      if (!units) return null;
      return units.kind === "pixel" ? pixelRanking.value : new Ranking(units.values);
    });
    this.range = computed(() =>
      this.ranking.value ? rangeOf(this.drawn.value, this.ranking.value, this.sharedRange) : 0,
    );
    const sign = computed(() => this.display.value.sign);
    this.paletteKind = computed(() => (this.signed.value && sign.value !== "absolute" ? "diverging" : "sequential"));
    this.table = computed(() => lutFor(this.palette.value, this.paletteKind.value, this.shade.value, this.lut.value));
    const size = bridge.trait<unknown>("image", null);
    this.hasPhoto = computed(() => this.noModel.value === "" || bytesOf(size.value).byteLength > 0);
    this.#decodeOnChange();
    this.#askForWhatIsMissing();
  }

  /** The range common to all inputs explained in this way; none for superpixels, which differ from picture to picture. */
  get sharedRange(): number {
    return this.sharedScale.value[this.drawn.value.unit] ?? 0;
  }

  show(patch: Partial<Display>): void {
    const before = this.bridge.model.get("display") as Partial<Display> | undefined;
    this.bridge.write("display", { ...DEFAULT_DISPLAY, ...before, ...patch });
  }

  lock(point: Point | null): void {
    this.bridge.write("cursor", point ?? {});
  }

  chooseRegion(region: Region | null): void {
    const map = this.map.value;
    const chosen = region && map && region.x1 > region.x0 && region.y1 > region.y0 ? region : null;
    batch(() => {
      this.draft.value = null;
      this.anchor.value = null;
      this.bridge.write("region", chosen ?? {});
      this.bridge.write(
        "selection",
        chosen && map ? { region: chosen, ...sumRegion(map.values, map.width, chosen) } : {},
      );
    });
  }

  /** Ask the model again with the chosen region blurred. */
  askWhatIf(): void {
    const region = this.region.value;
    if (!region || !this.live || this.askingWhatIf.value) return;
    this.askingWhatIf.value = true;
    this.bridge.saveNow();
    this.bridge.send({ type: "whatif", region });
  }

  unitOf(point: Point): number {
    return this.units.value ? unitAt(this.units.value, point.x, point.y) : 0;
  }

  #makeUnits(map: DecodedMap | null, kind: Display["unit"], block: number): Units | null {
    if (!map) return null;
    const { values, width, height } = map;
    if (kind === "block") return blockUnits(values, width, height, block);
    const segments = this.segments.value;
    if (kind === "superpixel" && segments && segments.shape[0] === height && segments.shape[1] === width) {
      return superpixelUnits(values, width, height, segments.labels);
    }
    return pixelUnits(values, width, height);
  }

  #decodeOnChange(): void {
    const { bridge, lifetime } = this;
    const infos = bridge.trait<MapInfo[]>("maps", []);
    const mapData = bridge.trait<unknown>("map_data", null);
    const image = bridge.trait<unknown>("image", null);
    const imageSize = bridge.trait<[number, number]>("image_size", [0, 0]);
    const segments = bridge.trait<unknown>("segments", null);
    const segmentsShape = bridge.trait<[number, number]>("segments_shape", [0, 0]);

    this.follow(
      () => decodeMaps(infos.value, mapData.value),
      (maps) => {
        this.maps.value = maps;
        this.acknowledge();
      },
    );
    this.follow(
      () => decodePhoto(image.value, imageSize.value),
      (photo) => {
        this.photo.value = photo;
      },
    );
    this.follow(
      () => {
        const shape = segmentsShape.value;
        return decodeSegments(segments.value).then((labels) => (labels ? { labels, shape } : null));
      },
      (decoded) => {
        this.segments.value = decoded;
      },
    );
    const stop = effect(() => {
      // Answered, or failed.
      this.whatIf.value;
      this.failure.value;
      this.askingWhatIf.value = false;
    });
    lifetime.addEventListener("abort", stop, { once: true });
  }

  #askForWhatIsMissing(): void {
    const missingSegments = computed(
      () => this.display.value.unit === "superpixel" && this.maps.value.length > 0 && !this.segments.value && this.live,
    );
    const missingReduction = computed(() => {
      const { reduction } = this.display.value;
      const maps = this.maps.value;
      const missing = maps.length > 0 && !maps.some((map) => map.info.reduction === reduction);
      return missing && this.live ? reduction : "";
    });
    // Effects over computed signals: each gap is asked for once, not at every new picture.
    const stops = [
      effect(() => {
        if (missingSegments.value) this.bridge.send({ type: "segments" });
      }),
      effect(() => {
        if (missingReduction.value) this.bridge.send({ type: "reduction", key: missingReduction.value });
      }),
    ];
    for (const stop of stops) this.lifetime.addEventListener("abort", stop, { once: true });
  }
}
