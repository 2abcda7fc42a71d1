// Tokens summed into words, sentences or matches, by their places in the text: the same rules as xaiwidgets/text/groups.py.
// What is drawn as one is never split, and what follows the prompt is never joined with it.

import type { Aggregate, Boundaries, CharRange, GroupMode, Part, StretchTuple, TokenTuple } from "./traits";

/** Tokens read as one. */
export interface Group {
  index: number;
  /** Places in the text; equal for a token that stands for none of it. */
  start: number;
  end: number;
  members: number[];
  /** First and last stretch, gaps in between included. */
  first: number;
  last: number;
  /** Structure, not text. */
  special: boolean;
  part: Part;
}

export interface Grouping {
  groups: Group[];
  /** Number of its group for each token; -1 for padding. */
  ofToken: Int32Array;
  /** Number of its group for each stretch; -1 for gaps outside any. */
  ofStretch: Int32Array;
}

/** A group with its value. */
export interface Unit extends Group {
  /** Not a number where nothing of it can be attributed. */
  value: number;
  /** Of the magnitudes of all tokens that count. */
  share: number;
  /** 1 for the strongest; 0 for what does not count. */
  rank: number;
}

export interface Units {
  all: Unit[];
  /** How many have a rank. */
  ranked: number;
  /** Sum of the magnitudes of all tokens that count. */
  total: number;
  largest: number;
}

interface Cuts {
  starts: readonly number[];
  /** Beginnings of what lies between matches: its tokens stay by themselves. */
  alone: ReadonlySet<number>;
}

const NO_CUTS: Cuts = { starts: [], alone: new Set() };

export function cutsOf(mode: GroupMode, boundaries: Boundaries, matches: readonly CharRange[]): Cuts {
  if (mode === "token") return NO_CUTS;
  if (mode !== "regex") return { starts: boundaries[mode] ?? [], alone: new Set() };
  const starts = [...new Set([0, ...matches.flat()])].sort((a, b) => a - b);
  const beginnings = new Set(matches.map(([start]) => start));
  return { starts, alone: new Set(starts.filter((start) => !beginnings.has(start))) };
}

/** The last of ascending places that is not behind `place`. */
export function placeBefore(places: readonly number[], place: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] as number) <= place) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function firstVisible(text: string, start: number, end: number): number {
  const own = text.slice(start, end);
  const trimmed = own.trimStart();
  return trimmed === "" ? start : end - trimmed.length;
}

export function groupStretches(
  text: string,
  tokens: readonly TokenTuple[],
  strip: readonly StretchTuple[],
  cuts: Cuts = NO_CUTS,
): Grouping {
  const groups: Group[] = [];
  const ofToken = new Int32Array(tokens.length).fill(-1);
  const ofStretch = new Int32Array(strip.length).fill(-1);
  let current: { group: Group; segment: number } | null = null;
  strip.forEach(([start, end, ...members], stretch) => {
    const head = tokens[members[0] ?? -1];
    if (!head || head[4] === "padding") return;
    const part = head[4];
    let segment = -1;
    if (end > start && cuts.starts.length > 0) {
      const cut = cuts.starts[placeBefore(cuts.starts, firstVisible(text, start, end))];
      if (cut !== undefined && !cuts.alone.has(cut)) segment = cut;
    }
    let group: Group;
    if (segment >= 0 && current?.segment === segment && current.group.part === part) {
      group = current.group;
      group.end = Math.max(group.end, end);
      group.last = stretch;
      group.members.push(...members);
    } else {
      const special = members.every((member) => tokens[member]?.[2] === 1);
      group = { index: groups.length, start, end, members, first: stretch, last: stretch, special, part };
      groups.push(group);
    }
    // a token that stands for no text does not end a group
    if (end > start) current = { group, segment };
    for (const member of members) ofToken[member] = group.index;
  });
  for (const { index, first, last } of groups) {
    for (let stretch = first; stretch <= last; stretch++) if (ofStretch[stretch] === -1) ofStretch[stretch] = index;
  }
  return { groups, ofToken, ofStretch };
}

/** The value of tokens read as one: their sum, or the value of the strongest. */
export function groupValue(values: Float32Array | null, members: readonly number[], agg: Aggregate): number {
  let found = Number.NaN;
  for (const member of members) {
    const value = values?.[member] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    if (Number.isNaN(found)) found = value;
    else if (agg === "sum") found += value;
    else if (Math.abs(value) > Math.abs(found)) found = value;
  }
  return found;
}

/** The largest magnitude among the groups that count. */
export function largestGroup(
  groups: readonly Group[],
  values: Float32Array,
  agg: Aggregate,
  specials: boolean,
): number {
  let largest = 0;
  for (const { members, special } of groups) {
    if (!special || specials) largest = Math.max(largest, Math.abs(groupValue(values, members, agg)) || 0);
  }
  return largest;
}

/** Every group with its value. Hidden special tokens count neither for ranks nor for shares. */
export function unitsOf(
  groups: readonly Group[],
  values: Float32Array | null,
  agg: Aggregate,
  specials: boolean,
): Units {
  let total = 0;
  let largest = 0;
  const counted: Unit[] = [];
  const all = groups.map((group): Unit => {
    const value = groupValue(values, group.members, agg);
    const unit = { ...group, value, share: 0, rank: 0 };
    if (Number.isNaN(value) || (group.special && !specials)) return unit;
    counted.push(unit);
    largest = Math.max(largest, Math.abs(value));
    for (const member of group.members) total += Math.abs(values?.[member] || 0);
    return unit;
  });
  counted.sort((a, b) => Math.abs(b.value) - Math.abs(a.value) || a.index - b.index);
  counted.forEach((unit, place) => {
    const before = counted[place - 1];
    unit.rank = before && Math.abs(before.value) === Math.abs(unit.value) ? before.rank : place + 1;
    unit.share = total > 0 ? Math.abs(unit.value) / total : 0;
  });
  return { all, ranked: counted.length, total, largest };
}
