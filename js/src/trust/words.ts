// What is said in more than one place.

import { formatNumber } from "../lib/format";
import type { LineKey, Removal, Trust } from "./traits";

export const REMOVALS: readonly Removal[] = ["deletion", "insertion"];

export const REMOVAL_WORDS: Readonly<Record<Removal, { title: string; axis: string; done: string; good: string }>> = {
  deletion: {
    title: "Remove what ranks highest",
    axis: "share removed",
    done: "removed",
    good: "the sooner it falls, the better the order",
  },
  insertion: {
    title: "Show what ranks highest",
    axis: "share shown",
    done: "shown",
    good: "the sooner it rises, the better the order",
  },
};

export const LINES: readonly LineKey[] = ["random", "edges", "lengths", "map"];

export function lineTitle(key: LineKey, tries: number): string {
  return { map: "this map", random: `random × ${tries}`, edges: "edges alone", lengths: "word lengths" }[key];
}

export const TEST_TITLES: Readonly<Record<string, string>> = {
  sum: "Sum",
  curves: "Removal",
  random: "Chance",
  edges: "Edges",
  lengths: "Word lengths",
  randomisation: "Random weights",
  agreement: "Agreement",
};

/** A few decimals suffice to compare; a score may be of any size. */
export function formatHeight(value: number): string {
  if (Math.abs(value) >= 10) return formatNumber(value);
  const decimals = Math.abs(value) >= 0.0005 && Math.abs(value) < 0.1 ? 3 : 2;
  return value.toFixed(decimals).replace("-", "−");
}

export function formatLikeness(value: number | null | undefined): string {
  return value === null || value === undefined ? "—" : value.toFixed(2).replace("-", "−");
}

export const percentOf = (share: number): string => `${Math.round(100 * share)} %`;

export function subject({ method_title, target_label, input_label }: Trust["about"]): string {
  const input = input_label.length > 40 ? `${input_label.slice(0, 39)}…` : input_label;
  return [method_title, target_label && `for ${target_label}`, input && `(${input})`].filter(Boolean).join(" ");
}
