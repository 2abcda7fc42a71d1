// Which examples are selected: always in the order they were chosen, each once.

export function toggled(selection: readonly number[], id: number): number[] {
  return selection.includes(id) ? selection.filter((one) => one !== id) : [...selection, id];
}

export function extended(selection: readonly number[], ids: Iterable<number>): number[] {
  return [...new Set([...selection, ...ids])];
}
