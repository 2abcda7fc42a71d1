// The traits of a demo path explorer, as Python would send them: made-up runs whose maps, curves and gaps fit together.

import type { BaselineInfo, Mode, RunTraits } from "../src/path/traits";
import { attribution, deflate, photo, quantise } from "./synthetic";

const SIDE = 224;
/** 1 keeps every pixel of the frames: as much as there can be to draw. */
const POOL = Number(new URLSearchParams(location.search).get("pool") ?? 2);
const STORED = SIDE / POOL;

/** Where the score rises: its middle on the path, how suddenly, and a dip afterwards. */
interface Shape {
  middle: number;
  steepness: number;
  dip: number;
}

const SHAPES: Record<string, Shape> = {
  black: { middle: 0.09, steepness: 45, dip: 0.12 },
  white: { middle: 0.3, steepness: 16, dip: 0 },
  mean: { middle: 0.14, steepness: 30, dip: 0.05 },
  blur: { middle: 0.5, steepness: 9, dip: 0 },
  gaussian: { middle: 0.22, steepness: 20, dip: 0.2 },
};
const DIFFERENCE = 14.1;

function score({ middle, steepness, dip }: Shape, alpha: number): number {
  const logistic = (x: number) => 1 / (1 + Math.exp(-steepness * (x - middle)));
  const share = (logistic(alpha) - logistic(0)) / (logistic(1) - logistic(0));
  return DIFFERENCE * (share + dip * Math.sin(Math.PI * alpha) * Math.exp(-4 * alpha));
}

/** Halved where the curve is steep: more nodes where more happens. */
function nodes(shape: Shape, count: number): number[] {
  const even = Array.from({ length: count }, (_, i) => i / (count - 1));
  return even.map(
    (u) => (u + (1.6 * u * shape.middle) / (u + shape.middle)) / (1 + (1.6 * shape.middle) / (1 + shape.middle)),
  );
}

function pooled(values: Float32Array): Float32Array {
  const sums = new Float32Array(STORED * STORED);
  values.forEach((value, i) => {
    const x = Math.floor((i % SIDE) / POOL);
    const at = Math.floor(i / SIDE / POOL) * STORED + x;
    sums[at] = (sums[at] ?? 0) + value;
  });
  return sums;
}

function scaledTo(values: Float32Array, sum: number): Float32Array {
  const now = values.reduce((total, value) => total + value, 0);
  return values.map((value) => (value * sum) / now);
}

async function frames(maps: Float32Array[]) {
  const packed = maps.map(quantise);
  const bytes = new Uint8Array(maps.length * STORED * STORED);
  packed.forEach((one, k) => {
    bytes.set(one.bytes, k * STORED * STORED);
  });
  return { bytes: await deflate(bytes), scales: packed.map((one) => one.scale) };
}

async function total(values: Float32Array) {
  const packed = quantise(values);
  return {
    total_map: await deflate(packed.bytes),
    total_meta: { shape: [SIDE, SIDE] as [number, number], scale: packed.scale, dtype: "int8" as const },
  };
}

