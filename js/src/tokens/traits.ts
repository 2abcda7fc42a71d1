// The shapes of the TokenStrip's traits: the same names as on the Python side. Character offsets count UTF-16 code units
// of `text`.

import type { ClassScore, Notice, Params, Quality, Question } from "../lib/traits";

export type Task = "classify" | "generate";
export type Part = "prompt" | "output" | "first" | "second" | "padding";

/** One position of the model's input: [start, end, special, surface, part]. */
export type TokenTuple = [start: number, end: number, special: 0 | 1, surface: string, part: Part];

/** A stretch of the text that is drawn as one: [start, end, token numbers...]; a gap has none. */
export type StretchTuple = [start: number, end: number, ...members: number[]];

export type Segment = "word" | "sentence" | "line" | "paragraph";
export type GroupMode = "token" | Segment | "regex";

/** Where segments of each kind begin. */
export type Boundaries = Partial<Record<Segment, number[]>>;

export interface Alternative {
  id: number;
  text: string;
  p: number;
  logit: number;
}

/** One output token as the model saw it coming. */
export interface Step {
  p: number;
  logit: number;
  /** Nats. */
  entropy: number;
  /** 1 for the most probable. */
  rank: number;
  topk: Alternative[];
}

/** First and last output token, counted from 0, both inclusive. */
export type Span = [first: number, last: number];

export interface TokenParams extends Params {
  /** Null where the kernel chooses: the first output token. */
  span: Span | null;
  /** A token that could have come instead of the span's last one. */
  foil_token: number | null;
}

export interface ValuesMeta {
  length: number;
  /** Strengths without a direction. */
  unsigned: boolean;
  unit: string;
  /** Canonical JSON of the params that were asked. */
  key: string;
  span: Span | null;
  foil_token: number | null;
  target: number | null;
  foil: number | null;
}

export interface MatrixMeta {
  rows: number;
  columns: number;
  scale: number;
  /** Numbers of the rows there are. */
  have: number[];
  /** Canonical JSON of the params that were asked; only their method and its settings count. */
  key: string;
}

/** A finished result of this text. */
export interface ArchiveEntry {
  values: unknown;
  values_meta: ValuesMeta;
  question: Question;
  quality: Quality;
  notices: Notice[];
  caption: string;
}

export interface Granularity {
  mode: GroupMode;
  regex: string;
}

export type Aggregate = "sum" | "max";
export type Show = "bars" | "tint" | "underline";
export type ScaleMode = "target" | "all" | "fixed";
export type View = "strip" | "matrix";

/** Places of the text, the end not included. */
export type CharRange = [start: number, end: number];

export interface SelectionSum {
  sum: number;
  positive: number;
  negative: number;
  /** The signed sum as a share of the total magnitude. */
  share: number;
  tokens: number;
  text: string;
}

export interface TextWhatIf {
  text: string;
  /** Classes before and after; of a generation empty. */
  before: ClassScore[];
  after: ClassScore[];
  /** Of a generation: the probability of the target span. */
  p_before?: number;
  p_after?: number;
  seconds: number;
}

/** One of several texts. */
export interface TextInput {
  label: string;
}

/** Traits that the page owns: they ride along with the next request and never start one. */
export interface LocalTraits {
  granularity: Granularity;
  agg: Aggregate;
  show: Show;
  specials: boolean;
  /** How many of the strongest units stand out; 0 for all. */
  k: number;
  scale_mode: ScaleMode;
  selection: CharRange[];
  selection_sum: Partial<SelectionSum>;
  view: View;
}

export const DEFAULT_GRANULARITY: Readonly<Granularity> = { mode: "token", regex: "" };

/** What the page keeps of its own in the `display` trait. */
export interface StripDisplay {
  /** An answer the reader went back to; it counts until the kernel answers another question. */
  shown: { key: string; over: string; request: number } | null;
  /** Of the scale "fixed". */
  range: number;
  /** What colours the output tokens. */
  tint: "none" | "probability" | "entropy";
}

export const DEFAULT_STRIP_DISPLAY: Readonly<StripDisplay> = { shown: null, range: 0, tint: "none" };
