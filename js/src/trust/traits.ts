// The shapes of the `trust` trait: the same names as on the Python side. What is not there yet is absent.

import type { Failure, Progress } from "../lib/traits";

export type TestStatus = "running" | "done" | "cancelled" | "error";
/** What is taken away, or shown, in the order of the map. */
export type Removal = "deletion" | "insertion";
export type LineKey = "map" | "random" | "edges" | "lengths";

/** The answer while more and more is removed or shown. */
export interface Line {
  /** Shares, 0 to 1. */
  x: number[];
  y: number[];
  /** Where the middle 95 % of the tries lie; empty for a single one. */
  low: number[];
  high: number[];
  area: number;
  areas: [number, number] | null;
  tries: number;
}

export type Lines = Partial<Record<LineKey, Line>>;

/** A map beside the one that is tested. */
export interface Control {
  key: string;
  title: string;
  shape: [number, number];
  scale: number;
  signed: boolean;
  /** Likeness to the tested map: rank correlation with and without signs, structural similarity. */
  rank: number | null;
  rank_absolute: number | null;
  ssim: number | null;
}

/** What is left of the map while the weights become random, from the output to the input. */
export interface Layers {
  names: string[];
  /** As many as are done. */
  rank: (number | null)[];
  rank_absolute: (number | null)[];
  ssim: (number | null)[];
  output: (number | null)[];
  /** Layers whose maps are there. */
  shown: number[];
  shape: [number, number];
  scales: number[];
}

export interface Frames {
  shares: number[];
  /** Of one picture. */
  side?: [number, number];
  tokens?: string[];
  /** Which tokens are left at each share. */
  kept?: Partial<Record<Removal, number[][]>>;
}

export interface Sentence {
  test: string;
  level: "plain" | "watch";
  text: string;
  cannot: string;
}

/** Name and title. */
export type Option = [name: string, title: string];

export interface Trust {
  key: string;
  about: {
    method_title: string;
    target_label: string;
    input_label: string;
    medium: "image" | "text";
    width: number;
    height: number;
  };
  status: TestStatus;
  progress: Partial<Progress>;
  error: Failure;
  settings: { fill: string; measure: string };
  choices: { fill: Option[]; measure: Option[] };
  unit: string;
  curves: Partial<Record<Removal, Lines>>;
  controls: Control[];
  layers: Partial<Layers>;
  frames: Partial<Frames>;
  sentences: Sentence[];
  cost: { forward?: number; gradient?: number; seconds?: number };
}

export const NOTHING: Readonly<Trust> = {
  key: "",
  about: { method_title: "", target_label: "", input_label: "", medium: "image", width: 0, height: 0 },
  status: "running",
  progress: {},
  error: {},
  settings: { fill: "", measure: "" },
  choices: { fill: [], measure: [] },
  unit: "",
  curves: {},
  controls: [],
  layers: {},
  frames: {},
  sentences: [],
  cost: {},
};
