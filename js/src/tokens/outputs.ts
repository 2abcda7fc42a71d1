// Output tokens as targets: a click explains one, with Shift up to there, a click on the edge of a longer span shrinks it.

import type { Group } from "./groups";
import type { TokenStore } from "./store";
import type { Span } from "./traits";

/** Output tokens of a group, counted from 0. */
export function spanOf(store: TokenStore, group: Group): Span {
  const first = store.nPrompt.value;
  return [(group.members[0] ?? first) - first, (group.members.at(-1) ?? first) - first];
}

export function isTarget(store: TokenStore, group: Group): boolean {
  const [first, last] = store.span.value;
  const [from, to] = spanOf(store, group);
  return from <= last && to >= first;
}

/** Whether an answer to this token alone is in the page. */
export function isAnswered(store: TokenStore, group: Group): boolean {
  const [from, to] = spanOf(store, group);
  for (let place = from; place <= to; place++) if (!store.answered.value.has(place)) return false;
  return true;
}

export function spanAfterClick([first, last]: Span, [from, to]: Span, extend: boolean): Span {
  if (extend) return [Math.min(first, from), Math.max(last, to)];
  const longer = last - first > to - from;
  if (longer && from <= first && to < last) return [to + 1, last];
  if (longer && to >= last && from > first) return [first, from - 1];
  return [from, to];
}

export function choose(store: TokenStore, group: Group, extend = false): void {
  const span = spanAfterClick(store.span.value, spanOf(store, group), extend);
  const [first, last] = store.span.value;
  const known = store.params.value.span !== null && span[0] === first && span[1] === last;
  if (!known || store.foilToken.value !== null) store.setSpan(span);
}

/** The probability of a group's tokens together, and their mean entropy; null without steps. */
export function chancesOf(store: TokenStore, group: Group): { p: number; entropy: number } | null {
  const [from, to] = spanOf(store, group);
  const steps = store.steps.value.slice(from, to + 1);
  if (steps.length === 0) return null;
  return {
    p: steps.reduce((product, step) => product * step.p, 1),
    entropy: steps.reduce((sum, step) => sum + step.entropy, 0) / steps.length,
  };
}
