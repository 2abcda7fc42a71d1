// The state of a path explorer: which run is on show, where on the path the reader looks, and the maps there. Moving
// along the path never touches the kernel; only a run that the page does not hold is asked for.

import { batch, computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { BaseStore } from "../lib/base-store";
import type { Model } from "../lib/host";
import { decodePhoto, type Photo } from "../lib/photo";
import { Archive } from "./archive";
import { type BlindSpot, Pictures, type StoredPicture } from "./baseline-pictures";
import { Maps } from "./maps";
import type { Sample } from "./picture";
import { Player } from "./player";
import { frameAt, keyOf, type Run, spanOf } from "./run";
import {
  type BaselineInfo,
  type BaselineKind,
  type BaselineParams,
  type Cumulative,
  DEFAULT_PATH_DISPLAY,
  type FrameScale,
  type Mode,
  type PathDisplay,
  type PathParams,
} from "./traits";

export type Window = readonly [number, number];

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

export class PathStore extends BaseStore {
  readonly medium: Signal<"image" | "text">;
  readonly tokens: Signal<string[]>;
  declare readonly baselines: Signal<BaselineInfo[]>;
  readonly baselineData: Signal<Record<string, StoredPicture>>;
  readonly kinds: Signal<BaselineKind[]>;
  readonly baselineId: Signal<string>;
  readonly mode: Signal<Mode>;
  readonly asked: Signal<number>;
  /** Where on the path, 0 to 1; of a distribution, the share of its samples. */
  readonly alpha: Signal<number>;
  readonly frameScale: Signal<FrameScale>;
  readonly cumulative: Signal<Cumulative>;
  /** Always 0 to 1 for a distribution. */
  readonly window: ReadonlySignal<Window>;
  readonly display: ReadonlySignal<PathDisplay>;

  readonly photo: Signal<Photo | null> = makeSignal(null);
  readonly runs: Signal<ReadonlyMap<string, Run>> = makeSignal(new Map());
  /** Info of the baseline on show. */
  readonly baseline: ReadonlySignal<BaselineInfo | null>;
  /** The run on show; null until the page holds it. */
  readonly run: ReadonlySignal<Run | null>;
  /** The last run on show: it stays in the panels until there is something newer. */
  readonly lastRun: ReadonlySignal<Run | null>;
  readonly hoverAlpha = makeSignal<number | null>(null);
  readonly shownAlpha: ReadonlySignal<number>;
  /** Of a distribution: the last sample before the place on show. */
  readonly sample: ReadonlySignal<Sample | null>;
  readonly maps: Maps;
  readonly player: Player;

  readonly tableOpen = makeSignal(false);
  readonly exportOpen = makeSignal(false);
  /** The next click on the first picture takes its colour as a baseline. */
  readonly picking = makeSignal(false);

  readonly #pictures: Pictures;
  readonly #references = makeSignal<{ run: Run; sprite: Photo } | null>(null);

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const { bridge } = this;
    this.medium = bridge.trait<"image" | "text">("medium", "image");
    this.tokens = bridge.trait<string[]>("tokens", []);
    this.baselineData = bridge.trait<Record<string, StoredPicture>>("baseline_data", {});
    this.kinds = bridge.trait<BaselineKind[]>("kinds", []);
    this.baselineId = bridge.trait("baseline_id", "");
    this.mode = bridge.trait<Mode>("mode", "path");
    this.asked = bridge.trait("asked", 0);
    this.alpha = bridge.trait("alpha", 1);
    this.frameScale = bridge.trait<FrameScale>("frame_scale", "shared");
    this.cumulative = bridge.trait<Cumulative>("cumulative", "integral");
    const window = bridge.trait<number[]>("window", [0, 1]);
    this.window = computed(() => {
      const [start = 0, end = 1] = this.mode.value === "path" ? window.value : [0, 1];
      const low = clamp(start, 0, 1);
      return [low, clamp(end, low, 1)];
    });
    const display = bridge.trait<Partial<PathDisplay>>("display", {});
    this.display = computed(() => ({ ...DEFAULT_PATH_DISPLAY, ...display.value }));

    this.baseline = computed(() => this.baselines.value.find((one) => one.id === this.baselineId.value) ?? null);
    this.run = computed(() => this.runs.value.get(keyOf(this.mode.value, this.baselineId.value)) ?? null);
    let last: Run | null = null;
    this.lastRun = computed(() => {
      last = this.run.value ?? last;
      return last;
    });
    this.shownAlpha = computed(() => {
      const [start, end] = this.window.value;
      return clamp(this.hoverAlpha.value ?? this.alpha.value, start, end);
    });
    this.sample = computed(() => {
      const { run, sprite } = this.#references.value ?? {};
      if (!run?.frames || !sprite || run !== this.lastRun.value) return null;
      const index = frameAt(run.frames, this.shownAlpha.value * spanOf(run));
      return { sprite, index, count: run.frames.count, alpha: run.facts.ref_alphas?.[index] ?? 0 };
    });
    this.#pictures = new Pictures(this);
    this.maps = new Maps(this);
    this.player = new Player(this);
    this.#decodeOnChange();
    this.#followShown();
  }

  get playing(): ReadonlySignal<boolean> {
    return this.player.playing;
  }

  override get mapKey(): string {
    return `${this.asked.value}/${this.lastRun.value?.key}`;
  }

  /** Set a trait that belongs to the page: every view follows, and it is saved with the next request. */
  local(name: string, value: unknown): void {
    this.model.set(name, value);
  }

  setAlpha(alpha: number): void {
    const [start, end] = this.window.value;
    this.local("alpha", clamp(alpha, start, end));
  }

  /** Move by whole frames, from edge to edge. */
  stepAlpha(frames: number): void {
    const held = this.run.value?.frames;
    if (!held) return;
    const span = held.edges.at(-1) ?? 1;
    const place = this.shownAlpha.value * span;
    const frame = frameAt(held, place);
    const onEdge = Math.abs((held.edges[frame + 1] ?? 0) - place) < 1e-6 * span || place <= 0;
    // Between two edges, the first step goes to the nearer one on that side.
    const here = place <= 0 ? 0 : frame + (onEdge || frames < 0 ? 1 : 0);
    const target = clamp(here + frames, 0, held.count);
    this.setAlpha((held.edges[target] ?? 0) / span);
  }

  setWindow(start: number, end: number): void {
    const low = clamp(start, 0, 1);
    const high = clamp(end, low, 1);
    batch(() => {
      this.local("window", [low, high]);
      this.local("alpha", clamp(this.alpha.value, low, high));
    });
  }

  /** Show only the part of the path where the output changes. */
  showRising(): void {
    const rising = this.run.value?.facts.rising;
    if (!rising) return;
    this.setWindow(...rising);
    this.setAlpha(rising[1]);
  }

  /** Whether the page holds the finished run, so that the kernel need not be asked. */
  holds(mode: Mode, baselineId: string): boolean {
    if (!this.runs.value.has(keyOf(mode, baselineId))) return false;
    const info = this.baselines.value.find((one) => one.id === baselineId);
    return !this.live || info === undefined || info.status[mode] === "ready";
  }

  showBaseline(id: string): void {
    this.#go(this.mode.value, id);
  }

  /** The next or previous baseline that this mode knows. */
  stepBaseline(step: 1 | -1): void {
    const mode = this.mode.value;
    const choices = this.baselines.value.filter((one) => one.modes.includes(mode));
    const here = choices.findIndex((one) => one.id === this.baselineId.value);
    const next = choices[(here + step + choices.length) % choices.length];
    if (next) this.showBaseline(next.id);
  }

  /** The baseline on show, or the first that this mode knows; one that the page holds before one to be asked for. */
  setMode(mode: Mode): void {
    const known = this.baselines.value.filter((one) => one.modes.includes(mode));
    const choice =
      known.find((one) => one.id === this.baselineId.value) ??
      known.find((one) => this.holds(mode, one.id)) ??
      known[0];
    if (choice) this.#go(mode, choice.id);
  }

  /** Add a baseline, or find the same one; the kernel shows it. */
  requestBaseline(kind: string, params: BaselineParams): void {
    if (!this.live) return;
    const before = this.model.get("baseline_request") as { n?: number } | undefined;
    this.model.set("baseline_request", { kind, params, n: (before?.n ?? 0) + 1 });
    this.bridge.saveNow();
  }

  /** Add nodes where the run on show misses most. */
  refine(): void {
    this.#request("refine");
  }

  /** Compute the rest of the baselines in this mode. */
  compare(): void {
    this.#request("compare");
  }

  show(patch: Partial<PathDisplay>): void {
    this.local("display", { ...this.display.value, ...patch });
  }

  togglePlay(): void {
    this.player.toggle();
  }

  picture(baselineId: string): ReadonlySignal<Photo | null> {
    return this.#pictures.picture(baselineId);
  }

  /** Where a baseline equals the input, so that nothing there can get credit. */
  blindSpot(baselineId: string): ReadonlySignal<BlindSpot | null> {
    return this.#pictures.blindSpot(baselineId);
  }

  #request(type: string): void {
    if (!this.live) return;
    // The kernel must know what is on show.
    this.bridge.saveNow();
    this.bridge.send({ type });
  }

  /** Show a run; one that the page does not hold is asked for. The choice itself rides along, so that both agree. */
  #go(mode: Mode, baseline: string): void {
    const here = this.holds(mode, baseline);
    if (!here && !this.live) return;
    batch(() => {
      this.local("mode", mode);
      this.local("baseline_id", baseline);
    });
    const patch: Partial<PathParams> = { mode, baseline };
    if (!here) this.change(patch);
  }

  #decodeOnChange(): void {
    const archive = new Archive(this.model);
    const saved = this.bridge.trait<unknown>("archive", {});
    let acknowledged: number | undefined;
    this.follow(
      () => {
        // A picture has arrived, or another baseline is finished.
        this.seq.value;
        saved.value;
        return archive.decode();
      },
      (runs) => {
        this.runs.value = runs;
        if (acknowledged !== this.seq.peek()) this.acknowledge();
        acknowledged = this.seq.peek();
      },
    );
    this.follow(
      async () => {
        const run = this.lastRun.value;
        const sprite = run && (await decodePhoto(run.refs, [0, 0]));
        return sprite && { run, sprite };
      },
      (references) => {
        this.#references.value = references;
      },
    );
    const image = this.bridge.trait<unknown>("x_img", null);
    const size = this.bridge.trait<[number, number]>("image_size", [0, 0]);
    this.follow(
      () => decodePhoto(image.value, size.value),
      (photo) => {
        this.photo.value = photo;
      },
    );
  }

  /** What is on show is what the next question starts from. */
  #followShown(): void {
    const stop = effect(() => {
      const shown: Partial<PathParams> = { mode: this.mode.value, baseline: this.baselineId.value };
      this.params.value = { ...this.params.peek(), ...shown };
    });
    this.lifetime.addEventListener("abort", stop, { once: true });
  }
}
