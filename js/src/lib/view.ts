// The life of one view, whoever draws it.

import { bidFarewell } from "./farewell";
import type { Model, RenderContext } from "./host";

/** Draw another kind for the same model into an element of the view. Its code may come later. */
export type More = (kind: string, el: HTMLElement, lifetime: AbortSignal) => void;

/** What a kind of widget exports as `mount`: draw into the element until the signal aborts. */
export type Draw = (model: Model, el: HTMLElement, lifetime: AbortSignal, more: More) => void;

/** The view lives until the host's signal aborts or `end` is called. */
export function beginView({ model, el, signal }: RenderContext): { lifetime: AbortSignal; end: () => void } {
  const ended = new AbortController();
  const lifetime = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  // only a host that says when a view ends has ends worth reporting
  if (signal) bidFarewell(model, el, lifetime);
  return { lifetime, end: () => ended.abort() };
}
