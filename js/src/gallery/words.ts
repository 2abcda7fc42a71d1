// What the gallery says in words: names of cards for screen readers, and what its signs mean.

import { formatCount, formatNumber, formatPercent, formatSeconds, formatSigned } from "../lib/format";
import { readable } from "../lib/visible";
import type { Area, GalleryStore } from "./store";
import type { Cells, ScoreMode, Verdict } from "./traits";

export const MODE_TITLES: Readonly<Record<ScoreMode, string>> = {
  dot: "influence",
  cosine: "cosine of the gradients",
  relative: "relative influence",
};

export const SIDE_TITLES = {
  proponents: { title: "Proponents", note: "lower the loss" },
  opponents: { title: "Opponents", note: "raise the loss" },
} as const;

export const VERDICT_SIGNS: Readonly<Record<Verdict, string>> = { keep: "✓", relabel: "⇄", drop: "✕", unsure: "?" };

/** Percent as it is read aloud. */
const spokenPercent = (share: number) => `${Math.round(100 * share)} percent`;

const spokenSign = (value: number) =>
  `${value > 0 ? "plus " : value < 0 ? "minus " : ""}${formatNumber(Math.abs(value))}`;

export function cellsText(cells: Cells): string {
  return cells.map(([name, value]) => `${readable(name)} ${valueOfCell(value)}`).join(", ");
}

export function valueOfCell(value: Cells[number][1]): string {
  if (value === null) return "–";
  return typeof value === "number" ? formatNumber(value) : readable(value);
}

/** A text cut where it gets too long for a card. */
export function excerpt(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).trimEnd()}…`;
}

/** "cat", or "cat, predicted dog 61 percent". */
function labelText(store: GalleryStore, id: number): string {
  const { y, yhat, conf } = store.example(id);
  const sure = conf === null ? "" : ` ${spokenPercent(conf)}`;
  return yhat === null ? store.className(y) : `${store.className(y)}, predicted ${store.className(yhat)}${sure}`;
}

/** The checkpoint that a score owes most to. */
function peakText(store: GalleryStore, id: number): string {
  const parts = store.partsOf(id);
  if (!parts) return "";
  const mask = store.mask.value;
  const strengths = parts.map((part, index) => (mask[index] ? Math.abs(part) : -1));
  const peak = store.ckpts.value[strengths.indexOf(Math.max(...strengths))];
  if (!peak) return "";
  return `strongest at ${peak.name.startsWith("checkpoint") ? "" : "checkpoint "}${peak.name}`;
}

/** A card, read aloud. */
export function exampleText(store: GalleryStore, id: number, area: Area): string {
  const example = store.example(id);
  const score = area === "triage" ? null : store.scoreOf(id);
  const verdict = store.verdicts.value[id];
  const wrong = store.suggestion(id) !== null;
  const parts = [
    `${id}: ${labelText(store, id)}`,
    example.text !== undefined && readable(excerpt(example.text, 160)),
    example.cells && cellsText(example.cells.slice(0, 6)),
    score !== null && `${MODE_TITLES[store.mode.value]} ${spokenSign(score)}`,
    score !== null && `rank ${store.rankOf(id)?.rank ?? 0}`,
    area === "triage" && example.self !== null && `self-influence ${formatNumber(example.self)}`,
    score !== null && peakText(store, id),
    wrong && "label and prediction differ",
    store.isHub(id) && `leads for ${spokenPercent(example.hub ?? 0)} of all queries`,
    example.dup !== null && `the same as ${example.dup}`,
    verdict && `verdict ${verdict.verdict}${verdict.label === null ? "" : ` to ${store.className(verdict.label)}`}`,
  ];
  return parts.filter(Boolean).join("; ");
}

/** What a hub is, for those who point at its flag. */
export function hubText(hub: number): string {
  return `leads for ${formatPercent(hub, 0)} of the sampled queries`;
}

export function scoreText(score: number | null): string {
  return score === null ? "–" : formatSigned(score);
}

/** What the order rests on, in a chip. */
export function scanText(store: GalleryStore): string {
  const { scanned, total, seconds, exact } = store.rank.value;
  if (total === 0) return "";
  const share =
    scanned < total ? `top of ${formatPercent(scanned / total, 0)} scanned` : `${formatCount(total)} scanned`;
  return [share, !exact && "approximate", seconds > 0 && formatSeconds(seconds)].filter(Boolean).join(" · ");
}
