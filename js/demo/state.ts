// The traits of a demo widget, as Python would send them.

import type { Method } from "../src/lib/traits";
import { attribution, deflate, photo, quantise } from "./synthetic";

const PATH_PARAMETERS: Method["parameters"] = [
  { name: "baseline", title: "Baseline", kind: "baseline", default: "blur" },
  {
    name: "steps",
    title: "Steps",
    kind: "range",
    default: 64,
    low: 1,
    high: 300,
    step: 1,
    log: true,
    integer: true,
    help: "points on the path; more is slower and smoother",
  },
  {
    name: "rule",
    title: "Rule",
    kind: "choice",
    default: "midpoint",
    choices: ["midpoint", "trapezoid", { value: "gauss", title: "Gauss–Legendre" }],
  },
];

export const METHODS: Method[] = [
  {
    name: "ig",
    title: "Integrated gradients",
    family: "Path",
    summary: "Gradients summed on the way from a baseline.",
    reference: "Sundararajan et al. 2017",
    signed: true,
    parameters: PATH_PARAMETERS,
  },
  {
    name: "saliency",
    title: "Gradient",
    family: "Gradient",
    summary: "The slope at the input.",
    reference: "Simonyan et al. 2013",
    signed: true,
    parameters: [],
  },
  {
    name: "smoothgrad",
    title: "SmoothGrad",
    family: "Gradient",
    summary: "The mean slope around the input.",
    reference: "Smilkov et al. 2017",
    signed: true,
    parameters: [
      { name: "samples", title: "Samples", kind: "range", default: 32, low: 1, high: 128, step: 1, integer: true },
      { name: "sigma", title: "Noise", kind: "range", default: 0.15, low: 0.01, high: 1, step: 0.01 },
      { name: "seed", title: "Seed", kind: "seed", default: 0 },
      { name: "absolute", title: "Absolute values", kind: "switch", default: false },
    ],
  },
];

export async function mapTraits(steps: number, shift: number): Promise<Record<string, unknown>> {
  const values = attribution(224, steps, shift);
  const packed = quantise(values);
  const info = {
    key: "sum",
    label: "Integrated gradients, sum over channels",
    reduction: "sum",
    shape: [224, 224],
    dtype: "int8",
    scale: packed.scale,
    signed: true,
    offset: 0,
    enc: "zlib",
    unit: "logit",
  };
  return { maps: [info], map_data: await deflate(packed.bytes) };
}

async function sprite(count: number): Promise<DataView<ArrayBuffer>> {
  const canvas = document.createElement("canvas");
  canvas.width = 64 * count;
  canvas.height = 64;
  for (let i = 0; i < count; i++) {
    const bitmap = await createImageBitmap(new Blob([await photo(200 + 60 * i)]));
    canvas.getContext("2d")?.drawImage(bitmap, 64 * i, 0, 64, 64);
  }
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return new DataView(await (blob ?? new Blob()).arrayBuffer());
}

export async function demoState(inputs: number): Promise<Record<string, unknown>> {
  return {
    _kind: "heatmap",
    schema: 1,
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    question: {
      target_label: "goldfinch",
      foil_label: null,
      baseline_title: "blurred image",
      method_title: "Integrated gradients",
      score: 0.97,
    },
    params: {
      input: 0,
      target: 11,
      foil: null,
      method: "ig",
      baseline: "blur",
      parameters: { steps: 64, rule: "midpoint" },
    },
    methods: METHODS,
    baselines: [
      { name: "blur", title: "blurred image" },
      { name: "black", title: "black" },
      { name: "mean", title: "mean colour" },
      { name: "uniform", title: "uniform noise" },
    ],
    reductions: [
      { name: "sum", title: "sum over channels" },
      { name: "magnitude", title: "sum of absolute values over channels" },
    ],
    error: {},
    notices: [],
    caption:
      "Integrated gradients for goldfinch, compared with the blurred image. Largest support: upper right (31 %), centre (22 %). 18 % of the total opposes. Completeness gap 0.8 %.",
    provenance: { model: "ResNet-18", method: "Integrated gradients", steps: 64, version: "0.1.0" },
    palette: "default",
    polarity: "warm",
    theme: "auto",
    display: {},
    selection: {},
    image: await photo(200),
    image_size: [224, 224],
    inputs: Array.from({ length: inputs }, (_, i) => ({ label: `bird ${i + 1}.jpg` })),
    thumbnails: inputs > 1 ? await sprite(inputs) : null,
    segments: null,
    segments_shape: [0, 0],
    classes: [
      { id: 11, name: "goldfinch", score: 0.967, logit: 14.2 },
      { id: 12, name: "house finch", score: 0.014, logit: 9.9 },
      { id: 92, name: "bee eater", score: 0.006, logit: 9.1 },
      { id: 15, name: "robin, American robin, Turdus migratorius", score: 0.003, logit: 8.4 },
      { id: 20, name: "<b>water</b> ouzel \u202egnihtemos", score: 0.001, logit: 7.2 },
    ],
    quality: {
      delta: 0.112,
      difference: 14.1,
      gap: 0.008,
      error: 0.00002,
      evaluations: { forward: 66, gradient: 64 },
      steps: 64,
      seconds: 1.24,
      complete: true,
    },
    shared_scale: 0,
    cursor: {},
    region: {},
    whatif: {},
    ...(await mapTraits(64, 0)),
  };
}
