// The traits of small token strips: a classifier's text, and a prompt with its output. Hostile text, several scripts.

import { deflateSync } from "node:zlib";
import type { ArchiveEntry, Part, Step, StretchTuple, TokenTuple } from "../src/tokens/traits";
import { HOSTILE } from "./state";

export function packedFloats(values: readonly number[]): DataView {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return new DataView(new Uint8Array(deflateSync(bytes)).buffer);
}

/** Whole numbers and halves are exact in half precision. */
export function packedHalves(values: readonly number[]): DataView {
  const halves = Uint16Array.from(values, (value) => {
    if (Number.isNaN(value)) return 0x7e00;
    if (value === 0) return 0;
    const exponent = Math.floor(Math.log2(Math.abs(value)));
    const fraction = Math.abs(value) / 2 ** exponent - 1;
    return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | Math.round(fraction * 1024);
  });
  return new DataView(new Uint8Array(deflateSync(new Uint8Array(halves.buffer))).buffer);
}

/** Tokens as [text, value]; a text in [[ ]] is special and stands for nothing. Blank texts are gaps between tokens. */
export type Spelled = readonly [text: string, value: number];

export interface Laid {
  text: string;
  tokens: TokenTuple[];
  strip: StretchTuple[];
  values: number[];
  words: number[];
}

export function lay(spelled: readonly Spelled[], partOf: (token: number) => Part = () => "first"): Laid {
  let text = "";
  const tokens: TokenTuple[] = [];
  const strip: StretchTuple[] = [];
  const values: number[] = [];
  const words: number[] = [0];
  for (const [own, value] of spelled) {
    const token = tokens.length;
    if (own.startsWith("[[")) {
      tokens.push([text.length, text.length, 1, own.slice(1, -1), partOf(token)]);
      strip.push([text.length, text.length, token]);
      values.push(value);
      continue;
    }
    const start = text.length;
    text += own;
    if (own.trim() === "" && Number.isNaN(value)) {
      strip.push([start, text.length]);
      continue;
    }
    if (/^\s*\S/.test(own) && (start === 0 || /\s$/.test(text.slice(0, start)) || /^\s/.test(own))) {
      const first = start + own.length - own.trimStart().length;
      if (first > 0) words.push(first);
    }
    tokens.push([start, text.length, 0, own, partOf(token)]);
    strip.push([start, text.length, token]);
    values.push(value);
  }
  return { text, tokens, strip, values, words };
}

const GAP: Spelled = [" ", Number.NaN];

/** "not unhelpful 👍 <img…> ‮evil": values of one token each. */
export const REVIEW: readonly Spelled[] = [
  ["[[CLS]]", -0.5],
  ["not", -2],
  GAP,
  ["un", 1],
  ["help", 2],
  ["ful", 0.5],
  GAP,
  ["👍", 0.25],
  GAP,
  [HOSTILE, -0.25],
  ["[[SEP]]", 0],
];

const METHODS = [
  {
    name: "ig",
    title: "Integrated gradients",
    family: "path",
    summary: HOSTILE,
    reference: "",
    signed: true,
    parameters: [
      { name: "baseline", title: "Baseline", kind: "baseline", default: "zeros" },
      { name: "steps", title: "Steps", kind: "range", default: 16, low: 1, high: 256, step: 1, integer: true },
    ],
  },
  {
    name: "norm",
    title: "Gradient norm",
    family: "gradient",
    summary: "",
    reference: "",
    signed: false,
    parameters: [],
  },
];

export const ASKED = {
  input: 0,
  target: null,
  foil: null,
  method: "ig",
  baseline: "zeros",
  parameters: { steps: 16 },
  span: null,
  foil_token: null,
};

