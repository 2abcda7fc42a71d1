// Where the reader of an example gallery is, and what was decided: the cards on show, the cursor, verdicts and how they
// are taken back. Only another question and a comparison of two examples go to the kernel.

import { batch, computed, effect, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import type { Model } from "../lib/host";
import { CandidateStore } from "./candidate-store";
import { arrange, type Coverage, coverageOf, eachSide, pageOf, type Ranked, type Side, type Sides } from "./ranking";
import { extended, toggled } from "./selection";
import {
  type Filters,
  type LocalTraits,
  NO_FILTERS,
  type ScoreMode,
  type Sort,
  type Tab,
  type Verdict,
} from "./traits";
import { judged, type Step, undone } from "./verdicts";

/** More than this is no choice of a reader. */
const MOST_SELECTED = 20_000;

export type Area = Side | "triage";

/** A card: the one with this id, or what is at its place if that has gone. */
export interface Cursor {
  area: Area;
  place: number;
  id: number;
}

export class GalleryStore extends CandidateStore {
  // --- the cards on show ---
  /** The cards of the page, the held one in its place. */
  readonly shown: ReadonlySignal<Sides>;
  /** The largest |part| of those on show. */
  readonly partRange: ReadonlySignal<number>;
  /** Null but for the leading ones by dot, over all checkpoints. */
  readonly coverage: ReadonlySignal<Coverage | null>;

  // --- where the reader is ---
  readonly cursor = makeSignal<Cursor | null>(null);
  /** The example the keyboard is at. */
  readonly focused: ReadonlySignal<number | null>;
  /** Whom a verdict is for. */
  readonly targets: ReadonlySignal<number[]>;
  readonly detail = makeSignal<number | null>(null);
  /** The example whose comparison was asked for and has not come. */
  readonly opening = makeSignal<number | null>(null);
  /** What undo takes back; empty if nothing. */
  readonly undoable: ReadonlySignal<string>;

  readonly exportOpen = makeSignal(false);
  readonly tableOpen = makeSignal(false);
  readonly moreOpen = makeSignal(false);

  readonly #held = makeSignal<{ side: Side; id: number; place: number } | null>(null);
  /** Where a range that is being selected began. */
  #range: { area: Area; from: number; before: readonly number[] } | null = null;
  readonly #steps = makeSignal<readonly Step[]>([]);

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    this.shown = computed(() => eachSide((side) => this.#cards(side)));
    this.partRange = computed(() => {
      const { proponents, opponents } = this.shown.value;
      const parts = [...proponents, ...opponents].flatMap(({ id }) => this.partsOf(id) ?? []);
      return parts.reduce((largest, part) => Math.max(largest, Math.abs(part)), 0);
    });
    this.coverage = computed(() => {
      const totals = this.rank.value.totals;
      const scanned = this.mode.value === "dot" && !this.reranked.value && this.page.value === 0;
      return totals && scanned ? coverageOf(this.shown.value.proponents, totals.positive) : null;
    });
    this.focused = computed(() => {
      const cursor = this.cursor.value;
      const place = cursor ? this.placeOf(cursor) : -1;
      return cursor && place >= 0 ? this.idAt(cursor.area, place) : null;
    });
    this.targets = computed(() => {
      const focused = this.focused.value;
      const chosen = this.selection.value;
      if (focused === null || chosen.includes(focused)) return chosen;
      return [focused];
    });
    this.undoable = computed(() => this.#steps.value.at(-1)?.title ?? "");
    const stop = effect(() => {
      this.pair.value;
      this.failure.value;
      this.opening.value = null;
    });
    lifetime.addEventListener("abort", stop, { once: true });
  }

  countIn(area: Area): number {
    return area === "triage" ? this.triage.value.length : this.shown.value[area].length;
  }

  idAt(area: Area, place: number): number | null {
    if (area !== "triage") return this.shown.value[area][place]?.id ?? null;
    const row = this.triage.value[place];
    return row === undefined ? null : (this.columns.value?.idOf(row) ?? null);
  }

  /** Where a cursor is now; -1 if its area is empty. */
  placeOf({ area, place, id }: Cursor): number {
    if (this.idAt(area, place) === id) return place;
    const found =
      area === "triage"
        ? this.triage.value.indexOf(this.columns.value?.rowOf(id) ?? -1)
        : this.shown.value[area].findIndex((one) => one.id === id);
    return found >= 0 ? found : Math.min(place, this.countIn(area) - 1);
  }

  // --- the page's own --------------------------------------------------------------------------------------------------

  /** Set a trait that belongs to the page: every view follows, and it is saved with the next request. */
  local<Name extends keyof LocalTraits>(name: Name, value: LocalTraits[Name]): void {
    batch(() => {
      this.#held.value = null;
      this.model.set(name, value);
    });
  }

  setMode(mode: ScoreMode): void {
    batch(() => {
      this.page.value = 0;
      // a cut-off of one mode means nothing in another
      if (this.filters.value.cut !== null) this.setFilters({ cut: null });
      this.local("score_mode", mode);
    });
  }

  setMask(mask: readonly boolean[]): void {
    batch(() => {
      this.page.value = 0;
      this.local("ckpt_mask", [...mask]);
    });
  }

  /** The last one on stays on. */
  toggleCheckpoint(index: number): void {
    const next = this.mask.value.with(index, !this.mask.value[index]);
    if (next.includes(true)) this.setMask(next);
  }

  setTab(tab: Tab): void {
    this.local("tab", tab);
  }

  setFilters(patch: Partial<Filters>): void {
    batch(() => {
      this.page.value = 0;
      this.local("filters", { ...this.filters.value, ...patch });
    });
  }

  clearFilters(): void {
    this.setFilters(NO_FILTERS);
  }

  setSort(sort: Sort): void {
    this.local("sort", sort);
  }

  setK(k: number): void {
    batch(() => {
      this.page.value = 0;
      this.local("k", k);
    });
  }

  get pages(): number {
    const { proponents, opponents } = this.filtered.value;
    return Math.max(Math.ceil(Math.max(proponents.length, opponents.length) / this.k.value), 1);
  }

  /** False where there is no such page. */
  setPage(page: number): boolean {
    if (page < 0 || page >= this.pages || page === this.page.value) return false;
    batch(() => {
      this.#held.value = null;
      this.page.value = page;
    });
    return true;
  }

  /** Put the cursor on a card. What a partial scan inserts flows around it. */
  moveTo(area: Area, place: number): void {
    this.#range = null;
    this.#go(area, place);
  }

  #go(area: Area, place: number): void {
    const id = this.idAt(area, place);
    if (id === null) return;
    batch(() => {
      this.cursor.value = { area, place, id };
      this.#held.value = area === "triage" ? null : { side: area, id, place };
    });
  }

  /** Select from where the cursor was when this began, to a card. */
  extendTo(area: Area, place: number): void {
    const at = this.cursor.value;
    if (this.#range?.area !== area) {
      const from = at?.area === area ? Math.max(this.placeOf(at), 0) : place;
      this.#range = { area, from, before: this.selection.value };
    }
    const { from, before } = this.#range;
    const [first, last] = from < place ? [from, place] : [place, from];
    const ids = Array.from({ length: last - first + 1 }, (_, step) => this.idAt(area, first + step) ?? -1);
    this.#go(area, place);
    this.select(extended(before, ids));
  }

  /** The focus has left the cards: nothing keeps them out of order. */
  release(): void {
    this.#range = null;
    this.#held.value = null;
  }

  // --- choosing and judging --------------------------------------------------------------------------------------------

  select(ids: readonly number[]): void {
    const chosen = ids.slice(0, MOST_SELECTED);
    this.bridge.write("selection", chosen);
    const count = chosen.length === 0 ? "nothing" : `${chosen.length}`;
    const limit = ids.length > chosen.length ? ": more cannot be selected at once" : "";
    this.announcer.say(`${count} selected${limit}`);
  }

  toggle(id: number): void {
    this.select(toggled(this.selection.value, id));
  }

  /** All that the filters let through, in the area of the cursor or in all of the tab. */
  selectAll(): void {
    const at = this.cursor.value?.area;
    const { proponents, opponents } = this.filtered.value;
    if (this.tab.value === "influence") {
      const listed = { proponents, opponents, triage: [...proponents, ...opponents] }[at ?? "triage"];
      this.select(listed.map(({ id }) => id));
      return;
    }
    // one more than can be: that there are more is said
    const rows = this.triage.value.subarray(0, MOST_SELECTED + 1);
    this.select(Array.from(rows, (row) => this.columns.value?.idOf(row) ?? row));
  }

  /** Judge these, or those that are meant; null takes verdicts away. */
  judge(verdict: Verdict | null, ids: readonly number[] = this.targets.value, label?: number): void {
    if (ids.length === 0) return;
    const labelOf = (id: number) => label ?? this.suggestion(id);
    const { verdicts, step } = judged(this.verdicts.value, ids, verdict, labelOf, new Date());
    batch(() => {
      this.#steps.value = [...this.#steps.value, step];
      this.bridge.write("verdicts", verdicts);
    });
    this.announcer.say(step.title);
  }

  undo(): boolean {
    const step = this.#steps.value.at(-1);
    if (!step) return false;
    batch(() => {
      this.#steps.value = this.#steps.value.slice(0, -1);
      this.bridge.write("verdicts", undone(this.verdicts.value, step));
    });
    this.announcer.say(`undone: ${step.title}`);
    return true;
  }

  // --- asking ----------------------------------------------------------------------------------------------------------

  showDetail(id: number | null): void {
    this.detail.value = id;
  }

  /** Compare what made the model say so in the query and in this example. */
  openPair(id: number): void {
    this.detail.value = id;
    if (!this.live || this.pair.value?.id === id) return;
    this.opening.value = id;
    // the kernel must know what is on show
    this.bridge.saveNow();
    this.bridge.send({ type: "open", id });
  }

  // --- inside ---

  #cards(side: Side): readonly Ranked[] {
    const all = this.filtered.value[side];
    const held = this.#held.value;
    return arrange(pageOf(all, this.page.value, this.k.value), all, held?.side === side ? held : null);
  }
}
