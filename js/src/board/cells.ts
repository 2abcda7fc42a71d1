// Reading the table: which value of a column is better, in which order the rows stand, what is no better than chance.

import type { Cell, Cells, Column, Direction, Entry, Sort } from "./traits";

export function cellOf(cells: Cells, entry: string, column: string): Cell | undefined {
  return cells[entry]?.[column];
}

export function numberOf(cells: Cells, entry: string, column: string): number | null {
  const value = cellOf(cells, entry, column)?.value;
  return value === undefined || value === null || !Number.isFinite(value) ? null : value;
}

/** 1 for the best; equal values share a rank. Nothing where a column has no better end. */
export function ranksOf(direction: Direction, values: ReadonlyMap<string, number>): Map<string, number> {
  const ranks = new Map<string, number>();
  if (direction === "none") return ranks;
  const sign = direction === "higher" ? 1 : -1;
  for (const [key, value] of values) {
    let better = 0;
    for (const other of values.values()) if (sign * other > sign * value) better += 1;
    ranks.set(key, better + 1);
  }
  return ranks;
}

/** Whether a value is at least as good as another. */
export function asGood(direction: Direction, value: number, other: number): boolean {
  if (direction === "none") return false;
  return direction === "higher" ? value >= other : value <= other;
}

const apart = (a: readonly [number, number], b: readonly [number, number]) => a[0] > b[1] || b[0] > a[1];

/** The control that a method does not clearly beat in a column: its value is no better, or their intervals overlap. */
export function notBeyond(
  cells: Cells,
  column: Column,
  entry: string,
  controls: readonly Entry[],
): { control: Entry; worse: boolean } | null {
  const mine = cellOf(cells, entry, column.name);
  const value = numberOf(cells, entry, column.name);
  if (column.direction === "none" || value === null) return null;
  let close: { control: Entry; worse: boolean } | null = null;
  for (const control of controls) {
    const theirs = cellOf(cells, control.key, column.name);
    const other = numberOf(cells, control.key, column.name);
    if (other === null) continue;
    if (asGood(column.direction, other, value)) return { control, worse: true };
    if (mine?.interval && theirs?.interval && !apart(mine.interval, theirs.interval))
      close ??= { control, worse: false };
  }
  return close;
}

/** Entries in the order of the table; what has no value comes last, whatever the direction. */
export function inOrder(
  entries: readonly Entry[],
  sort: Sort,
  cells: Cells,
  columns: readonly Column[],
): readonly Entry[] {
  if (sort.by === "") return entries;
  const turn = sort.reverse ? -1 : 1;
  if (sort.by === "title") return [...entries].sort((a, b) => turn * a.title.localeCompare(b.title));
  const column = columns.find(({ name }) => name === sort.by);
  if (!column && sort.by !== "seconds") return entries;
  const read = (entry: Entry) => (column ? numberOf(cells, entry.key, column.name) : entry.seconds);
  // of what has no better end, the largest first
  const sign = (column && column.direction !== "lower" ? -1 : 1) * turn;
  return [...entries].sort((a, b) => {
    const [x, y] = [read(a), read(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (x - y);
  });
}

/** What a click on a heading does: the best first, the worst first, as given. */
export function nextSort(sort: Sort, by: string): Sort {
  if (sort.by !== by) return { by, reverse: false };
  return sort.reverse ? { by: "", reverse: false } : { by, reverse: true };
}

/** What `aria-sort` says about a heading. */
export function ariaSort(sort: Sort, by: string, direction: Direction | "title"): "ascending" | "descending" | "none" {
  if (sort.by !== by) return "none";
  const ascending = direction === "lower" || direction === "title";
  return ascending !== sort.reverse ? "ascending" : "descending";
}

/** Both ends of what a column shows, its intervals included; a little wider, so that no end sticks to the edge. */
export function extentOf(cells: Cells, column: string, entries: readonly Entry[]): [low: number, high: number] | null {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { key } of entries) {
    const value = numberOf(cells, key, column);
    if (value === null) continue;
    for (const one of [value, ...(cellOf(cells, key, column)?.interval ?? [])]) {
      low = Math.min(low, one);
      high = Math.max(high, one);
    }
  }
  if (low > high) return null;
  const margin = 0.03 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}
