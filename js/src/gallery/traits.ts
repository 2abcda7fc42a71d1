// The shapes of the ExampleGallery's traits: the same names as on the Python side. An example is known by its position in
// the training set. Positive scores: proponents.

import type { Failure } from "../lib/traits";

export type Medium = "image" | "text" | "rows";

/** Which number orders the candidates. */
export type ScoreMode = "dot" | "cosine" | "relative";

export type Tab = "influence" | "triage" | "map";

/** A tabular example: the columns that are shown, with their values. */
export type Cells = [name: string, value: string | number | null][];

/** What can be drawn of an example beside its picture. */
export interface Content {
  text?: string;
  cells?: Cells;
}

/** The example asked about. A class is a number of `names`; a regression has values there. */
export interface Query extends Content {
  /** Of its picture in `sprites`. */
  key: string;
  y: number | null;
  yhat: number | null;
  /** Probability of the predicted class; null for a regression. */
  conf: number | null;
  loss: number | null;
  /** Whose loss is asked about. */
  label?: number | null;
  /** Whose loss is asked about unless another is chosen: the predicted class, or what Python was given. */
  usual?: number | null;
  /** Its position, where it is a training example itself. */
  training_id: number | null;
}

export const NO_QUERY: Readonly<Query> = { key: "q0", y: null, yhat: null, conf: null, loss: null, training_id: null };

export interface Checkpoint {
  name: string;
  learning_rate: number;
  /** Mean loss of the training set. */
  loss: number | null;
}

/** A stored candidate. */
export interface Item extends Content {
  id: number;
  y: number | null;
  yhat: number | null;
  /** Probability of `yhat`. */
  conf: number | null;
  /** At the last checkpoint. */
  loss?: number | null;
  /** Self-influence. */
  self: number | null;
  /** Share 0..1 of sampled queries that have it among their leading ones. */
  hub: number | null;
  /** Position of an example that is the same. */
  dup: number | null;
}

export interface GalleryInput {
  label: string;
}

/** What was scanned to find the candidates. */
export interface Rank {
  stored: number;
  scanned: number;
  total: number;
  final: boolean;
  exact: boolean;
  /** In plain words. */
  approximations: string[];
  /** Sums of all positive and of all negative scores, in dot mode. */
  totals: { positive: number; negative: number } | null;
  /** Whether they are. */
  approximate_totals: boolean;
  /** Of all scores in dot mode; one edge more than counts. */
  hist: { edges: number[]; counts: number[] } | null;
  /** Checkpoints that were left out, and why. */
  missing: [name: string, why: string][];
  /** How many queries `hub` was measured with; 0: not at all. */
  hub_sample: number;
  /** How many leading places counted. */
  hub_leading: number;
  /** Whether the scan ranked in every mode, not only by dot. */
  modes_complete: boolean;
  title: string;
  unit: string;
  seconds: number;
}

export const NO_RANK: Readonly<Rank> = {
  stored: 0,
  scanned: 0,
  total: 0,
  final: false,
  exact: true,
  approximations: [],
  totals: null,
  approximate_totals: false,
  hist: null,
  missing: [],
  hub_sample: 0,
  hub_leading: 0,
  modes_complete: true,
  title: "",
  unit: "",
  seconds: 0,
};

export type FieldName =
  | "ids"
  | "self"
  | "y"
  | "yhat"
  | "conf"
  | "confidence"
  | "variability"
  | "correctness"
  | "forgetting"
  | "aum";

/** A field of the whole data set: value = low + scale · stored. */
export interface FieldInfo {
  name: FieldName;
  dtype: "u8" | "u16" | "f16" | "i32" | "f32";
  scale: number;
  low: number;
}

/** `self` holds log10 of the self-influence. Without a field `ids` row n is position n. */
export interface ColumnsMeta {
  n: number;
  /** Size of the data set. */
  total?: number;
  fields: FieldInfo[];
}

/** Null, false and "" let everything through. */
export interface Filters {
  given: number | null;
  predicted: number | null;
  /** Only where the prediction differs from the label. */
  wrong: boolean;
  text: string;
  /** Only |score| ≥ cut. */
  cut: number | null;
}

export const NO_FILTERS: Readonly<Filters> = { given: null, predicted: null, wrong: false, text: "", cut: null };

/** What orders the triage; each has a direction of its own: what deserves a look comes first. "id": as in the data set. */
export type Sort = Exclude<FieldName, "ids" | "y" | "yhat"> | "id";

export type Verdict = "keep" | "relabel" | "drop" | "unsure";

export interface VerdictEntry {
  verdict: Verdict;
  /** The label it should have; for "relabel". */
  label: number | null;
  /** ISO 8601. */
  time: string;
}

/** By position, as a string. */
export type Verdicts = Readonly<Record<string, VerdictEntry>>;

/** What made the model say so, in the query and in one example, on one scale. Maps are in `pair_maps`. */
export interface Pair {
  id: number;
  method_title: string;
  unit: string;
  /** Completeness gaps of query and example. */
  gap?: [query: number | null, example: number | null] | null;
  /** Height and width of both maps of pictures. */
  shape?: [height: number, width: number];
  /** Of texts and tables, which differ in length. */
  shapes?: [query: [number], example: [number]];
  /** value = stored · scale, for both. */
  scale: number;
  /** Tokens, or the names of columns. */
  tokens?: [query: string[], example: string[]];
  /** Probability of the class explained. */
  predicted?: [query: number | null, example: number | null] | null;
  /** The class explained. */
  label: { id: number | null; name: string };
  /** It could not be computed: nothing else is here. */
  error?: Failure;
}

/** Traits that belong to the page: set without a message, they ride along with the next request. */
export interface LocalTraits {
  score_mode: ScoreMode;
  ckpt_mask: boolean[];
  tab: Tab;
  filters: Filters;
  sort: Sort;
  k: number;
}

/** What the kernel answers to {type: "thumbs", ids}, in one message or several: a picture of `ids.length` squares of `side`
 * pixels side by side. */
export interface ThumbsMessage {
  type: "thumbs";
  ids: number[];
  side: number;
  /** Position → why there is no picture. */
  failed?: Record<string, string>;
}

/** What the kernel answers to {type: "texts", ids}. */
export interface TextsMessage {
  type: "texts";
  texts?: Record<string, string>;
  cells?: Record<string, Cells>;
  failed?: Record<string, string>;
}
