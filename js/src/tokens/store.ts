// The state of a token strip: which answer is on show, what the tokens add up to, where the reader is and what was
// chosen. Ranks, selections and going back to a finished answer never touch the kernel.

import { batch, computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { type Colours, coloursOf } from "../lib/bar-colours";
import type { Model } from "../lib/host";
import { pageBackground } from "../lib/theme";
import type { Named, Params } from "../lib/traits";
import { Answers } from "./answers";
import { type Unit, type Units, unitsOf } from "./groups";
import { hitAfter, hitsOf, NO_SEARCH, type Search } from "./hits";
import type { Matrix, Result, Said } from "./result";
import { salientFrom } from "./salient";
import { rangeOf } from "./scale";
import { membersIn, merged, sumOf } from "./selection";
import { type Place, TextStore } from "./text-store";
import type { CharRange, ScaleMode, SelectionSum, Span, TextWhatIf, TokenParams, ValuesMeta } from "./traits";

function present<T extends object>(value: Partial<T> | null): T | null {
  return value && Object.keys(value).length > 0 ? (value as T) : null;
}

export class TokenStore extends TextStore {
  declare readonly params: Signal<TokenParams>;
  declare readonly baselines: Signal<Named[]>;

  // --- answers ---
  readonly answers: Answers;
  readonly matrix: ReadonlySignal<Matrix | null>;
  /** The answer on show, a preview included; null before the first. */
  readonly result: ReadonlySignal<Result | null>;
  /** The answer without previews. */
  readonly locked: ReadonlySignal<Result | null>;
  /** What is said about the answer on show. */
  readonly about: ReadonlySignal<Said>;
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
  readonly units: ReadonlySignal<Units>;
  /** The magnitude of a full bar. */
  readonly range: ReadonlySignal<number>;
  /** Colours of the minimap and the matrix. */
  readonly colours: ReadonlySignal<Colours>;

  // --- where the reader is, and what was chosen ---
  readonly selection: ReadonlySignal<CharRange[]>;
  readonly selectionSum: ReadonlySignal<SelectionSum | null>;
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

  readonly #askingColumns = makeSignal(false);

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const selection = this.bridge.trait<CharRange[]>("selection", []);
    this.selection = computed(() => {
      const length = this.text.value.length;
      const chosen = Array.isArray(selection.value) ? selection.value : [];
      return chosen.filter(([start, end]) => start >= 0 && end > start && end <= length);
    });

    this.span = computed(() => this.params.value.span ?? [0, 0]);
    this.foilToken = computed(() => this.params.value.foil_token ?? null);
    this.answers = new Answers(this);
    this.matrix = this.answers.matrix;
    this.currentMatrix = this.answers.currentMatrix;
    this.locked = this.answers.locked;
    this.result = this.answers.result;
    this.answered = this.answers.answered;
    this.about = this.answers.about;
    this.unsigned = computed(() => this.result.value?.meta.unsigned ?? false);
    this.unit = computed(() => this.result.value?.meta.unit ?? "");
    this.units = computed(() =>
      unitsOf(this.grouping.value.groups, this.result.value?.values ?? null, this.agg.value, this.specials.value),
    );
    this.range = computed(() => rangeOf(this));
    this.colours = computed(() => {
      const shade = this.shade.value;
      return coloursOf(pageBackground(element, shade), shade, this.polarity.value, this.unsigned.value);
    });
    this.selectionSum = computed(() => {
      const values = this.result.value?.values;
      const ranges = this.draft.value ? [this.draft.value] : this.selection.value;
      return values && ranges.length > 0 ? this.#sum(values, ranges) : null;
    });
    const whatIf = this.bridge.trait<Partial<TextWhatIf> | null>("whatif", {});
    this.whatIf = computed(() => present<TextWhatIf>(whatIf.value));
    this.#decodeOnChange();
    this.#endWaiting();
  }

  override get mapKey(): string {
    const { meta, source } = this.locked.value ?? {};
    return source === "matrix" ? `${meta?.key}#${meta?.span?.[0]}` : (meta?.key ?? "");
  }

  // --- asking ---------------------------------------------------------------------------------------------------------

  /** Change the question. An answer the page holds is shown at once; the kernel is not asked. */
  override change(patch: Partial<TokenParams>, settled = true): void {
    const next: TokenParams = { ...this.params.value, ...patch };
    const held = settled ? this.answers.find(next) : null;
    if (!held) {
      // what came with a page is about the first output token; others are in the matrix that comes with it
      super.change((this.live ? patch : { ...patch, span: null }) as Partial<Params>, settled);
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

  unitOf(token: number): Unit | null {
    return this.units.value.all[this.grouping.value.ofToken[token] ?? -1] ?? null;
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
    const hits = hitsOf(query, this.text.value);
    this.search.value = { query, hits, at: -1 };
    if (hits.length > 0) this.stepHit(1, false);
  }

  stepHit(step: 1 | -1, focus = false): void {
    const { hits } = this.search.value;
    if (hits.length === 0) return;
    const at = hitAfter(this.search.value, step);
    this.search.value = { ...this.search.value, at };
    const token = membersIn(this.tokens.value, [hits[at] as CharRange])[0];
    if (token !== undefined) this.goTo(token, focus);
  }

  endSearch(): void {
    this.search.value = NO_SEARCH;
  }

  #stepSalient(step: 1 | -1): void {
    const unit = salientFrom(this, step);
    if (unit) this.goTo(unit.members[0] as number);
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
    const { answers } = this;
    let acknowledged: number | undefined;
    const acknowledge = () => {
      if (acknowledged !== this.seq.peek()) this.acknowledge();
      acknowledged = this.seq.peek();
    };
    this.follow(
      () => answers.decode(),
      (arrived) => {
        answers.keep(arrived);
        acknowledge();
      },
    );
    this.follow(
      () => answers.decodeMatrix(),
      (matrix) => {
        answers.matrix.value = matrix;
        acknowledge();
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
