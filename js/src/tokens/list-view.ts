// One list of tokens as it is laid out and scrolled: which lines are in view, where the keyboard may go. The text of a
// classifier and the prompt are one list, the output is the other.

import { batch, computed, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import type { Unit } from "./groups";
import { type Fragment, type Layout, type Line, layOut, type Measure, measurer } from "./layout";
import type { TokenStore } from "./store";
import type { Place } from "./text-store";
import type { Show } from "./traits";

const LINE_HEIGHT: Readonly<Record<Show, number>> = { bars: 82, tint: 32, underline: 36 };
/** Without a direction bars need room on one side only. */
const ONE_SIDED = 58;
/** Lines kept in the page on each side of those in view. */
const SPARE = 2;
const GUESSED_WIDTH = 640;
const GUESSED_HEIGHT = 400;

export class ListView {
  readonly width = makeSignal(0);
  /** Height of the part in view. */
  readonly height = makeSignal(0);
  readonly top = makeSignal(0);
  readonly element = makeSignal<HTMLElement | null>(null);
  readonly layout: ReadonlySignal<Layout>;
  readonly lineHeight: ReadonlySignal<number>;
  /** Lines in the page: first, and the one behind the last. */
  readonly inPage: ReadonlySignal<{ first: number; end: number }>;
  /** Units of this list in order. */
  readonly units: ReadonlySignal<readonly Unit[]>;
  /** Place among them for each unit. */
  readonly places: ReadonlySignal<ReadonlyMap<number, number>>;
  /** The unit that Tab goes to. */
  readonly tabStop: ReadonlySignal<number>;
  readonly #measure: ReadonlySignal<Measure>;
  readonly #fonts = makeSignal(0);

  constructor(
    readonly store: TokenStore,
    readonly list: Place["list"],
  ) {
    this.#measure = computed(() => {
      this.#fonts.value;
      return measurer(this.element.value);
    });
    this.lineHeight = computed(() => {
      const show = store.show.value;
      return show === "bars" && store.unsigned.value ? ONE_SIDED : LINE_HEIGHT[show];
    });
    // Layout depends on the units' places, not on their values.
    const specials = store.specials;
    this.layout = computed(() => {
      const { groups, ofStretch } = store.grouping.value;
      const tokens = store.tokens.value;
      const strip = store.strip.value;
      const shown = specials.value;
      const [from, to] = this.#stretches();
      const hidden = (stretch: number) => !shown && groups[ofStretch[stretch] ?? -1]?.special === true;
      return layOut({
        text: store.text.value,
        strip,
        from,
        to,
        unitOf: (stretch) => (hidden(stretch) ? -1 : (ofStretch[stretch] ?? -1)),
        surfaceOf: (stretch) => (hidden(stretch) ? "" : (tokens[strip[stretch]?.[2] ?? -1]?.[3] ?? "")),
        measure: this.#measure.value,
        available: Math.max((this.width.value || GUESSED_WIDTH) - 4, 60),
      });
    });
    const firstInView = computed(() => Math.floor(this.top.value / this.lineHeight.value));
    const countInView = computed(() => Math.ceil((this.height.value || GUESSED_HEIGHT) / this.lineHeight.value) + 1);
    this.inPage = computed(() => {
      const count = this.layout.value.lines.length;
      const first = Math.max(Math.min(firstInView.value, count - countInView.value) - SPARE, 0);
      return { first, end: Math.min(firstInView.value + countInView.value + SPARE, count) };
    });
    this.units = computed(() => {
      const { lineOf } = this.layout.value;
      return store.units.value.all.filter((unit) => lineOf.has(unit.index));
    });
    this.places = computed(() => {
      const { lineOf } = this.layout.value;
      const indices = store.grouping.value.groups.filter((group) => lineOf.has(group.index));
      return new Map(indices.map((group, place) => [group.index, place]));
    });
    this.tabStop = computed(() => {
      const cursor = store.cursor.value;
      const { lineOf } = this.layout.value;
      const { ofToken } = store.grouping.value;
      const here = cursor?.list === list ? (ofToken[cursor.token] ?? -1) : -1;
      if (lineOf.has(here)) return here;
      const chosen = list === "output" ? (ofToken[store.nPrompt.value + store.span.value[0]] ?? -1) : -1;
      return lineOf.has(chosen) ? chosen : ([...lineOf.keys()][0] ?? -1);
    });
  }

  fontsLoaded(): void {
    this.#fonts.value++;
  }

  get count(): number {
    return this.places.value.size;
  }

  get totalHeight(): number {
    return this.layout.value.lines.length * this.lineHeight.value;
  }

  /** Lines in the page: those in view, and the one that has the tab stop. */
  lines(): Line[] {
    const { lines, lineOf } = this.layout.value;
    const { first, end } = this.inPage.value;
    const shown = lines.slice(first, end);
    const stop = lineOf.get(this.tabStop.value) ?? first;
    const pinned = lines[stop];
    if (!pinned || (stop >= first && stop < end)) return shown;
    return stop < first ? [pinned, ...shown] : [...shown, pinned];
  }

  scrollTo(top: number): void {
    const element = this.element.value;
    const most = Math.max(this.totalHeight - (this.height.value || GUESSED_HEIGHT), 0);
    const next = Math.min(Math.max(top, 0), most);
    if (element) element.scrollTop = next;
    this.top.value = next;
  }

  /** Bring a unit's line into view with a line around it. */
  show(unit: number): void {
    const line = this.layout.value.lineOf.get(unit);
    if (line === undefined) return;
    const each = this.lineHeight.value;
    const height = this.height.value || GUESSED_HEIGHT;
    const from = line * each;
    if (from < this.top.value) this.scrollTo(from - each / 2);
    else if (from + each > this.top.value + height) this.scrollTo(from + 1.5 * each - height);
  }

  unitAtStep(from: number, step: number): number {
    const units = this.units.value;
    const place = this.places.value.get(from) ?? 0;
    return units[Math.min(Math.max(place + step, 0), units.length - 1)]?.index ?? from;
  }

  /** The unit nearest in another line. */
  unitInLine(from: number, step: number): number {
    const { lines, lineOf } = this.layout.value;
    const here = lineOf.get(from) ?? 0;
    const middle = (one: Fragment) => one.left + one.width / 2;
    const own = lines[here]?.fragments.find((one) => one.unit === from);
    const x = own ? middle(own) : 0;
    const direction = Math.sign(step);
    const most = Math.min(Math.max(here + step, 0), lines.length - 1);
    for (let line = most; line >= 0 && line < lines.length; line += direction) {
      const others = lines[line]?.fragments.filter((one) => one.unit >= 0 && one.unit !== from) ?? [];
      if (line === here) return from;
      const [first] = others.sort((a, b) => Math.abs(middle(a) - x) - Math.abs(middle(b) - x));
      if (first) return first.unit;
    }
    return from;
  }

  /** Put the keyboard on a unit. */
  focus(unit: number): void {
    const token = this.store.grouping.value.groups[unit]?.members[0];
    if (token === undefined) return;
    batch(() => {
      this.store.cursor.value = { list: this.list, token };
      this.store.reveal.value = { token, focus: true };
    });
  }

  #stretches(): [number, number] {
    const { store } = this;
    const strip = store.strip.value;
    if (store.task.value !== "generate") return [0, strip.length];
    const first = store.nPrompt.value;
    const end = store.promptEnd.value;
    // An output token without text may stand where the prompt ends: members decide, places only for gaps.
    const boundary = strip.findIndex(([start, , member]) => (member === undefined ? start >= end : member >= first));
    const cut = boundary < 0 ? strip.length : boundary;
    return this.list === "prompt" ? [0, cut] : [cut, strip.length];
  }
}
