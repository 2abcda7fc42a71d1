// Positions and verdicts as text to copy or save. Labels and texts are anyone's: they are quoted.

import { quoted } from "../lib/csv";
import type { GalleryStore } from "./store";

export interface ExportRecord {
  id: number;
  given: string;
  predicted: string;
  confidence: number | null;
  score: number | null;
  self_influence: number | null;
  verdict: string;
  new_label: string;
  time: string;
}

/** A Python list. */
export function listText(ids: readonly number[]): string {
  return `[${ids.join(", ")}]`;
}

export function recordsOf(store: GalleryStore, ids: readonly number[]): ExportRecord[] {
  const named = (y: number | null) => (y === null ? "" : store.className(y));
  return ids.map((id) => {
    const { y, yhat, conf, self } = store.example(id);
    const entry = store.verdicts.value[id];
    return {
      id,
      given: named(y),
      predicted: named(yhat),
      confidence: conf,
      score: store.scoreOf(id),
      self_influence: self,
      verdict: entry?.verdict ?? "",
      new_label: named(entry?.label ?? null),
      time: entry?.time ?? "",
    };
  });
}

const NAMES: readonly (keyof ExportRecord)[] = [
  "id",
  "given",
  "predicted",
  "confidence",
  "score",
  "self_influence",
  "verdict",
  "new_label",
  "time",
];

export function csvText(records: readonly ExportRecord[]): string {
  const cell = (value: string | number | null) => (typeof value === "string" ? quoted(value) : String(value ?? ""));
  return [NAMES.join(","), ...records.map((one) => NAMES.map((name) => cell(one[name])).join(","))].join("\n");
}

export function jsonText(records: readonly ExportRecord[]): string {
  return JSON.stringify(records, null, 1);
}