export async function run(id: string, mode: Mode, count: number, K: number): Promise<RunTraits> {
  const shape = SHAPES[id] ?? { middle: 0.5, steepness: 8, dip: 0 };
  const shift = Object.keys(SHAPES).indexOf(id);
  const onPath = mode === "path";
  const alphas = onPath
    ? nodes(shape, count)
    : Array.from({ length: count }, (_, i) => Math.round((128 * i) / (count - 1)));
  const F = onPath
    ? alphas.map((alpha) => score(shape, alpha))
    : alphas.map((n) => DIFFERENCE * (1 + (0.1 * Math.sin(n / 9)) / Math.sqrt(n + 1)));
  const C = onPath
    ? F.map(
        (height, i) =>
          height +
          0.35 * Math.sin(Math.PI * (alphas[i] ?? 0)) * Math.exp(-6 * (alphas[i] ?? 0)) * (i > 1 ? 1 : 0) +
          0.06 * (alphas[i] ?? 0),
      )
    : F.map((height, i) => (i === 0 ? 0 : height * (1 + (0.5 * Math.cos(1.3 * i)) / Math.sqrt(i))));
  const at = Array.from({ length: K + 1 }, (_, k) => Math.round((k * (count - 1)) / K));
  const edges = at.map((node) => alphas[node] ?? 0);
  const parts = at.slice(1).map((node, k) => {
    const before = at[k] ?? 0;
    const weight = onPath ? 1 : 0;
    const gained = onPath
      ? (C[node] ?? 0) - weight * (C[before] ?? 0)
      : (C[node] ?? 0) * (alphas[node] ?? 0) - (C[before] ?? 0) * (alphas[before] ?? 0);
    return scaledTo(attribution(SIDE, 4 + (onPath ? 40 * (edges[k] ?? 0) : 8), (shift + (k % 3)) % 7), gained || 1e-3);
  });
  const sum = new Float32Array(SIDE * SIDE);
  for (const part of parts) {
    part.forEach((value, i) => {
      sum[i] = (sum[i] ?? 0) + value / (onPath ? 1 : 128);
    });
  }
  const { bytes, scales } = await frames(parts.map(pooled));
  const gaps = F.map((height, i) => (C[i] ?? 0) - height);
  const max = gaps.reduce((most, gap) => (Math.abs(gap) > Math.abs(most) ? gap : most), 0);
  const saturated = onPath && shape.steepness > 25;
  return {
    alphas,
    F,
    C,
    prob: onPath ? F.map((height) => 1 / (1 + Math.exp(9 - height))) : [],
    scores: [-1.3, -1.3 + DIFFERENCE],
    gaps: {
      end: gaps.at(-1) ?? 0,
      max,
      at: alphas[gaps.indexOf(max)] ?? 0,
      local_sum: 0.4,
      difference: DIFFERENCE,
      relative: true,
    },
    inc_meta: { K, edges, scales, shape: [STORED, STORED], pool: POOL, dtype: "int8" },
    facts: {
      rising: saturated ? [0.02, 2.4 * shape.middle] : null,
      unit: "logit",
      evaluations: { forward: 2, gradient: count },
      steps: 65,
      seconds: 1.4,
      stopped: onPath ? "tolerance" : "",
      ...(!onPath && { samples: 128, ref_alphas: edges.slice(1).map((n) => (n * 0.618) % 1), ref_size: [48, 48] }),
    },
    notices: saturated
      ? [
          {
            level: "info",
            code: "saturated",
            text: "90 % of the change happens on 22 % of the path: after that the output is saturated.",
            window: [0.02, 2.4 * shape.middle],
          },
        ]
      : [],
    caption: `Integrated gradients for goldfinch, starting from ${id}. Largest support: upper right (31 %).`,
    increments: bytes,
    refs: onPath ? null : await references(K),
    ...(await total(sum)),
  };
}

async function references(count: number): Promise<DataView<ArrayBuffer>> {
  const canvas = document.createElement("canvas");
  canvas.width = 48 * count;
  canvas.height = 48;
  const context = canvas.getContext("2d");
  for (let i = 0; i < count; i++) {
    const bitmap = await createImageBitmap(new Blob([await photo(40 + 37 * i)]));
    context?.drawImage(bitmap, 48 * i, 0, 48, 48);
  }
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg"));
  return new DataView(await (blob ?? new Blob()).arrayBuffer());
}