export function entry(values: readonly number[], params: object, more: Record<string, unknown> = {}): ArchiveEntry {
  const asked = { ...ASKED, ...params };
  return {
    values: packedFloats(values),
    values_meta: {
      length: values.length,
      unsigned: false,
      unit: "logit",
      key: JSON.stringify(asked),
      span: asked.span,
      foil_token: asked.foil_token,
      target: asked.target,
      foil: asked.foil,
      ...more,
    },
    question: {
      target: asked.target,
      target_label: `target ${asked.target ?? asked.span}`,
      foil_label: null,
      baseline_title: "zeros",
      method_title: "Integrated gradients",
      score: 0.9,
    },
    quality: { delta: 0.01, difference: 2, gap: 0.005, steps: 16, seconds: 0.1 },
    notices: [],
    caption: `caption of ${asked.target ?? asked.span}`,
  };
}

function common(laid: Laid): Record<string, unknown> {
  return {
    _kind: "tokens",
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    methods: METHODS,
    baselines: [
      { name: "zeros", title: "zeros" },
      { name: "mean", title: HOSTILE },
    ],
    error: {},
    provenance: {},
    palette: "default",
    polarity: "warm",
    theme: "light",
    display: {},
    inputs: [{ label: HOSTILE }],
    text: laid.text,
    tokens: laid.tokens,
    strip: laid.strip,
    boundaries: { word: laid.words, sentence: [0], line: [0], paragraph: [0] },
    matrix: null,
    matrix_meta: {},
    selection: [],
    selection_sum: {},
    whatif: {},
    granularity: { mode: "token", regex: "" },
    agg: "sum",
    show: "bars",
    specials: false,
    k: 0,
    scale_mode: "target",
    view: "strip",
  };
}

export function classifyState(spelled: readonly Spelled[] = REVIEW): Record<string, unknown> {
  const laid = lay(spelled);
  const first = entry(laid.values, { target: 1 });
  const other = entry(
    laid.values.map((value) => -value),
    { target: 0 },
  );
  return {
    ...common(laid),
    task: "classify",
    params: { ...ASKED, target: 1 },
    n_prompt: laid.tokens.length,
    prompt_end: laid.text.length,
    classes: [
      { id: 1, name: "positive", score: 0.7, logit: 1 },
      { id: 0, name: HOSTILE, score: 0.3, logit: 0 },
    ],
    steps: [],
    ...first,
    archive: { [first.values_meta.key]: first, [other.values_meta.key]: other },
  };
}

const PROMPT: readonly Spelled[] = [
  ["The", 0.25],
  [" Eiffel", 2],
  [" Tower", 1],
  [" of", -0.5],
];
const OUTPUT: readonly Spelled[] = [
  [" Paris", 0],
  [",", 0],
  [" is", 0],
];

function step(place: number): Step {
  const topk = [" Paris", " London", "\n"].map((text, rank) => ({
    id: 10 * place + rank,
    text,
    p: 0.5 / (rank + 1),
    logit: 5 - rank,
  }));
  return { p: 0.5, logit: 5, entropy: 1.5, rank: 1, topk };
}

export function generateState(): Record<string, unknown> {
  const laid = lay([...PROMPT, ...OUTPUT], (token) => (token < PROMPT.length ? "prompt" : "output"));
  const first = entry(laid.values, { span: [0, 0] });
  const second = entry([1, 1, 1, 1, -3, 0, 0], { span: [1, 1] });
  const [beginning] = laid.tokens[PROMPT.length] ?? [0];
  return {
    ...common(laid),
    task: "generate",
    params: { ...ASKED, span: [0, 0] },
    n_prompt: PROMPT.length,
    prompt_end: beginning,
    classes: [],
    steps: OUTPUT.map((_, place) => step(place)),
    ...first,
    archive: { [first.values_meta.key]: first, [second.values_meta.key]: second },
  };
}

/** A matrix for generateState, with some of its three rows. */
export function matrixOf(
  rows: Readonly<Record<number, readonly number[]>>,
  params: object = {},
): Record<string, unknown> {
  const nothing = Array.from({ length: 7 }, () => Number.NaN);
  return {
    matrix: packedHalves([0, 1, 2].flatMap((row) => rows[row] ?? nothing)),
    matrix_meta: {
      rows: 3,
      columns: 7,
      scale: 2,
      have: Object.keys(rows).map(Number),
      key: JSON.stringify({ ...ASKED, span: [0, 0], ...params }),
    },
  };
}
