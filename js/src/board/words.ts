// What a scoreboard says in words.

import { formatNumber } from "../lib/format";
import type { BoardStore } from "./store";
import type { Cell, Column, Direction, Entry, Scale } from "./traits";

export const ARROWS: Readonly<Record<Direction, string>> = { higher: "↑", lower: "↓", none: "" };
export const ARROW_WORDS: Readonly<Record<Direction, string>> = {
  higher: "higher is better",
  lower: "lower is better",
  none: "neither end is better",
};
export const SCALE_TITLES: Readonly<Record<Scale, string>> = {
  share: "one scale for all: each value as a share of its own map's Σ|a|",
  own: "each map has a scale of its own: strengths do not compare",
  value: "one scale for all, values as they are: compares only maps of the same unit",
};

const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? "" : "s"}`;

/** The widget's name for screen readers, and the title of exported figures. */
export function boardQuestion(store: BoardStore): string {
  const methods = store.entries.value.filter(({ kind }) => kind !== "control").length;
  const inputs = store.rows.value;
  const what = store.medium.value === "text" ? "text" : "input";
  return `How do ${plural(methods, "explanation")} of ${plural(inputs, what)} stand ${plural(store.columns.value.length, "test")}?`;
}

export function intervalText(cell: Cell): string {
  return cell.interval ? `${formatNumber(cell.interval[0])} to ${formatNumber(cell.interval[1])}` : "";
}

/** What a cell holds, for those who do not see it. */
export function cellText(store: BoardStore, entry: Entry, column: Column, cell: Cell | undefined): string {
  const where = `${entry.title}, ${column.title}`;
  if (!cell) return `${where}: ${store.running.value ? "not there yet" : "not computed"}`;
  if (cell.error.title) return `${where}: failed, ${cell.error.title}`;
  if (cell.value === null) return `${where}: not defined. ${cell.notes.join(". ")}`;
  const rank = store.ranks.value.get(column.name)?.get(entry.key);
  const parts = [
    `${where}: ${formatNumber(cell.value)}`,
    cell.interval && `95 percent interval ${intervalText(cell)}`,
    rank && entry.kind !== "control" && `rank ${rank} of ${store.shownMethods.value.length}`,
    !cell.final && "so far",
    ...cell.notes,
  ];
  return parts.filter(Boolean).join(", ");
}

export function parametersText(parameters: Readonly<Record<string, unknown>>): string {
  return Object.entries(parameters)
    .filter(([, value]) => value !== null)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "number" && !Number.isInteger(value) ? formatNumber(value) : value}`,
    )
    .join(", ");
}

/** A correlation as in print: .83, −.05. */
export function formatCorrelation(value: number): string {
  if (Math.abs(value) < 0.005) return ".00";
  const text = Math.abs(value) >= 0.995 ? value.toFixed(1) : value.toFixed(2).replace("0.", ".");
  return text.replace("-", "−");
}

/** What the chip says once everything is there. */
export function costText(store: BoardStore): string {
  const inputs = store.rows.value;
  return `${plural(inputs, "input")} · ${plural(store.shownColumns.value.length, "test")}`;
}
