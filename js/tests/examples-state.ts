// The traits of small example galleries, as Python sends them. Hostile names and texts.

import { deflateSync } from "node:zlib";
import type { FieldInfo, Item } from "../src/gallery/traits";
import { HOSTILE } from "./state";
import { packedFloats } from "./tokens-state";

export const NAMES = ["cat", HOSTILE, "dog"];
export const RATES = [0.1, 0.05];
export const QUERY_NORMS = [4, 9];

/** [position, label, prediction, contribution of each checkpoint, squared gradient norms] */
export type Told = readonly [id: number, y: number, yhat: number, scores: readonly number[], norms: readonly number[]];

export const TOLD: readonly Told[] = [
  [3, 0, 0, [2, 1], [16, 1]],
  [7, 0, 2, [1, 1.5], [1, 1]],
  [12, 1, 1, [0.5, 0.25], [4, 4]],
  [20, 2, 2, [-1, 3], [1, 25]],
  [31, 2, 0, [-3, -1], [9, 4]],
  [40, 1, 1, [-0.5, -0.25], [0.25, 0.25]],
  [41, 1, 2, [0, -1], [0, 1]],
];

export function itemOf([id, y, yhat]: Told): Item {
  return { id, y, yhat, conf: 0.75, loss: 0.3, self: 10 * id, hub: id === 7 ? 0.6 : 0.01, dup: null };
}

export function rankedTraits(told: readonly Told[] = TOLD): Record<string, unknown> {
  return {
    items: told.map(itemOf),
    scores: packedFloats(told.flatMap(([, , , scores]) => scores)),
    norms: packedFloats(told.flatMap(([, , , , norms]) => norms)),
    query_norms: QUERY_NORMS,
  };
}

export function packed(bytes: Uint8Array): DataView {
  return new DataView(new Uint8Array(deflateSync(bytes)).buffer);
}

/** Columns about `n` examples: the self-influence of position p is 10^(p / n), every fifth one is not predicted as labelled. */
export function columnTraits(n: number): Record<string, unknown> {
  const fields: FieldInfo[] = [
    { name: "self", dtype: "f32", scale: 1, low: 0 },
    { name: "y", dtype: "u8", scale: 1, low: 0 },
    { name: "yhat", dtype: "u8", scale: 1, low: 0 },
    { name: "conf", dtype: "u8", scale: 0.01, low: 0 },
  ];
  const data = new Uint8Array(7 * n);
  const floats = Float32Array.from({ length: n }, (_, id) => id / n);
  data.set(new Uint8Array(floats.buffer));
  for (let id = 0; id < n; id++) {
    data[4 * n + id] = id % 3;
    data[5 * n + id] = id % 5 === 0 ? (id + 1) % 3 : id % 3;
    data[6 * n + id] = id % 100;
  }
  return { columns: packed(data), columns_meta: { n, total: n, fields } };
}

export function examplesState(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    _kind: "examples",
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    question: {
      target: 0,
      target_label: "cat",
      foil_label: null,
      baseline_title: null,
      method_title: "TracIn",
      score: null,
    },
    params: { input: 0, target: null, foil: null, method: "tracin", baseline: "", parameters: {} },
    methods: [
      {
        name: "tracin",
        title: "TracIn",
        family: "gradients",
        summary: HOSTILE,
        reference: "",
        signed: true,
        parameters: [],
      },
    ],
    classes: [
      { id: 0, name: "cat", score: 0.7 },
      { id: 1, name: HOSTILE, score: 0.3 },
    ],
    baselines: [],
    layers: [],
    notices: [],
    caption: "caption",
    provenance: {},
    error: {},
    palette: "default",
    polarity: "warm",
    theme: "light",
    medium: "text",
    names: NAMES,
    ckpts: RATES.map((learning_rate, index) => ({ name: `epoch ${index + 1}`, learning_rate, loss: 1 / (index + 1) })),
    size: 50,
    inputs: [{ label: "first" }],
    query: { key: "q0", y: 2, yhat: 0, conf: 0.7, loss: 1.2, label: 0, training_id: null, text: HOSTILE },
    modes: ["dot", "cosine", "relative"],
    ...rankedTraits(),
    rank: {
      stored: TOLD.length,
      scanned: 50,
      total: 50,
      final: true,
      exact: true,
      approximations: [],
      totals: { positive: 20, negative: -10 },
      approximate_totals: false,
      hist: { edges: [-5, 0, 5], counts: [20, 30] },
      missing: [],
      hub_sample: 16,
      hub_leading: 20,
      modes_complete: false,
      title: "TracIn",
      unit: "TracIn score",
      seconds: 0.2,
    },
    ...columnTraits(50),
    sprites: {},
    texts: {},
    cells: {},
    score_mode: "dot",
    ckpt_mask: [true, true],
    tab: "influence",
    filters: {},
    sort: "self",
    k: 12,
    selection: [],
    verdicts: {},
    pair: {},
    pair_maps: null,
    ...change,
  };
}
