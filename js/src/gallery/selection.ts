// Which examples are selected: always in the order they were chosen, each once.

export function toggled(selection: readonly number[], id: number): number[] {
  return selection.includes(id) ? selection.filter((one) => one !== id) : [...selection, id];
}

export function extended(selection: readonly number[], ids: Iterable<number>): number[] {
  return [...new Set([...selection, ...ids])];
}

/** Both ends included, in the order of the list whichever end came first. */
export function between(list: ArrayLike<number>, from: number, to: number): number[] {
  const [first, last] = from < to ? [from, to] : [to, from];
  return Array.prototype.slice.call(list, Math.max(first, 0), last + 1);
}
