// What a reader of a scoreboard sees and chooses. Everything here is worked out in the page; only a run goes to the kernel.

import { batch, computed, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { BaseStore } from "../lib/base-store";
import type { Model } from "../lib/host";
import { type Lut, lutFor, type PaletteKind } from "../lib/palettes";
import { decodePhoto, type Photo } from "../lib/photo";
import { inOrder, nextSort, numberOf, ranksOf } from "./cells";
import { type Drawn, decodeFields, drawnOf, type Field, type Fields } from "./fields";
import { decodeLines, type Line } from "./lines";
import {
  type Agreement,
  BOARD_DISPLAY,
  type BoardDisplay,
  type BoardInput,
  type Cells,
  type Column,
  type CurveInfo,
  type Entry,
  type Hidden,
  type LocalTraits,
  type MapsInfo,
  type Medium,
  NO_AGREEMENT,
  NO_MAPS,
  type OpenCell,
  type PairView,
  type Sort,
  type Tab,
} from "./traits";

const NOTHING_HIDDEN: Hidden = { entries: [], columns: [] };

export class BoardStore extends BaseStore {
  readonly medium: Signal<Medium>;
  /** How many inputs were measured; the first of them are on show. */
  readonly rows: Signal<number>;
  readonly inputs: Signal<BoardInput[]>;
  readonly thumbnails: Signal<unknown>;
  readonly pictures: Signal<Record<string, unknown>>;
  readonly tokens: Signal<string[][]>;
  readonly entries: Signal<Entry[]>;
  readonly columns: Signal<Column[]>;
  readonly cells: Signal<Cells>;
  readonly maps: Signal<MapsInfo>;
  readonly agreement: Signal<Agreement>;
  readonly selection: Signal<string[]>;

  readonly input: ReadonlySignal<number>;
  readonly tab: Signal<Tab>;
  readonly sort: Signal<Sort>;
  readonly hidden: Signal<Hidden>;
  readonly pairView: Signal<PairView>;
  readonly display: ReadonlySignal<BoardDisplay>;
  readonly opened: ReadonlySignal<OpenCell | null>;

  /** Columns, methods and controls on show, in order. */
  readonly shownColumns: ReadonlySignal<readonly Column[]>;
  readonly shownMethods: ReadonlySignal<readonly Entry[]>;
  readonly shownControls: ReadonlySignal<readonly Entry[]>;
  readonly shown: ReadonlySignal<readonly Entry[]>;
  /** By column, then by method. */
  readonly ranks: ReadonlySignal<ReadonlyMap<string, ReadonlyMap<string, number>>>;

  readonly fields = makeSignal<Fields>(new Map());
  readonly lines = makeSignal<readonly Line[]>([]);
  readonly photos = makeSignal<readonly (Photo | null)[]>([]);
  /** The maps of the chosen input as they are drawn, by entry. */
  readonly drawn: ReadonlySignal<ReadonlyMap<string, Drawn>>;
  /** The two methods that are compared. */
  readonly pair: ReadonlySignal<readonly [Entry, Entry] | null>;
  readonly luts: Readonly<Record<PaletteKind, ReadonlySignal<Lut>>>;

  readonly exportOpen = makeSignal(false);
  readonly columnsOpen = makeSignal(false);
  /** The metric that is explained below the table. */
  readonly explained = makeSignal<string | null>(null);
  /** Curves of the chosen input instead of the mean over all. */
  readonly oneInput = makeSignal(false);
  /** Whether the second of the two compared maps is on top. */
  readonly flipped = makeSignal(false);
  readonly flickering = makeSignal(false);
  /** Where the reader is in the table, for the arrow keys. */
  readonly cursor = makeSignal<OpenCell | null>(null);

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const { bridge } = this;
    this.medium = bridge.trait<Medium>("medium", "image");
    this.rows = bridge.trait("rows", 0);
    this.inputs = bridge.trait<BoardInput[]>("inputs", []);
    this.thumbnails = bridge.trait<unknown>("thumbnails", null);
    this.pictures = bridge.trait<Record<string, unknown>>("pictures", {});
    this.tokens = bridge.trait<string[][]>("tokens", []);
    this.entries = bridge.trait<Entry[]>("entries", []);
    this.columns = bridge.trait<Column[]>("columns", []);
    this.cells = bridge.trait<Cells>("cells", {});
    this.maps = bridge.trait<MapsInfo>("maps", NO_MAPS);
    this.agreement = bridge.trait<Agreement>("agreement", NO_AGREEMENT);
    this.selection = bridge.trait<string[]>("selection", []);
    this.tab = bridge.trait<Tab>("tab", "maps");
    this.sort = bridge.trait<Sort>("sort", { by: "", reverse: false });
    this.hidden = bridge.trait<Hidden>("hidden", NOTHING_HIDDEN);
    this.pairView = bridge.trait<PairView>("pair_view", "side");
    const input = bridge.trait("input", 0);
    const display = bridge.trait<Partial<BoardDisplay>>("display", {});
    const opened = bridge.trait<Partial<OpenCell>>("opened", {});
    const pair = bridge.trait<string[]>("pair", []);
    const mapData = bridge.trait<unknown>("map_data", null);
    const curves = bridge.trait<CurveInfo[]>("curves", []);
    const curveData = bridge.trait<unknown>("curve_data", null);

    this.input = computed(() => Math.min(Math.max(input.value, 0), Math.max(this.inputs.value.length - 1, 0)));
    this.display = computed(() => ({ ...BOARD_DISPLAY, ...display.value }));
    this.shownColumns = computed(() =>
      this.columns.value.filter(({ name }) => !this.hidden.value.columns.includes(name)),
    );
    const shown = (controls: boolean) =>
      computed(() => {
        const listed = this.entries.value.filter(
          ({ key, kind }) => (kind === "control") === controls && !this.hidden.value.entries.includes(key),
        );
        return inOrder(listed, this.sort.value, this.cells.value, this.columns.value);
      });
    this.shownMethods = shown(false);
    this.shownControls = shown(true);
    this.shown = computed(() => [...this.shownMethods.value, ...this.shownControls.value]);
    this.opened = computed(() => {
      const { entry, column } = opened.value;
      const known = this.columns.value.some(({ name }) => name === column);
      return known && entry !== undefined && column !== undefined ? { entry, column } : null;
    });
    this.ranks = computed(
      () =>
        new Map(
          this.columns.value.map((column) => {
            const values = new Map<string, number>();
            for (const { key } of this.shownMethods.value) {
              const value = numberOf(this.cells.value, key, column.name);
              if (value !== null) values.set(key, value);
            }
            return [column.name, ranksOf(column.direction, values)];
          }),
        ),
    );
    this.drawn = computed(() => {
      const { scale, clip, sign } = this.display.value;
      const fields = new Map<string, Field>();
      for (const { key } of this.shown.value) {
        const field = this.fields.value.get(key)?.[this.input.value];
        if (field) fields.set(key, field);
      }
      return drawnOf(fields, scale, clip, (key) => sign === "both" && this.isSigned(key));
    });
    this.pair = computed(() => {
      const listed = this.shown.value;
      const found = [...pair.value, ...this.selection.value].map((key) => listed.find((one) => one.key === key));
      const chosen = [...new Set([...found, ...listed])].filter((one) => one !== undefined);
      const [a, b] = chosen;
      return a && b ? [a, b] : null;
    });
    const lut = (kind: PaletteKind) =>
      computed(() => lutFor(this.palette.value, kind, this.shade.value, this.lut.value));
    this.luts = { diverging: lut("diverging"), sequential: lut("sequential") };

    this.follow(
      () => decodeFields(this.maps.value, mapData.value),
      (fields) => {
        this.fields.value = fields;
        this.acknowledge();
      },
    );
    this.follow(
      () => decodeLines(curves.value, curveData.value),
      (lines) => {
        this.lines.value = lines;
      },
    );
    this.follow(
      () => {
        const pictures = this.pictures.value;
        return Promise.all(this.inputs.value.map((_, at) => decodePhoto(pictures[String(at)], [0, 0])));
      },
      (photos) => {
        this.photos.value = photos;
      },
    );
  }

  entry(key: string): Entry | undefined {
    return this.entries.value.find((one) => one.key === key);
  }

  column(name: string): Column | undefined {
    return this.columns.value.find((one) => one.name === name);
  }

  isSigned(key: string): boolean {
    return this.entry(key)?.signed ?? false;
  }

  /** Where an entry stands among all: its colour and its dashes. */
  placeOf(key: string): number {
    return this.entries.value.filter(({ kind }) => kind !== "control").findIndex((one) => one.key === key);
  }

  // --- the page's own --------------------------------------------------------------------------------------------------

  /** Set a trait that belongs to the page: every view follows, and it is saved with the next request. */
  local<Name extends keyof LocalTraits>(name: Name, value: LocalTraits[Name]): void {
    this.model.set(name, value);
  }

  setInput(input: number): void {
    const count = this.inputs.value.length;
    if (count === 0) return;
    const next = (input + count) % count;
    this.local("input", next);
    this.announcer.say(`input ${next + 1} of ${count}: ${this.inputs.value[next]?.label ?? ""}`);
  }

  setDisplay(patch: Partial<BoardDisplay>): void {
    this.local("display", { ...this.display.value, ...patch });
  }

  setTab(tab: Tab): void {
    this.local("tab", tab);
  }

  sortBy(by: string): void {
    const sort = nextSort(this.sort.value, by);
    this.local("sort", sort);
    const title = this.column(sort.by)?.title ?? sort.by;
    this.announcer.say(sort.by === "" ? "in the order given" : `sorted by ${title}${sort.reverse ? ", reversed" : ""}`);
  }

  /** Take a row or a column away, or bring it back; the last one stays. */
  toggleHidden(what: keyof Hidden, name: string): void {
    const hidden = this.hidden.value[what];
    const all = what === "entries" ? this.entries.value.length : this.columns.value.length;
    if (!hidden.includes(name) && hidden.length + 1 >= all) return;
    const next = hidden.includes(name) ? hidden.filter((one) => one !== name) : [...hidden, name];
    this.local("hidden", { ...this.hidden.value, [what]: next });
  }

  showEverything(): void {
    this.local("hidden", NOTHING_HIDDEN);
  }

  toggle(key: string): void {
    const chosen = this.selection.value;
    const next = chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key];
    this.bridge.write("selection", next);
    const title = this.entry(key)?.title ?? key;
    this.announcer.say(`${title} ${next.includes(key) ? "picked" : "dropped"}, ${next.length} picked`);
  }

  clearSelection(): void {
    this.bridge.write("selection", []);
  }

  /** Compare this one with another; a swap if both are the same. */
  setPair(which: 0 | 1, key: string): void {
    const [a, b] = this.pair.value ?? [];
    if (!a || !b) return;
    const next = which === 0 ? [key, b.key] : [a.key, key];
    this.local("pair", next[0] === next[1] ? [b.key, a.key] : next);
  }

  setPairView(view: PairView): void {
    batch(() => {
      this.flipped.value = false;
      this.flickering.value = false;
      this.local("pair_view", view);
    });
  }

  openCell(entry: string, column: string): void {
    batch(() => {
      this.local("opened", { entry, column });
      this.local("tab", "curves");
    });
  }
}