async function darkened(filter: string): Promise<DataView<ArrayBuffer>> {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.filter = filter;
  context.drawImage(await createImageBitmap(new Blob([await photo(200)])), 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return new DataView(await (blob ?? new Blob()).arrayBuffer());
}

/** The black wing and eye: a black baseline gives them no credit. */
async function blindSpot(): Promise<DataView<ArrayBuffer>> {
  const bits = new Uint8Array((SIDE * SIDE) / 8);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const inside = ((x - 96) / 32) ** 2 + ((y - 120) / 18) ** 2 < 1 || (x - 158) ** 2 + (y - 80) ** 2 < 20;
      const at = (y * SIDE + x) >> 3;
      if (inside) bits[at] = (bits[at] ?? 0) | (128 >> (x & 7));
    }
  }
  return deflate(bits);
}

function info(id: string, title: string, more: Partial<BaselineInfo>): BaselineInfo {
  const ready = id !== "gaussian";
  return {
    id,
    kind: id,
    title,
    params: {},
    colour: "",
    surfaces: [],
    modes: id === "gaussian" ? ["path", "distribution"] : ["path"],
    status: { path: ready ? "ready" : "new", distribution: "ready" },
    gap: { path: ready ? 0.004 : null, distribution: 0.03 },
    blind: null,
    ...more,
  };
}

export async function pathState(): Promise<Record<string, unknown>> {
  const archive: Record<string, RunTraits> = {
    "path/white": await run("white", "path", 33, 16),
    "path/mean": await run("mean", "path", 33, 16),
    "path/blur": await run("blur", "path", 33, 16),
    "distribution/gaussian": await run("gaussian", "distribution", 33, 32),
  };
  return {
    _kind: "path",
    schema: 1,
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    medium: "image",
    question: {
      target: 11,
      target_label: "goldfinch",
      foil_label: null,
      baseline_title: "black",
      method_title: "Integrated gradients",
      score: 0.97,
    },
    params: {
      input: 0,
      target: 11,
      foil: null,
      method: "",
      mode: "path",
      baseline: "black",
      parameters: { steps: 65, tolerance: 0.01, samples: 128 },
    },
    methods: [],
    error: {},
    provenance: { model: "ResNet-18", version: "0.1.0" },
    palette: "default",
    polarity: "warm",
    theme: "auto",
    display: {},
    classes: [
      { id: 11, name: "goldfinch", score: 0.967, logit: 14.2 },
      { id: 12, name: "house finch", score: 0.014, logit: 9.9 },
      { id: 92, name: "bee eater", score: 0.006, logit: 9.1 },
    ],
    x_img: await photo(200),
    image_size: [SIDE, SIDE],
    tokens: [],
    baselines: [
      info("black", "black", { colour: "#000000", blind: 0.14 }),
      info("white", "white", { colour: "#ffffff", blind: 0.01 }),
      info("mean", "mean colour", { colour: "#7d8f7c", blind: 0.03 }),
      info("blur", "blurred image", { params: { sigma: 20 }, blind: 0.22 }),
      info("gaussian", "Gaussian noise", { params: { sigma: 1, seed: 0 } }),
    ],
    baseline_data: {
      black: { blind: await blindSpot() },
      blur: { image: await darkened("blur(20px)") },
      gaussian: { image: await darkened("contrast(3) saturate(2)") },
    },
    kinds: [
      {
        kind: "blur",
        title: "blurred image",
        params: [
          { name: "sigma", title: "standard deviation", low: 1, high: 50, step: 1, default: 20, integer: false },
        ],
        modes: ["path"],
      },
      {
        kind: "gaussian",
        title: "Gaussian noise",
        params: [
          { name: "sigma", title: "standard deviation", low: 0.1, high: 3, step: 0.1, default: 1, integer: false },
          { name: "seed", title: "seed", low: 0, high: 9999, step: 1, default: 0, integer: true },
        ],
        modes: ["path", "distribution"],
      },
      { kind: "colour", title: "one colour", params: [], modes: ["path"] },
    ],
    baseline_id: "black",
    mode: "path",
    asked: 1,
    shown: "path/black",
    archive,
    alpha: 0.32,
    window: [0, 1],
    frame_scale: "shared",
    cumulative: "integral",
    ...(await run("black", "path", 65, 32)),
  };
}
