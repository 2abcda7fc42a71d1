// The state of a token strip: the text, which answer is on show, how tokens are read together, and what the reader has
// chosen. Grouping, ranks, selections and going back to a finished answer never touch the kernel.

import { batch, computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { BaseStore } from "../lib/base-store";
import type { Model } from "../lib/host";
import { pageBackground } from "../lib/theme";
import type { ClassScore, Named, Notice, Params, Quality, Question } from "../lib/traits";
import { type Colours, coloursOf } from "./colours";
import {
  cutsOf,
  type Group,
  type Grouping,
  groupStretches,
  largestGroup,
  type Unit,
  type Units,
  unitsOf,
} from "./groups";
import { RegexGroups } from "./regex";
import {
  Decoder,
  decodeMatrix,
  keyOf,
  keyOfMeta,
  type Matrix,
  methodKeyOf,
  type Result,
  resultOfRow,
  rowOf,
} from "./result";
import { membersIn, merged, sumOf } from "./selection";
import {
  type Aggregate,
  type ArchiveEntry,
  type Boundaries,
  type CharRange,
  DEFAULT_GRANULARITY,
  type Granularity,
  type GroupMode,
  type LocalTraits,
  type MatrixMeta,
  type ScaleMode,
  type SelectionSum,
  type Show,
  type Span,
  type Step,
  type StretchTuple,
  type Task,
  type TextInput,
  type TextWhatIf,
  type TokenParams,
  type TokenTuple,
  type ValuesMeta,
  type View,
} from "./traits";

const NO_META: ValuesMeta = {
  length: 0,
  unsigned: false,
  unit: "",
  key: "",
  span: null,
  foil_token: null,
  target: null,
  foil: null,
};

/** What the page keeps of its own in the `display` trait. */
export interface StripDisplay {
  /** An answer the reader went back to; it counts until the kernel answers another question. */
  shown: { key: string; over: string; request: number } | null;
  /** Of the scale "fixed". */
  range: number;
  /** What colours the output tokens. */
  tint: "none" | "probability" | "entropy";
}

const DEFAULT_STRIP_DISPLAY: Readonly<StripDisplay> = { shown: null, range: 0, tint: "none" };

/** Where the reader is: a token of one of the lists. */
export interface Place {
  list: "prompt" | "output";
  token: number;
}

export interface Search {
  query: string;
  hits: CharRange[];
  /** The hit in view; -1 before the first step. */
  at: number;
}

const NO_SEARCH: Search = { query: "", hits: [], at: -1 };

export const MODES: readonly GroupMode[] = ["token", "word", "sentence", "line", "paragraph", "regex"];

function present<T extends object>(value: Partial<T> | null): T | null {
  return value && Object.keys(value).length > 0 ? (value as T) : null;
}

export class TokenStore extends BaseStore {
  // --- the text and the model's view of it ---
  readonly task: Signal<Task>;
  readonly text: Signal<string>;
  readonly tokens: Signal<TokenTuple[]>;
  readonly strip: Signal<StretchTuple[]>;
  readonly boundaries: Signal<Boundaries>;
  readonly nPrompt: Signal<number>;
  readonly promptEnd: Signal<number>;
  readonly steps: Signal<Step[]>;
  readonly inputs: Signal<TextInput[]>;
  declare readonly classes: Signal<ClassScore[]>;
  declare readonly baselines: Signal<Named[]>;
  declare readonly params: Signal<TokenParams>;

  // --- what the page decides ---
  readonly granularity: ReadonlySignal<Granularity>;
  /** Why a regular expression does not group; the last one that did stays. */
  readonly regexError: ReadonlySignal<string>;
  readonly agg: Signal<Aggregate>;
  readonly show: Signal<Show>;
  readonly specials: Signal<boolean>;
  readonly k: Signal<number>;
  readonly scaleMode: Signal<ScaleMode>;
  readonly view: Signal<View>;
  readonly selection: ReadonlySignal<CharRange[]>;
  readonly selectionSum: ReadonlySignal<SelectionSum | null>;
  readonly display: ReadonlySignal<StripDisplay>;

  // --- answers ---
  readonly held: Signal<ReadonlyMap<string, Result>> = makeSignal(new Map());
  readonly matrix: Signal<Matrix | null> = makeSignal(null);
  /** The answer on show, a preview included; null before the first. */
  readonly result: ReadonlySignal<Result | null>;
  /** The answer without previews. */
  readonly locked: ReadonlySignal<Result | null>;
  /** What is said about the answer on show. */
  readonly about: ReadonlySignal<{ question: Question; quality: Quality; notices: Notice[]; caption: string }>;
  readonly unsigned: ReadonlySignal<boolean>;
  readonly unit: ReadonlySignal<string>;
  /** First and last output token explained, as asked. */
  readonly span: ReadonlySignal<Span>;
  readonly foilToken: ReadonlySignal<number | null>;
  /** The matrix, if it belongs to the method on show. */
  readonly currentMatrix: ReadonlySignal<Matrix | null>;
  /** Which output tokens the page holds an answer for. */
  readonly answered: ReadonlySignal<ReadonlySet<number>>;
  readonly whatIf: ReadonlySignal<TextWhatIf | null>;
  readonly askingWhatIf = makeSignal(false);

  // --- tokens read together ---
  readonly grouping: ReadonlySignal<Grouping>;
  readonly units: ReadonlySignal<Units>;
  /** The magnitude of a full bar. */
  readonly range: ReadonlySignal<number>;
  /** Colours of the minimap and the matrix. */
  readonly colours: ReadonlySignal<Colours>;

  // --- where the reader is ---
  /** The unit under the pointer. */
  readonly hover = makeSignal<Place | null>(null);
  /** The token the keyboard is at. */
  readonly cursor = makeSignal<Place | null>(null);
  /** Output token whose answer is previewed. */
  readonly preview = makeSignal<number | null>(null);
  /** A place the strip scrolls to; a new object each time. */
  readonly reveal = makeSignal<{ token: number; focus: boolean } | null>(null);
  /** A phrase being drawn, not yet chosen. */
  readonly draft = makeSignal<CharRange | null>(null);
  readonly search = makeSignal<Search>(NO_SEARCH);

  readonly tableOpen = makeSignal(false);
  readonly exportOpen = makeSignal(false);
  readonly moreOpen = makeSignal(false);
  readonly searchOpen = makeSignal(false);
  readonly editOpen = makeSignal(false);

  readonly #regex: RegexGroups;
  readonly #askingColumns = makeSignal(false);

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const { bridge } = this;
    this.task = bridge.trait<Task>("task", "classify");
    this.text = bridge.trait("text", "");
    this.tokens = bridge.trait<TokenTuple[]>("tokens", []);
    this.strip = bridge.trait<StretchTuple[]>("strip", []);
    this.boundaries = bridge.trait<Boundaries>("boundaries", {});
    this.nPrompt = bridge.trait("n_prompt", 0);
    this.promptEnd = bridge.trait("prompt_end", 0);
    this.steps = bridge.trait<Step[]>("steps", []);
    this.inputs = bridge.trait<TextInput[]>("inputs", []);

    const granularity = bridge.trait<Partial<Granularity>>("granularity", {});
    this.granularity = computed(() => ({ ...DEFAULT_GRANULARITY, ...granularity.value }));
    this.agg = bridge.trait<Aggregate>("agg", "sum");
    this.show = bridge.trait<Show>("show", "bars");
    this.specials = bridge.trait("specials", false);
    this.k = bridge.trait("k", 0);
    this.scaleMode = bridge.trait<ScaleMode>("scale_mode", "target");
    this.view = bridge.trait<View>("view", "strip");
    const display = bridge.trait<Partial<StripDisplay>>("display", {});
    this.display = computed(() => ({ ...DEFAULT_STRIP_DISPLAY, ...display.value }));
    const selection = bridge.trait<CharRange[]>("selection", []);
    this.selection = computed(() => {
      const length = this.text.value.length;
      const chosen = Array.isArray(selection.value) ? selection.value : [];
      return chosen.filter(([start, end]) => start >= 0 && end > start && end <= length);
    });

    this.#regex = new RegexGroups(this.granularity, this.text, lifetime);
    this.regexError = this.#regex.error;
    this.grouping = computed(() => {
      const { mode } = this.granularity.value;
      const matches = mode === "regex" ? this.#regex.matches.value : [];
      const cuts = cutsOf(mode, this.boundaries.value, matches);
      return groupStretches(this.text.value, this.tokens.value, this.strip.value, cuts);
    });

    this.span = computed(() => this.params.value.span ?? [0, 0]);
    this.foilToken = computed(() => this.params.value.foil_token ?? null);
    const shown = this.#shown();
    this.currentMatrix = computed(() => {
      const matrix = this.matrix.value;
      if (!matrix) return null;
      const methods = this.methods.value;
      const same = methodKeyOf(matrix.meta.key, methods) === methodKeyOf(this.#answered(), methods);
      return same ? matrix : null;
    });
    this.locked = shown;
    this.result = computed(() => {
      const preview = this.preview.value;
      const locked = this.locked.value;
      return (
        (preview !== null && this.#held({ ...this.#answered(), span: [preview, preview], foil_token: null })) || locked
      );
    });
    this.about = computed(() => {
      const result = this.result.value;
      return {
        question: result?.question ?? this.question.value,
        quality: result?.quality ?? {},
        notices: result?.notices ?? this.notices.value,
        caption: result?.caption || this.caption.value,
      };
    });
    this.unsigned = computed(() => this.result.value?.meta.unsigned ?? false);
    this.unit = computed(() => this.result.value?.meta.unit ?? "");
    this.answered = computed(() => {
      if (this.task.value !== "generate") return new Set();
      const found = new Set<number>();
      for (let place = 0; place < this.tokens.value.length - this.nPrompt.value; place++) {
        if (this.#held({ ...this.#answered(), span: [place, place], foil_token: null })) found.add(place);
      }
      return found;
    });

    this.units = computed(() =>
      unitsOf(this.grouping.value.groups, this.result.value?.values ?? null, this.agg.value, this.specials.value),
    );
    this.range = computed(() => this.#range());
    this.colours = computed(() => {
      const shade = this.shade.value;
      return coloursOf(pageBackground(element, shade), shade, this.polarity.value, this.unsigned.value);
    });
    this.selectionSum = computed(() => {
      const values = this.result.value?.values;
      const ranges = this.draft.value ? [this.draft.value] : this.selection.value;
      return values && ranges.length > 0 ? this.#sum(values, ranges) : null;
    });
    const whatIf = bridge.trait<Partial<TextWhatIf> | null>("whatif", {});
    this.whatIf = computed(() => present<TextWhatIf>(whatIf.value));
    this.#decodeOnChange();
    this.#endWaiting();
  }

  // --- asking ---------------------------------------------------------------------------------------------------------

  /** Change the question. An answer the page holds is shown at once; the kernel is not asked. */
  override change(patch: Partial<TokenParams>, settled = true): void {
    const next: TokenParams = { ...this.params.value, ...patch };
    const held = settled ? this.#held(next) : null;
    if (!held) {
      super.change(patch as Partial<Params>, settled);
      return;
    }
    // What the kernel computes for another question would take its place.
    if (this.running.value && !this.#askingColumns.value) this.cancel();
    batch(() => {
      this.adopt(next);
      this.preview.value = null;
      const over = (this.model.get("values_meta") as ValuesMeta | undefined)?.key ?? "";
      this.setDisplay({ shown: { key: held.key, over, request: this.requestId.value } });
    });
    this.announcer.say(held.caption || `showing ${held.question.target_label}`);
  }

  /** Explain output tokens, both ends included. */
  setSpan(span: Span): void {
    this.change({ span, foil_token: null });
  }

  /** Contrast with a token that could have come instead; the same again drops the contrast. */
  setFoilToken(id: number | null): void {
    this.change({ foil_token: this.foilToken.value === id ? null : id });
  }

  /** Attribute every output token; rows arrive one by one. */
  askColumns(): void {
    if (!this.live) return;
    this.#askingColumns.value = true;
    this.#request({ type: "columns" });
  }

  /** See what the model says to another text, or to this one with a stretch masked. */
  askWhatIf(question: { text: string } | { mask: CharRange }): void {
    if (!this.live || this.askingWhatIf.value) return;
    this.askingWhatIf.value = true;
    this.#request({ type: "whatif", ...question });
  }

  /** Replace the text (of a generation, the prompt) and explain the new one. */
  editText(text: string): void {
    if (!this.live) return;
    this.model.set("edited_text", text);
    this.bridge.saveNow();
  }

  /** Whether every output token has an answer in the page's matrix. */
  get matrixComplete(): boolean {
    const matrix = this.currentMatrix.value;
    return matrix !== null && matrix.have.size >= matrix.meta.rows;
  }

  // --- what the page decides ------------------------------------------------------------------------------------------

  local<Name extends keyof LocalTraits>(name: Name, value: LocalTraits[Name]): void {
    this.model.set(name, value);
  }

  setDisplay(patch: Partial<StripDisplay>): void {
    this.model.set("display", { ...this.display.value, ...patch });
  }

  setGranularity(patch: Partial<Granularity>): void {
    this.local("granularity", { ...this.granularity.value, ...patch });
  }

  setScaleMode(mode: ScaleMode): void {
    batch(() => {
      if (mode === "fixed") this.setDisplay({ range: this.range.value });
      this.local("scale_mode", mode);
    });
  }

  /** Choose phrases by their places in the text; `add` keeps those chosen before. */
  select(ranges: readonly CharRange[], add = false): void {
    const values = this.locked.value?.values;
    const chosen = merged(add ? [...this.selection.value, ...ranges] : ranges);
    batch(() => {
      this.draft.value = null;
      this.local("selection", chosen);
      this.local("selection_sum", values && chosen.length > 0 ? this.#sum(values, chosen) : {});
    });
  }

  // --- moving ---------------------------------------------------------------------------------------------------------

  /** The unit at the keyboard's place, or under the pointer. */
  get here(): Unit | null {
    const place = this.hover.value ?? this.cursor.value;
    return place ? this.unitOf(place.token) : null;
  }

  unitOf(token: number): Unit | null {
    return this.units.value.all[this.grouping.value.ofToken[token] ?? -1] ?? null;
  }

  /** The text of a group; a token without text has its surface. */
  textOf(group: Group): string {
    return this.text.value.slice(group.start, group.end) || (this.tokens.value[group.members[0] ?? -1]?.[3] ?? "");
  }

  listOf(token: number): Place["list"] {
    return this.task.value === "generate" && token >= this.nPrompt.value ? "output" : "prompt";
  }

  /** Units as they are shown. */
  isShown(unit: Unit): boolean {
    return this.specials.value || !unit.special;
  }

  /** Strong enough to be stepped to: the strongest k, or a tenth of all. */
  isSalient(unit: Unit): boolean {
    const most = this.k.value || Math.max(5, Math.ceil(this.units.value.ranked / 10));
    return unit.rank > 0 && unit.rank <= most && unit.value !== 0;
  }

  nextSalient(): void {
    this.#stepSalient(1);
  }

  previousSalient(): void {
    this.#stepSalient(-1);
  }

  goTo(token: number, focus = true): void {
    batch(() => {
      this.cursor.value = { list: this.listOf(token), token };
      this.reveal.value = { token, focus };
    });
  }

  find(query: string): void {
    const text = this.text.value.toLowerCase();
    const wanted = query.toLowerCase();
    const hits: CharRange[] = [];
    // A letter whose small form is longer would shift what follows: then cases count.
    const same = text.length === this.text.value.length;
    const [where, what] = same ? [text, wanted] : [this.text.value, query];
    for (let at = what ? where.indexOf(what) : -1; at >= 0; at = where.indexOf(what, at + what.length)) {
      hits.push([at, at + what.length]);
    }
    this.search.value = { query, hits, at: -1 };
    if (hits.length > 0) this.stepHit(1, false);
  }

  stepHit(step: 1 | -1, focus = false): void {
    const { hits, at } = this.search.value;
    if (hits.length === 0) return;
    const next = at < 0 ? (step === 1 ? 0 : hits.length - 1) : (at + step + hits.length) % hits.length;
    this.search.value = { ...this.search.value, at: next };
    const token = membersIn(this.tokens.value, [hits[next] as CharRange])[0];
    if (token !== undefined) this.goTo(token, focus);
  }

  endSearch(): void {
    this.search.value = NO_SEARCH;
  }

  #stepSalient(step: 1 | -1): void {
    const { all } = this.units.value;
    const here = this.cursor.value ? (this.unitOf(this.cursor.value.token)?.index ?? -1) : step === 1 ? -1 : all.length;
    for (let index = here + step; index >= 0 && index < all.length; index += step) {
      const unit = all[index] as Unit;
      if (!this.isSalient(unit) || !this.isShown(unit)) continue;
      this.goTo(unit.members[0] as number);
      return;
    }
  }

  // --- answers --------------------------------------------------------------------------------------------------------

  /** The params with what the kernel chose where they leave it open. */
  #answered(): TokenParams {
    const params = this.params.value;
    if (this.task.value === "generate") return { ...params, span: this.span.value };
    return { ...params, target: this.targetId };
  }

  #resolved(params: TokenParams): TokenParams {
    if (this.task.value === "generate") {
      return { ...params, span: params.span ?? [0, 0], foil_token: params.foil_token ?? null };
    }
    return { ...params, target: params.target ?? this.targetId, span: null, foil_token: null };
  }

  /** An answer to a question, if the page holds it. */
  #held(params: TokenParams): Result | null {
    const resolved = this.#resolved(params);
    const key = keyOf(resolved, this.methods.value);
    const kept = this.held.value.get(key);
    if (kept) return kept;
    const { span, foil_token: foil } = resolved;
    const matrix = this.matrix.value;
    const like = this.#newest.value;
    if (!matrix || !like || !span || span[0] !== span[1] || foil !== null || !matrix.have.has(span[0])) return null;
    const methods = this.methods.value;
    if (methodKeyOf(matrix.meta.key, methods) !== methodKeyOf(resolved, methods)) return null;
    const [start = 0, end = 0, , surface = ""] = this.tokens.value[this.nPrompt.value + span[0]] ?? [];
    const label = `"${this.text.value.slice(start, end).trim() || surface}"`;
    return resultOfRow(matrix, span[0], key, like, label);
  }

  readonly #newest = makeSignal<Result | null>(null);

  /** What the kernel sent last, unless the reader went back to something else since. */
  #shown(): ReadonlySignal<Result | null> {
    const meta = this.bridge.trait<ValuesMeta>("values_meta", NO_META);
    return computed(() => {
      const { shown } = this.display.value;
      const counts = shown && shown.request === this.requestId.value && shown.over === meta.value.key;
      const back = counts && shown.key !== this.#newest.value?.key ? this.#held(this.params.value) : null;
      return back ?? this.#newest.value;
    });
  }

  #range(): number {
    const mode = this.scaleMode.value;
    const { range } = this.display.value;
    if (mode === "fixed" && range > 0) return range;
    const own = this.units.value.largest;
    const result = this.result.value;
    if (mode !== "all" || !result) return own;
    let largest = own;
    const take = (values: Float32Array) => {
      const { groups } = this.grouping.value;
      largest = Math.max(largest, largestGroup(groups, values, this.agg.value, this.specials.value));
    };
    const comparable = methodKeyOf(result.meta.key, this.methods.value);
    for (const other of this.held.value.values()) {
      if (methodKeyOf(other.meta.key, this.methods.value) === comparable) take(other.values);
    }
    const matrix = this.currentMatrix.value;
    if (matrix) for (const row of matrix.have) take(rowOf(matrix, row));
    return largest;
  }

  #sum(values: Float32Array, ranges: readonly CharRange[]): SelectionSum {
    return sumOf(values, this.tokens.value, this.text.value, ranges, this.units.value.total);
  }

  #request(message: Record<string, unknown>): void {
    // The kernel must know what is on show.
    this.bridge.saveNow();
    this.bridge.send(message);
  }

  #decodeOnChange(): void {
    const { bridge } = this;
    const decoder = new Decoder();
    const values = bridge.trait<unknown>("values", null);
    const meta = bridge.trait<ValuesMeta>("values_meta", NO_META);
    const archive = bridge.trait<Record<string, ArchiveEntry>>("archive", {});
    const quality = bridge.trait<Quality>("quality", {});
    let acknowledged: number | undefined;
    this.follow(
      async () => {
        const [data, about, entries, methods] = [values.value, meta.value, archive.value, this.methods.value];
        const said = {
          question: this.question.value,
          quality: quality.value,
          notices: this.notices.value,
          caption: this.caption.value,
        };
        // All traits of a message are set before the page does anything else, but it hears of them one by one.
        await null;
        const [own, kept] = await Promise.all([decoder.values(data, about), decoder.archive(entries, methods)]);
        const key = keyOfMeta(about, methods);
        const newest: Result | null =
          own.length > 0 ? { ...said, key, source: "shown", values: own, meta: about } : null;
        return { newest, kept };
      },
      ({ newest, kept }) => {
        batch(() => {
          this.#newest.value = newest;
          const finished = newest && ["ready", "cancelled"].includes(this.status.peek());
          this.held.value = newest && finished ? new Map([...kept, [newest.key, newest]]) : kept;
        });
        if (acknowledged !== this.seq.peek()) this.acknowledge();
        acknowledged = this.seq.peek();
      },
    );
    const cells = bridge.trait<unknown>("matrix", null);
    const cellsMeta = bridge.trait<Partial<MatrixMeta>>("matrix_meta", {});
    this.follow(
      async () => {
        const [data, about] = [cells.value, cellsMeta.value];
        await null;
        return decodeMatrix(data, about);
      },
      (matrix) => {
        this.matrix.value = matrix;
        if (acknowledged !== this.seq.peek()) this.acknowledge();
        acknowledged = this.seq.peek();
      },
    );
  }

  /** Answered, or failed. */
  #endWaiting(): void {
    const stops = [
      effect(() => {
        this.whatIf.value;
        this.failure.value;
        this.askingWhatIf.value = false;
      }),
      effect(() => {
        if (!this.running.value) this.#askingColumns.value = false;
      }),
    ];
    for (const stop of stops) this.lifetime.addEventListener("abort", stop, { once: true });
  }
}
