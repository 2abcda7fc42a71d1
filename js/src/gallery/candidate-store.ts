// What an example gallery knows of the training set: the stored candidates and their order in the mode, checkpoints and
// filters chosen, and columns about every example. All of it is worked out here from what the page holds; the kernel is
// asked only for pictures and texts that come into view.

import { computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { BaseStore } from "../lib/base-store";
import { formatNumber } from "../lib/format";
import { listen, type Model } from "../lib/host";
import { type Candidates, decodeCandidates, partsOf, scoresOf, type Weighing } from "./candidates";
import { type Columns, decodeColumns } from "./columns";
import { Contents } from "./contents";
import { Lazy } from "./lazy";
import { decodePair } from "./pair";
import { type Picture, Pictures } from "./pictures";
import {
  type Filterable,
  filterSides,
  isFiltering,
  NO_SIDES,
  passes,
  type Ranked,
  rankCandidates,
  SIDES,
  type Side,
  type Sides,
} from "./ranking";
import {
  type Cells,
  type Checkpoint,
  type ColumnsMeta,
  type Filters,
  type GalleryInput,
  type Item,
  type Medium,
  NO_FILTERS,
  NO_QUERY,
  NO_RANK,
  type Pair,
  type Query,
  type Rank,
  type ScoreMode,
  type Sort,
  type Tab,
  type TextsMessage,
  type ThumbsMessage,
  type Verdicts,
} from "./traits";

/** Proponents of more than this share of the sampled queries say little about one of them. */
export const HUB_SHARE = 0.3;

export class CandidateStore extends BaseStore {
  // --- traits ---
  readonly medium: Signal<Medium>;
  readonly names: Signal<string[]>;
  readonly ckpts: Signal<Checkpoint[]>;
  readonly size: Signal<number>;
  readonly inputs: Signal<GalleryInput[]>;
  readonly query: ReadonlySignal<Query>;
  readonly modes: Signal<ScoreMode[]>;
  readonly items: Signal<Item[]>;
  readonly rank: ReadonlySignal<Rank>;
  readonly queryNorms: Signal<number[]>;
  readonly pair: ReadonlySignal<Pair | null>;
  readonly selection: Signal<number[]>;
  readonly verdicts: Signal<Verdicts>;

  // --- the page's own ---
  readonly mode: ReadonlySignal<ScoreMode>;
  /** One a checkpoint. */
  readonly mask: ReadonlySignal<readonly boolean[]>;
  readonly tab: Signal<Tab>;
  readonly filters: ReadonlySignal<Filters>;
  readonly sort: Signal<Sort>;
  readonly k: ReadonlySignal<number>;
  /** 0 for the leading k. */
  readonly page = makeSignal(0);

  // --- decoded ---
  readonly candidates = makeSignal<Candidates | null>(null);
  readonly columns = makeSignal<Columns | null>(null);
  readonly pairMaps = makeSignal<readonly [query: Float32Array, example: Float32Array] | null>(null);
  readonly pictures: Pictures;
  readonly contents = new Contents();
  /** The example under the pointer, in whatever view. */
  readonly hovered = makeSignal<number | null>(null);

  // --- worked out ---
  /** Every stored candidate on its side, strongest first. */
  readonly ranking: ReadonlySignal<Sides>;
  readonly filtered: ReadonlySignal<Sides>;
  /** The largest |score| of the stored candidates. */
  readonly range: ReadonlySignal<number>;
  /** The order is one of the stored candidates only. */
  readonly reranked: ReadonlySignal<boolean>;
  /** Rows of `columns`, filtered, what deserves a look first. */
  readonly triage: ReadonlySignal<Int32Array>;
  /** Whether there is a part for each checkpoint. */
  readonly hasParts: ReadonlySignal<boolean>;

  readonly #items: ReadonlySignal<ReadonlyMap<number, Item>>;
  readonly #weighing: ReadonlySignal<Weighing>;
  readonly #thumbs: Lazy;
  readonly #texts: Lazy;

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const { bridge } = this;
    this.medium = bridge.trait<Medium>("medium", "image");
    this.names = bridge.trait<string[]>("names", []);
    this.ckpts = bridge.trait<Checkpoint[]>("ckpts", []);
    this.size = bridge.trait("size", 0);
    this.inputs = bridge.trait<GalleryInput[]>("inputs", []);
    this.modes = bridge.trait<ScoreMode[]>("modes", ["dot"]);
    this.items = bridge.trait<Item[]>("items", []);
    this.queryNorms = bridge.trait<number[]>("query_norms", []);
    this.selection = bridge.trait<number[]>("selection", []);
    this.verdicts = bridge.trait<Verdicts>("verdicts", {});
    const query = bridge.trait<Partial<Query>>("query", {});
    this.query = computed(() => ({ ...NO_QUERY, ...query.value }));
    const rank = bridge.trait<Partial<Rank>>("rank", {});
    this.rank = computed(() => ({ ...NO_RANK, ...rank.value }));
    const pair = bridge.trait<Partial<Pair>>("pair", {});
    this.pair = computed(() => (pair.value.id === undefined ? null : (pair.value as Pair)));

    const mode = bridge.trait<ScoreMode>("score_mode", "dot");
    this.mode = computed(() => (this.modes.value.includes(mode.value) ? mode.value : (this.modes.value[0] ?? "dot")));
    const mask = bridge.trait<boolean[]>("ckpt_mask", []);
    this.mask = computed(() => this.ckpts.value.map((_, index) => mask.value[index] ?? true));
    this.tab = bridge.trait<Tab>("tab", "influence");
    const filters = bridge.trait<Partial<Filters>>("filters", {});
    this.filters = computed(() => ({ ...NO_FILTERS, ...filters.value }));
    this.sort = bridge.trait<Sort>("sort", "self");
    const k = bridge.trait("k", 12);
    this.k = computed(() => Math.max(k.value, 1));

    this.#items = computed(() => new Map((this.candidates.value?.items ?? []).map((item) => [item.id, item])));
    this.hasParts = computed(() => {
      const width = this.candidates.value?.width ?? 0;
      return width > 1 && width === this.ckpts.value.length;
    });
    this.#weighing = computed(() => ({
      mode: this.mode.value,
      mask: this.mask.value,
      ckpts: this.ckpts.value,
      queryNorms: this.queryNorms.value,
    }));
    this.ranking = computed(() => {
      const candidates = this.candidates.value;
      if (!candidates) return NO_SIDES;
      return rankCandidates(candidates, scoresOf(candidates, this.#weighing.value), this.query.value.training_id);
    });
    this.filtered = computed(() => {
      if (!isFiltering(this.filters.value)) return this.ranking.value;
      const { cut } = this.filters.value;
      return filterSides(this.ranking.value, ({ id, score }) => {
        const item = this.#items.value.get(id);
        return (cut === null || Math.abs(score) >= cut) && item !== undefined && this.passes(item);
      });
    });
    this.range = computed(() => {
      const { proponents, opponents } = this.ranking.value;
      return Math.max(proponents[0]?.score ?? 0, -(opponents[0]?.score ?? 0));
    });
    this.reranked = computed(() => {
      const scanned = this.mode.value === (this.modes.value[0] ?? "dot") || this.rank.value.modes_complete;
      return !scanned || (this.hasParts.value && this.mask.value.includes(false));
    });
    this.triage = computed(() => this.#triage());

    this.pictures = new Pictures(lifetime);
    const isLive = () => this.live;
    this.#thumbs = new Lazy({
      isHere: (id) => this.pictures.has(id),
      isLive,
      ask: (ids) => bridge.send({ type: "thumbs", ids }),
      lifetime,
    });
    this.#texts = new Lazy({
      isHere: (id) => this.contents.has(id) || this.#holdsContent(id),
      isLive,
      ask: (ids) => bridge.send({ type: "texts", ids }),
      lifetime,
    });
    listen(model, "msg:custom", (message, buffers) => this.#receive(message, buffers), lifetime);
    this.#decodeOnChange();
  }

  // --- looking up ------------------------------------------------------------------------------------------------------

  /** What is known of an example. */
  example(id: number): Item {
    const item = this.#items.value.get(id);
    const known = item ?? this.#fromColumns(id);
    return { ...known, ...this.contents.of(id) };
  }

  /** Its side, rank and score; null for one that is not stored, or has no influence. */
  rankOf(id: number): (Ranked & { side: Side }) | null {
    for (const side of SIDES) {
      const found = this.ranking.value[side].find((one) => one.id === id);
      if (found) return { ...found, side };
    }
    return null;
  }

  scoreOf(id: number): number | null {
    return this.rankOf(id)?.score ?? null;
  }

  /** One part a checkpoint, those switched on sum to the score; null where there is one number in all. */
  partsOf(id: number): number[] | null {
    const candidates = this.candidates.value;
    const row = candidates?.rowOf.get(id);
    return candidates && row !== undefined && this.hasParts.value
      ? partsOf(candidates, row, this.#weighing.value)
      : null;
  }

  className(y: number | null): string {
    if (y === null) return "none";
    const names = this.names.value;
    return names.length > 0 ? (names[y] ?? `class ${y}`) : formatNumber(y);
  }

  /** What the model says where it does not agree with the label. */
  suggestion(id: number): number | null {
    const { y, yhat } = this.example(id);
    return this.names.value.length > 0 && yhat !== y ? yhat : null;
  }

  isHub(id: number): boolean {
    return (this.#items.value.get(id)?.hub ?? 0) > HUB_SHARE;
  }

  /** The filters but for the cut-off. */
  passes(example: Filterable): boolean {
    return passes(example, this.filters.value, (y) => this.className(y));
  }

  /** Null while it may still come. */
  pictureOf(key: string | number): Picture | "none" | null {
    const picture = this.pictures.of(key);
    if (picture) return picture;
    return !this.live || this.#thumbs.isMissing(Number(key)) ? "none" : null;
  }

  /** These are in view: their pictures and texts are fetched. */
  want(ids: readonly number[]): void {
    if (this.medium.value === "image") {
      this.pictures.touch(ids);
      this.#thumbs.want(ids);
    } else this.#texts.want(ids);
  }

  // --- inside ---

  #triage(): Int32Array {
    const columns = this.columns.value;
    if (!columns) return new Int32Array(0);
    const sort = columns.has(this.sort.value) ? this.sort.value : "id";
    const order = columns.order(sort);
    // the cut-off is about scores
    if (!isFiltering({ ...this.filters.value, cut: null })) return order;
    const searches = this.filters.value.text.trim() !== "";
    return order.filter((row) => {
      const { id, y, yhat } = this.#numbers(columns, row);
      return this.passes(searches ? this.example(id) : { id, y, yhat });
    });
  }

  #numbers(columns: Columns, row: number): Pick<Item, "id" | "y" | "yhat"> {
    const isClass = this.names.value.length > 0;
    const label = (value: number | null) => (value !== null && isClass && value < 0 ? null : value);
    return { id: columns.idOf(row), y: label(columns.value("y", row)), yhat: label(columns.value("yhat", row)) };
  }

  #fromColumns(id: number): Item {
    const columns = this.columns.value;
    const row = columns ? columns.rowOf(id) : -1;
    const unknown: Item = { id, y: null, yhat: null, conf: null, self: null, hub: null, dup: null };
    if (!columns || row < 0) return unknown;
    const numbers = this.#numbers(columns, row);
    return { ...unknown, ...numbers, conf: columns.value("conf", row), self: columns.value("self", row) };
  }

  #holdsContent(id: number): boolean {
    const item = this.#items.value.get(id);
    return item?.text !== undefined || item?.cells !== undefined;
  }

  #receive(message: { type?: string }, buffers: readonly unknown[] = []): void {
    if (message.type === "thumbs") {
      const { ids, failed = {} } = message as ThumbsMessage;
      this.pictures.add(ids, buffers[0]);
      this.#thumbs.arrived(ids, Object.keys(failed).map(Number));
    }
    if (message.type === "texts") {
      const { failed = {} } = message as TextsMessage;
      this.#texts.arrived(this.contents.add(message as TextsMessage), Object.keys(failed).map(Number));
    }
  }

  #decodeOnChange(): void {
    const { bridge } = this;
    const scores = bridge.trait<unknown>("scores", null);
    const norms = bridge.trait<unknown>("norms", null);
    const columns = bridge.trait<unknown>("columns", null);
    const columnsMeta = bridge.trait<Partial<ColumnsMeta>>("columns_meta", {});
    const pairMaps = bridge.trait<unknown>("pair_maps", null);
    const sprites = bridge.trait<Record<string, unknown>>("sprites", {});
    let acknowledged: number | undefined;
    this.follow(
      () => decodeCandidates(this.items.value, scores.value, norms.value),
      (candidates) => {
        this.candidates.value = candidates;
        if (acknowledged !== this.seq.peek()) this.acknowledge();
        acknowledged = this.seq.peek();
      },
    );
    this.follow(
      () => decodeColumns(columnsMeta.value, columns.value),
      (decoded) => {
        this.columns.value = decoded;
      },
    );
    this.follow(
      () => decodePair(this.pair.value, pairMaps.value),
      (maps) => {
        this.pairMaps.value = maps;
      },
    );
    const texts = bridge.trait<Record<string, string>>("texts", {});
    const cells = bridge.trait<Record<string, Cells>>("cells", {});
    const stops = [
      effect(() => this.pictures.setSaved(sprites.value)),
      effect(() => this.contents.setSaved(texts.value, cells.value)),
    ];
    for (const stop of stops) this.lifetime.addEventListener("abort", stop, { once: true });
  }
}
