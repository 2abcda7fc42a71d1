// Proponents and opponents in order, what filters leave of them, and the cards of one page.

import type { Candidates } from "./candidates";
import type { Filters, Item } from "./traits";

export interface Ranked {
  id: number;
  /** Among the candidates. */
  row: number;
  score: number;
  /** 1 for the strongest of its side. */
  rank: number;
}

export const SIDES = ["proponents", "opponents"] as const;

export type Side = (typeof SIDES)[number];

export type Sides = Readonly<Record<Side, readonly Ranked[]>>;

export function eachSide(make: (side: Side) => readonly Ranked[]): Sides {
  return { proponents: make("proponents"), opponents: make("opponents") };
}

export const NO_SIDES: Sides = { proponents: [], opponents: [] };

/** Strongest first; equal ones in the order of the data set. Zero is on no side, nor is the query itself. */
export function rankCandidates({ items }: Candidates, scores: Float64Array, without: number | null): Sides {
  const all = items.map(({ id }, row) => ({ id, row, score: scores[row] ?? 0 })).filter(({ id }) => id !== without);
  const ordered = (direction: 1 | -1): Ranked[] =>
    all
      .filter(({ score }) => direction * score > 0)
      .sort((a, b) => direction * (b.score - a.score) || a.id - b.id)
      .map((one, place) => ({ ...one, rank: place + 1 }));
  return { proponents: ordered(1), opponents: ordered(-1) };
}

/** What can be filtered by. */
export type Filterable = Pick<Item, "id" | "y" | "yhat" | "text">;

/** The filters but for the cut-off, which is about scores. */
export function passes(example: Filterable, filters: Filters, nameOf: (y: number) => string): boolean {
  const { given, predicted, wrong } = filters;
  if (given !== null && example.y !== given) return false;
  if (predicted !== null && example.yhat !== predicted) return false;
  if (wrong && (example.yhat === null || example.yhat === example.y)) return false;
  const sought = filters.text.trim().toLowerCase();
  if (sought === "") return true;
  if (String(example.id) === sought.replace(/^#/, "")) return true;
  const words = [example.text ?? "", ...[example.y, example.yhat].map((y) => (y === null ? "" : nameOf(y)))];
  return words.some((one) => one.toLowerCase().includes(sought));
}

export function isFiltering({ given, predicted, wrong, text, cut }: Filters): boolean {
  return given !== null || predicted !== null || wrong || text.trim() !== "" || cut !== null;
}

export function filterSides(sides: Sides, keep: (one: Ranked) => boolean): Sides {
  return eachSide((side) => sides[side].filter(keep));
}

/** Page numbers count from 0; the last page stands in for those that are no more. */
export function pageOf(ranked: readonly Ranked[], page: number, k: number): readonly Ranked[] {
  const last = Math.max(Math.ceil(ranked.length / k) - 1, 0);
  const first = Math.min(page, last) * k;
  return ranked.slice(first, first + k);
}

export interface Held {
  id: number;
  /** Where its card is. */
  place: number;
}

/** The cards of a page with one held in its place, wherever its rank has gone: the others flow around it. */
export function arrange(page: readonly Ranked[], all: readonly Ranked[], held: Held | null): readonly Ranked[] {
  const kept = held && all.find(({ id }) => id === held.id);
  if (!kept) return page;
  const others = page.filter(({ id }) => id !== held.id);
  // one that has left the page takes the room of its last card
  if (others.length === page.length) others.pop();
  return others.toSpliced(Math.min(held.place, others.length), 0, kept);
}

export interface Coverage {
  count: number;
  sum: number;
  total: number;
  share: number;
}

/** How much of all positive influence the proponents on show have. */
export function coverageOf(shown: readonly Ranked[], total: number): Coverage | null {
  if (!(total > 0)) return null;
  const sum = shown.reduce((whole, { score }) => whole + Math.max(score, 0), 0);
  return { count: shown.length, sum, total, share: sum / total };
}
