// Where the text has what a reader looks for, and which of the places comes next.

import type { CharRange } from "./traits";

export interface Search {
  query: string;
  hits: CharRange[];
  /** The hit in view; -1 before the first step. */
  at: number;
}

export const NO_SEARCH: Search = { query: "", hits: [], at: -1 };

export function hitsOf(query: string, text: string): CharRange[] {
  const small = text.toLowerCase();
  const hits: CharRange[] = [];
  // A letter whose small form is longer would shift what follows: then cases count.
  const same = small.length === text.length;
  const [where, what] = same ? [small, query.toLowerCase()] : [text, query];
  for (let at = what ? where.indexOf(what) : -1; at >= 0; at = where.indexOf(what, at + what.length)) {
    hits.push([at, at + what.length]);
  }
  return hits;
}

/** The number of the next or previous hit, from the last on to the first. */
export function hitAfter({ hits, at }: Search, step: 1 | -1): number {
  if (at < 0) return step === 1 ? 0 : hits.length - 1;
  return (at + step + hits.length) % hits.length;
}
