// Pointer and keyboard on a list of tokens. In the text and the prompt they choose phrases, in the output the target.

import type { Group } from "./groups";
import type { ListView } from "./list-view";
import { choose, spanOf } from "./outputs";
import { rangeBetween, toggle } from "./phrases";

function unitUnder(event: Event, view: ListView): Group | null {
  const target = event.target instanceof Element ? event.target.closest("[data-unit]") : null;
  const index = Number(target?.getAttribute("data-unit") ?? -1);
  return view.store.grouping.value.groups[index] ?? null;
}

export class Gestures {
  /** Where a phrase began: with a press, or before the first Shift and arrow. */
  #anchor: Group | null = null;
  #pressed = false;
  #dragged: Group | null = null;
  /** The click that follows the end of a drag is no click. */
  #swallowClick = false;

  constructor(readonly view: ListView) {}

  readonly pointerDown = (event: PointerEvent): void => {
    const unit = unitUnder(event, this.view);
    this.#swallowClick = false;
    if (!unit || event.button !== 0) return;
    this.#pressed = event.pointerType !== "touch";
    this.#dragged = null;
    if (!event.shiftKey) this.#anchor = unit;
  };

  readonly pointerMove = (event: PointerEvent): void => {
    const { view } = this;
    const unit = unitUnder(event, view);
    this.#point(unit);
    if (!this.#pressed || !unit || !this.#anchor || (event.buttons & 1) === 0) return;
    if (unit.index === this.#anchor.index && !this.#dragged) return;
    this.#dragged = unit;
    view.store.draft.value = rangeBetween(this.#anchor, unit);
  };

  readonly pointerUp = (event: PointerEvent): void => {
    const { view } = this;
    const { store } = view;
    const pressed = this.#pressed;
    const dragged = this.#dragged;
    this.#pressed = false;
    this.#dragged = null;
    if (!pressed || !dragged || !this.#anchor) return;
    event.preventDefault();
    store.draft.value = null;
    if (view.list === "output") {
      const [from, to] = [spanOf(store, this.#anchor), spanOf(store, dragged)];
      store.setSpan([Math.min(from[0], to[0]), Math.max(from[1], to[1])]);
    } else store.select([rangeBetween(this.#anchor, dragged)], event.ctrlKey || event.metaKey);
    view.focus(dragged.index);
    this.#swallowClick = true;
  };

  readonly pointerLeave = (): void => this.#point(null);

  /** The press is over without a phrase: it was cancelled, or let go elsewhere. */
  readonly release = (): void => {
    this.#pressed = false;
    this.#dragged = null;
    this.view.store.draft.value = null;
  };

  readonly click = (event: MouseEvent): void => {
    const swallowed = this.#swallowClick;
    this.#swallowClick = false;
    const unit = unitUnder(event, this.view);
    if (!unit || swallowed) return;
    const { view } = this;
    const { store } = view;
    if (view.list === "output") choose(store, unit, event.shiftKey);
    else if (event.shiftKey && this.#anchor) store.select([rangeBetween(this.#anchor, unit)]);
    else toggle(store, unit, event.ctrlKey || event.metaKey);
    // a screen reader clicks without pressing
    if (!event.shiftKey) this.#anchor = unit;
    view.focus(unit.index);
  };

  readonly keyDown = (event: KeyboardEvent): void => {
    const { view } = this;
    const unit = unitUnder(event, view);
    if (!unit || event.altKey || event.metaKey) return;
    const used = event.ctrlKey ? this.#salient(event.key) : this.#act(unit, event) || this.#walk(unit, event);
    if (!used) return;
    // what the keys move to is read, not what lies under a resting pointer
    view.store.hover.value = null;
    event.preventDefault();
    event.stopPropagation();
  };

  #salient(key: string): boolean {
    const { view } = this;
    const turn = view.layout.value.rightToLeft ? -1 : 1;
    const step = key === "ArrowRight" ? turn : key === "ArrowLeft" ? -turn : 0;
    if (step === 0) return false;
    if (step === 1) view.store.nextSalient();
    else view.store.previousSalient();
    return true;
  }

  #act(unit: Group, { key, shiftKey }: KeyboardEvent): boolean {
    const { view } = this;
    const { store } = view;
    const output = view.list === "output";
    if (key === " ") {
      if (output) choose(store, unit, shiftKey);
      else toggle(store, unit, shiftKey);
      this.#anchor = unit;
      return true;
    }
    // Enter on the target itself runs, as everywhere.
    if (key !== "Enter" || !output) return false;
    const [from, to] = spanOf(store, unit);
    const [first, last] = store.span.value;
    if (from === first && to === last) return false;
    choose(store, unit, shiftKey);
    return true;
  }

  #walk(unit: Group, { key, shiftKey }: KeyboardEvent): boolean {
    const { view } = this;
    const turn = view.layout.value.rightToLeft ? -1 : 1;
    const page = Math.max(Math.floor((view.height.value || 300) / view.lineHeight.value) - 1, 1);
    const moves: Readonly<Record<string, () => number>> = {
      ArrowRight: () => view.unitAtStep(unit.index, turn),
      ArrowLeft: () => view.unitAtStep(unit.index, -turn),
      ArrowDown: () => view.unitInLine(unit.index, 1),
      ArrowUp: () => view.unitInLine(unit.index, -1),
      PageDown: () => view.unitInLine(unit.index, page),
      PageUp: () => view.unitInLine(unit.index, -page),
      Home: () => view.unitAtStep(unit.index, Number.NEGATIVE_INFINITY),
      End: () => view.unitAtStep(unit.index, Number.POSITIVE_INFINITY),
    };
    const move = moves[key];
    if (!move) return false;
    const next = view.store.grouping.value.groups[move()];
    if (!next) return false;
    if (!shiftKey) this.#anchor = next;
    else this.#extend(unit, next);
    view.focus(next.index);
    return true;
  }

  #extend(from: Group, to: Group): void {
    const { store, list } = this.view;
    this.#anchor ??= from;
    if (list === "prompt") {
      store.select([rangeBetween(this.#anchor, to)]);
      return;
    }
    const [a, b] = [spanOf(store, this.#anchor), spanOf(store, to)];
    store.setSpan([Math.min(a[0], b[0]), Math.max(a[1], b[1])]);
  }

  /** What is under the pointer is read out beside the strip; an output token is previewed. */
  #point(unit: Group | null): void {
    const { store, list } = this.view;
    const token = unit?.members[0];
    if (store.hover.value?.token !== token) store.hover.value = token === undefined ? null : { list, token };
    if (list !== "output") return;
    const [from, to] = unit ? spanOf(store, unit) : [0, 1];
    const preview = from === to && this.#pressed === false ? from : null;
    if (store.preview.value !== preview) store.preview.value = preview;
  }
}
