// Verdicts, and how each is taken back. Nothing here knows the page: a verdict changes one table into another.

import type { Verdict, VerdictEntry, Verdicts } from "./traits";

export const VERDICTS: readonly Verdict[] = ["keep", "relabel", "drop", "unsure"];

/** The verdicts as they were before a step. */
export interface Step {
  title: string;
  before: readonly (readonly [id: number, entry: VerdictEntry | null])[];
}

export interface Judged {
  verdicts: Verdicts;
  step: Step;
}

/** Judge examples; a verdict of null takes theirs away. `labelOf` says what a relabelled one should be. */
export function judged(
  verdicts: Verdicts,
  ids: readonly number[],
  verdict: Verdict | null,
  labelOf: (id: number) => number | null,
  now: Date,
): Judged {
  const before = ids.map((id) => [id, verdicts[id] ?? null] as const);
  const next: Record<string, VerdictEntry> = { ...verdicts };
  for (const id of ids) {
    if (verdict === null) delete next[id];
    else next[id] = { verdict, label: verdict === "relabel" ? labelOf(id) : null, time: now.toISOString() };
  }
  const count = ids.length === 1 ? `#${ids[0]}` : `${ids.length} examples`;
  return { verdicts: next, step: { title: `${verdict ?? "no verdict"} for ${count}`, before } };
}

export function undone(verdicts: Verdicts, { before }: Step): Verdicts {
  const next: Record<string, VerdictEntry> = { ...verdicts };
  for (const [id, entry] of before) {
    if (entry === null) delete next[id];
    else next[id] = entry;
  }
  return next;
}

export interface Tally {
  judged: number;
  /** Of those: relabel or drop. */
  bad: number;
}

export function tallyOf(verdicts: Verdicts): Tally {
  const all = Object.values(verdicts);
  return { judged: all.length, bad: all.filter(({ verdict }) => verdict === "relabel" || verdict === "drop").length };
}
