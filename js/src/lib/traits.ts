// The shapes of the synchronised traits: the same names as on the Python side.

export type Status = "empty" | "queued" | "running" | "partial" | "ready" | "stale" | "cancelled" | "error";

export interface Progress {
  done: number;
  total: number | null;
  unit: string;
  eta_s: number | null;
  phase: string;
}

export interface Question {
  /** The class a result explains; null where its score is no class. Absent before the first result. */
  target?: number | null;
  target_label: string;
  foil_label: string | null;
  baseline_title: string | null;
  method_title: string;
  score: number | null;
}

export type ParameterValue = number | string | boolean | null;

export interface Params {
  input: number;
  target: number | null;
  foil: number | null;
  method: string;
  baseline: string;
  parameters: Record<string, ParameterValue>;
}

export type ParameterKind = "range" | "choice" | "switch" | "number" | "seed" | "layer" | "regions" | "baseline";

/** A choice is a plain value, or a value with its own title. */
export type Choice = string | number | { value?: string | number; name?: string; title?: string };

export interface Parameter {
  name: string;
  title: string;
  kind: ParameterKind;
  default: ParameterValue;
  low?: number | null;
  high?: number | null;
  step?: number | null;
  log?: boolean;
  integer?: boolean;
  choices?: Choice[] | null;
  help?: string;
}

export interface Method {
  name: string;
  title: string;
  family: string;
  summary: string;
  reference: string;
  signed: boolean;
  parameters: Parameter[];
}

/** A value with the title it has in a menu. */
export interface Named {
  name: string;
  title: string;
}

export interface Failure {
  code?: string;
  title?: string;
  detail?: string;
  hint?: string;
}

export interface Notice {
  level: "info" | "warning";
  code: string;
  text: string;
}

export type Theme = "auto" | "light" | "dark";
export type Polarity = "warm" | "cool";

export interface MapInfo {
  key: string;
  label: string;
  reduction: string;
  shape: [number, number];
  dtype: "int8" | "float16" | "float32";
  scale: number;
  signed: boolean;
  offset: number;
  enc: "zlib" | "raw";
  unit: string;
}

export interface ClassScore {
  id: number;
  name: string;
  score: number;
  logit?: number;
}

export interface Quality {
  delta?: number | null;
  difference?: number | null;
  gap?: number | null;
  error?: number | null;
  evaluations?: { forward?: number; gradient?: number } | null;
  steps?: number | null;
  seconds?: number | null;
  complete?: boolean;
}

export interface Region {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface WhatIf {
  region: Region;
  before: ClassScore[];
  after: ClassScore[];
  seconds: number;
}

export type View = "overlay" | "side" | "wipe" | "mask";
export type Sign = "both" | "positive" | "negative" | "absolute";
export type UnitKind = "pixel" | "block" | "superpixel";
export type Reduction = "sum" | "magnitude" | "l2";
export type ScaleMode = "own" | "shared" | "fixed";

export interface Display {
  view: View;
  opacity: number;
  underlay: number;
  clip: number;
  gamma: number;
  sign: Sign;
  unit: UnitKind;
  block: number;
  top_p: number;
  scale_mode: ScaleMode;
  range: number;
  reduction: Reduction;
  wipe: number;
}

export const DEFAULT_DISPLAY: Readonly<Display> = {
  view: "overlay",
  opacity: 0.85,
  underlay: 1,
  clip: 99.5,
  gamma: 1,
  sign: "both",
  unit: "pixel",
  block: 0,
  top_p: 20,
  scale_mode: "own",
  range: 0,
  reduction: "sum",
  wipe: 0.5,
};
