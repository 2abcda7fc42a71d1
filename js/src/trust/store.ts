// The state of the Trust drawer: what was tested, about which map, and where the reader reads it.

import { computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { type Announcer, makeAnnouncer } from "../lib/announcer";
import { BaseStore } from "../lib/base-store";
import type { Model } from "../lib/host";
import { type Lut, lutFor } from "../lib/palettes";
import { clipRange } from "../lib/percentile";
import { decodePhoto, type Photo } from "../lib/photo";
import { decodeControls, decodeLayers, type SmallMap } from "./decode";
import { NOTHING, type Removal, type Trust } from "./traits";

const CLIP = 99.5;

export type Scale = "one" | "each";

export class TrustStore extends BaseStore {
  readonly trust: ReadonlySignal<Trust>;
  /** Key of the map that the widget shows. */
  readonly shown: Signal<string>;
  /** Whether the tests are about another map than the one on show. */
  readonly stale: ReadonlySignal<boolean>;
  readonly testing: ReadonlySignal<boolean>;
  /** Failed before there was anything to show. */
  readonly empty: ReadonlySignal<boolean>;
  /** The drawer speaks for itself: the widget around it says what its own job does. */
  readonly voice: Announcer;

  readonly controls: Signal<readonly (SmallMap | null)[]> = makeSignal([]);
  readonly layerMaps: Signal<ReadonlyMap<number, SmallMap>> = makeSignal(new Map());
  readonly sprites: Readonly<Record<Removal, Signal<Photo | null>>> = {
    deletion: makeSignal(null),
    insertion: makeSignal(null),
  };

  /** Share at which the curves are read. */
  readonly place = makeSignal(0.2);
  /** The curve seen where there is room for one. */
  readonly removal = makeSignal<Removal>("deletion");
  /** Layer that is read; null for the last that is done. */
  readonly layer = makeSignal<number | null>(null);
  readonly scale = makeSignal<Scale>("one");
  /** The magnitude at full colour of all small maps, where they share it. */
  readonly range: ReadonlySignal<number>;
  readonly tables: Readonly<Record<"diverging" | "sequential", ReadonlySignal<Lut>>>;

  readonly tableOpen = makeSignal(false);
  readonly exportOpen = makeSignal(false);

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const trust = this.bridge.trait<Partial<Trust>>("trust", {});
    this.trust = computed(() => ({ ...NOTHING, ...trust.value }));
    this.shown = this.#followShown();
    this.stale = computed(() => this.tested.value && this.trust.value.key !== this.shown.value);
    this.testing = computed(() => this.tested.value && this.trust.value.status === "running");
    this.empty = computed(() => {
      const { status, curves, controls } = this.trust.value;
      return status === "error" && Object.keys(curves).length + controls.length === 0;
    });
    this.voice = makeAnnouncer(lifetime);
    this.range = computed(() => {
      const first = this.controls.value[0];
      return first ? clipRange(first.values, CLIP) : 0;
    });
    const table = (kind: "diverging" | "sequential") =>
      computed(() => lutFor(this.palette.value, kind, this.shade.value, this.lut.value));
    this.tables = { diverging: table("diverging"), sequential: table("sequential") };
    this.#decodeOnChange();
    this.#speak();
  }

  /** Test the map on show, or the one that was tested with other settings. */
  test(settings: Partial<Trust["settings"]> = {}): void {
    if (!this.live) return;
    const key = Object.keys(settings).length > 0 ? this.trust.value.key : this.shown.value;
    this.bridge.send({ type: "trust", key, settings: { ...this.trust.value.settings, ...settings } });
  }

  stop(): void {
    if (this.live && this.testing.value) this.bridge.send({ type: "trust_cancel" });
  }

  rangeOf(map: SmallMap): number {
    return this.scale.value === "one" ? this.range.value : clipRange(map.values, CLIP);
  }

  /** Undo the innermost thing that is open; false if nothing is. */
  release(): boolean {
    if (this.exportOpen.value) this.exportOpen.value = false;
    else if (this.testing.value && this.live) this.stop();
    else if (this.tableOpen.value) this.tableOpen.value = false;
    else return false;
    return true;
  }

  /** The widget writes on the drawer which map it shows. */
  #followShown(): Signal<string> {
    const drawer = this.element.parentElement;
    const read = () => drawer?.dataset.map ?? "";
    const shown = makeSignal(read());
    if (!drawer) return shown;
    const observer = new MutationObserver(() => {
      shown.value = read();
    });
    observer.observe(drawer, { attributes: true, attributeFilter: ["data-map"] });
    this.lifetime.addEventListener("abort", () => observer.disconnect(), { once: true });
    return shown;
  }

  #decodeOnChange(): void {
    const data = this.bridge.trait<Record<string, unknown>>("trust_data", {});
    const part = (name: string) => computed(() => data.value[name] ?? null);
    const maps = part("maps");
    const layers = part("layers");
    this.follow(
      () => decodeControls(maps.value, this.trust.value.controls),
      (decoded) => {
        this.controls.value = decoded;
      },
    );
    this.follow(
      () => decodeLayers(layers.value, this.trust.value.layers, this.trust.value.controls[0]?.signed ?? true),
      (decoded) => {
        this.layerMaps.value = decoded;
      },
    );
    for (const removal of ["deletion", "insertion"] as const) {
      const sprite = part(removal);
      this.follow(
        () => decodePhoto(sprite.value, [0, 0]),
        (decoded) => {
          this.sprites[removal].value = decoded;
        },
      );
    }
  }

  #speak(): void {
    const words = {
      running: () => "testing the map",
      done: () => {
        const count = this.trust.peek().sentences.filter(({ level }) => level === "watch").length;
        return count > 0 ? `tested: ${count} findings to look at` : "tested: nothing stands out";
      },
      cancelled: () => "test cancelled",
      error: () => "the test failed",
    };
    let known = this.tested.peek() ? this.trust.peek().status : undefined;
    const stop = effect(() => {
      const { status } = this.trust.value;
      if (status !== known) this.voice.say(words[status]());
      known = status;
    });
    this.lifetime.addEventListener("abort", stop, { once: true });
  }
}
