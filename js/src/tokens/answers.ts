// The answers a page holds: the newest, finished ones to go back to, and the rows of the matrix; and which is on show.

import { batch, computed, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { Quality } from "../lib/traits";
import {
  Decoder,
  decodeMatrix,
  keyOf,
  keyOfMeta,
  type Matrix,
  methodKeyOf,
  type Result,
  resultOfRow,
  type Said,
} from "./result";
import type { TokenStore } from "./store";
import type { ArchiveEntry, MatrixMeta, TokenParams, ValuesMeta } from "./traits";

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

interface Arrived {
  newest: Result | null;
  kept: ReadonlyMap<string, Result>;
}

export class Answers {
  /** Finished answers by their normalised keys. */
  readonly held: Signal<ReadonlyMap<string, Result>> = makeSignal(new Map());
  readonly matrix: Signal<Matrix | null> = makeSignal(null);
  /** The matrix, if it belongs to the method on show. */
  readonly currentMatrix: ReadonlySignal<Matrix | null>;
  /** What the kernel sent last, unless the reader went back to something else since. */
  readonly locked: ReadonlySignal<Result | null>;
  /** The answer on show, a preview included. */
  readonly result: ReadonlySignal<Result | null>;
  /** What is said about the answer on show. */
  readonly about: ReadonlySignal<Said>;
  /** Which output tokens the page holds an answer for. */
  readonly answered: ReadonlySignal<ReadonlySet<number>>;

  readonly #newest: Signal<Result | null> = makeSignal(null);
  readonly #decoder = new Decoder();
  readonly #values: Signal<unknown>;
  readonly #meta: Signal<ValuesMeta>;
  readonly #archive: Signal<Record<string, ArchiveEntry>>;
  readonly #quality: Signal<Quality>;
  readonly #cells: Signal<unknown>;
  readonly #cellsMeta: Signal<Partial<MatrixMeta>>;

  constructor(readonly store: TokenStore) {
    const { bridge } = store;
    this.#values = bridge.trait<unknown>("values", null);
    this.#meta = bridge.trait<ValuesMeta>("values_meta", NO_META);
    this.#archive = bridge.trait<Record<string, ArchiveEntry>>("archive", {});
    this.#quality = bridge.trait<Quality>("quality", {});
    this.#cells = bridge.trait<unknown>("matrix", null);
    this.#cellsMeta = bridge.trait<Partial<MatrixMeta>>("matrix_meta", {});

    this.currentMatrix = computed(() => {
      const matrix = this.matrix.value;
      if (!matrix) return null;
      const methods = store.methods.value;
      return methodKeyOf(matrix.meta.key, methods) === methodKeyOf(store.params.value, methods) ? matrix : null;
    });
    this.locked = computed(() => {
      const { shown } = store.display.value;
      const counts = shown && shown.request === store.requestId.value && shown.over === this.#meta.value.key;
      const back = counts && shown.key !== this.#newest.value?.key ? this.find(store.params.value) : null;
      return back ?? this.#newest.value;
    });
    this.result = computed(() => {
      const preview = store.preview.value;
      const locked = this.locked.value;
      return (preview !== null && this.#findOutput(preview)) || locked;
    });
    this.about = computed(() => {
      const result = this.result.value;
      return {
        question: result?.question ?? store.question.value,
        quality: result?.quality ?? {},
        notices: result?.notices ?? store.notices.value,
        caption: result?.caption || store.caption.value,
      };
    });
    this.answered = computed(() => {
      if (store.task.value !== "generate") return new Set();
      const found = new Set<number>();
      for (let place = 0; place < store.tokens.value.length - store.nPrompt.value; place++) {
        if (this.#findOutput(place)) found.add(place);
      }
      return found;
    });
  }

  /** An answer to a question, if the page holds it. */
  find(params: TokenParams): Result | null {
    const { store } = this;
    const methods = store.methods.value;
    const resolved = this.#resolved(params);
    const key = keyOf(resolved, methods);
    const kept = this.held.value.get(key);
    if (kept) return kept;
    const { span, foil_token: foil } = resolved;
    const matrix = this.matrix.value;
    const like = this.#newest.value;
    if (!matrix || !like || !span || span[0] !== span[1] || foil !== null || !matrix.have.has(span[0])) return null;
    if (methodKeyOf(matrix.meta.key, methods) !== methodKeyOf(resolved, methods)) return null;
    const [start = 0, end = 0, , surface = ""] = store.tokens.value[store.nPrompt.value + span[0]] ?? [];
    const label = `"${store.text.value.slice(start, end).trim() || surface}"`;
    return resultOfRow(matrix, span[0], key, like, label);
  }

  async decode(): Promise<Arrived> {
    const { store } = this;
    const [data, about, entries] = [this.#values.value, this.#meta.value, this.#archive.value];
    const methods = store.methods.value;
    const said: Said = {
      question: store.question.value,
      quality: this.#quality.value,
      notices: store.notices.value,
      caption: store.caption.value,
    };
    // All traits of a message are set before the page does anything else, but it hears of them one by one.
    await null;
    const [own, kept] = await Promise.all([this.#decoder.values(data, about), this.#decoder.archive(entries, methods)]);
    const key = keyOfMeta(about, methods);
    return { newest: own.length > 0 ? { ...said, key, source: "shown", values: own, meta: about } : null, kept };
  }

  keep({ newest, kept }: Arrived): void {
    batch(() => {
      this.#newest.value = newest;
      const finished = newest && ["ready", "cancelled"].includes(this.store.status.peek());
      this.held.value = newest && finished ? new Map([...kept, [newest.key, newest]]) : kept;
    });
  }

  async decodeMatrix(): Promise<Matrix | null> {
    const [data, about] = [this.#cells.value, this.#cellsMeta.value];
    await null;
    return decodeMatrix(data, about);
  }

  /** The answer to one output token alone, by the method on show. */
  #findOutput(place: number): Result | null {
    return this.find({ ...this.store.params.value, span: [place, place], foil_token: null });
  }

  /** What a question leaves open is what the kernel chose. */
  #resolved(params: TokenParams): TokenParams {
    if (this.store.task.value === "generate") {
      return { ...params, span: params.span ?? [0, 0], foil_token: params.foil_token ?? null };
    }
    return { ...params, target: params.target ?? this.store.targetId, span: null, foil_token: null };
  }
}
