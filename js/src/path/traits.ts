// The shapes of the PathExplorer's traits: the same names as on the Python side.

import type { Notice, Params } from "../lib/traits";

export type Mode = "path" | "distribution";
export type FrameScale = "shared" | "each";
export type Cumulative = "integral" | "running_mean";

export interface PathParams extends Params {
  mode: Mode;
}

export interface BaselineParams {
  sigma?: number;
  seed?: number;
  colour?: string;
  x?: number;
  y?: number;
  index?: number;
  token?: string;
}

export interface BaselineInfo {
  id: string;
  kind: string;
  title: string;
  params: BaselineParams;
  /** "#rrggbb" of a baseline of one colour, else empty. */
  colour: string;
  /** Of a text: what stands at each position. */
  surfaces: string[];
  modes: Mode[];
  status: Partial<Record<Mode, "new" | "running" | "ready" | "failed">>;
  /** |completeness gap at the end|, as a share of the change; null before the first result. */
  gap: Partial<Record<Mode, number | null>>;
  /** Share of the input that cannot get credit, because the baseline is the same there. */
  blind: number | null;
}

export interface KindParameter {
  name: keyof BaselineParams;
  title: string;
  low: number;
  high: number;
  step: number;
  default: number;
  integer: boolean;
}

/** A kind of baseline that can be added. */
export interface BaselineKind {
  kind: string;
  title: string;
  params: KindParameter[];
  modes: Mode[];
}

export interface Gaps {
  end: number;
  max: number;
  at: number;
  local_sum: number;
  difference: number;
  relative: boolean;
}

export interface FrameInfo {
  K: number;
  /** K + 1 places on the path, or numbers of samples. */
  edges: number[];
  scales: number[];
  shape: [number, number];
  /** Pixels of the input along one side of a stored value. */
  pool: number;
  dtype: "int8";
  /** Each frame but the first holds its difference from the one before it. Absent in notebooks saved by older versions. */
  differences?: boolean;
}

export interface TotalInfo {
  shape: [number, number];
  scale: number;
  dtype: "int8" | "float16";
}

export interface RunFacts {
  /** Where most of the change happens, if that is a small part of the path. */
  rising: [number, number] | null;
  unit: string;
  evaluations: { forward?: number; gradient?: number };
  steps: number;
  seconds: number;
  stopped: "tolerance" | "steps" | "";
  samples?: number;
  ref_alphas?: number[];
  ref_size?: [number, number];
}

export interface PathNotice extends Notice {
  window?: [number, number];
}

/** Everything the page holds about one baseline in one mode. */
export interface RunTraits {
  alphas: number[];
  F: number[];
  C: number[];
  prob: number[];
  scores: [number, number];
  gaps: Gaps;
  inc_meta: FrameInfo;
  total_meta: TotalInfo;
  facts: RunFacts;
  notices: PathNotice[];
  caption: string;
  increments: unknown;
  total_map: unknown;
  refs: unknown;
}

export interface PathDisplay {
  sign: "both" | "absolute";
  /** Percentile of the magnitudes drawn at full strength. */
  clip: number;
  blind: boolean;
  disagreement: boolean;
}

export const DEFAULT_PATH_DISPLAY: Readonly<PathDisplay> = {
  sign: "both",
  clip: 99.5,
  blind: false,
  disagreement: false,
};
