// The shapes of the Scoreboard's traits: the same names as on the Python side (xaiwidgets/widgets/board/state.py).
// A row of the table is an entry: a method, a control, or values that were given. A column is a metric.

import type { Failure } from "../lib/traits";

export type Medium = "image" | "text";
export type Direction = "higher" | "lower" | "none";
export type EntryKind = "method" | "control" | "given";

export interface Entry {
  key: string;
  title: string;
  kind: EntryKind;
  summary: string;
  reference: string;
  /** Whether negative values mean something. */
  signed: boolean;
  /** Of the values, in words. */
  unit: string;
  parameters: Readonly<Record<string, string | number | boolean | null>>;
  /** Of the attribution alone; null before it is there. */
  seconds: number | null;
  evaluations: Readonly<Record<string, number>>;
  /** Empty, or why it has no map. */
  error: Failure;
}

export interface Column {
  name: string;
  title: string;
  family: string;
  summary: string;
  reference: string;
  direction: Direction;
  /** The smallest and the largest possible value. */
  range: [low: number | null, high: number | null];
  tells: string;
  cannot: string;
  parameters: Readonly<Record<string, string | number | boolean | null>>;
}

export interface Cell {
  /** Mean over the inputs where it is defined. */
  value: number | null;
  /** 95 % interval of the mean. */
  interval: [low: number, high: number] | null;
  /** One number an input. */
  values: (number | null)[];
  notes: string[];
  progress: [done: number, total: number];
  final: boolean;
  seconds: number;
  evaluations: Readonly<Record<string, number>>;
  error: Failure;
}

/** By entry, then by column; what is not computed yet is not there. */
export type Cells = Readonly<Record<string, Readonly<Record<string, Cell>>>>;

/** One line of a result. The numbers are in `curve_data`: the mean over all inputs, then each of `inputs` on show. */
export interface CurveInfo {
  entry: string;
  columns: string[];
  name: string;
  x: number[];
  x_title: string;
  y_title: string;
  /** Of the mean over the inputs, 95 %; as long as x, or empty before they are known. */
  low: (number | null)[];
  high: (number | null)[];
  /** Names of the places on the x axis, where they are no numbers. */
  ticks?: string[];
  inputs: number;
  /** value = stored · scale. */
  scale: number;
  offset: number;
}

/** Maps summed over channels, bytes times a scale: entry after entry, input after input. */
export interface MapsInfo {
  shapes: [height: number, width: number][];
  /** Pixels added up along each axis. */
  pool: number;
  entries: Readonly<Record<string, { offset: number; scales: number[] }>>;
}

export const NO_MAPS: MapsInfo = { shapes: [], pool: 1, entries: {} };

/** Rank correlations; null where one of both is constant. */
export interface Agreement {
  keys: string[];
  mean: (number | null)[][];
  each: (number | null)[][][];
}

export const NO_AGREEMENT: Agreement = { keys: [], mean: [], each: [] };

export interface BoardInput {
  label: string;
  target: number | null;
  target_label: string;
  probability: number | null;
}

export type Tab = "maps" | "pair" | "curves" | "agreement";
export type PairView = "side" | "wipe" | "flicker" | "difference";
export type Scale = "share" | "own" | "value";

/** `by`: a column, "title", "seconds", or "" as given. `reverse`: the worst first. */
export interface Sort {
  by: string;
  reverse: boolean;
}

export interface Hidden {
  entries: string[];
  columns: string[];
}

export interface BoardDisplay {
  scale: Scale;
  sign: "both" | "absolute";
  clip: number;
  wipe: number;
  underlay: boolean;
}

export const BOARD_DISPLAY: Readonly<BoardDisplay> = {
  scale: "share",
  sign: "both",
  clip: 99.5,
  wipe: 0.5,
  underlay: true,
};

export interface OpenCell {
  entry: string;
  column: string;
}

/** Traits that belong to the page: set without a message, they ride along with the next request. */
export interface LocalTraits {
  input: number;
  tab: Tab;
  sort: Sort;
  hidden: Hidden;
  pair: string[];
  pair_view: PairView;
  display: BoardDisplay;
  opened: Partial<OpenCell>;
}
