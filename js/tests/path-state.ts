// The traits of a small path explorer: 4 × 4 pixels, two frames, hostile labels.

import { deflateSync } from "node:zlib";
import type { BaselineInfo, RunTraits } from "../src/path/traits";
import { HOSTILE } from "./state";

export function packed(bytes: ArrayBufferView): DataView {
  return new DataView(new Uint8Array(deflateSync(new Uint8Array(bytes.buffer as ArrayBuffer))).buffer);
}

const EARLY = Int8Array.from([80, 20, 10, 0, 20, 10, 0, 0, 10, 0, 0, -10, 0, 0, -10, -30]);
const LATE = Int8Array.from([4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
const SCALE = 0.1;

/** Two frames whose sum is the total; it rises early, then stays. `factor` makes another baseline of it. */
export function runTraits(factor = 1, shape: [number, number] = [4, 4]): RunTraits {
  const size = shape[0] * shape[1];
  const frames = Int8Array.from([...EARLY.slice(0, size), ...LATE.slice(0, size)]);
  const total = Int8Array.from({ length: size }, (_, i) => (EARLY[i] ?? 0) + (LATE[i] ?? 0));
  const scale = SCALE * factor;
  const sum = (part: Int8Array) => scale * part.slice(0, size).reduce((all, one) => all + one, 0);
  const end = sum(total);
  const early = sum(EARLY);
  return {
    alphas: [0, 0.1, 0.2, 0.6, 1],
    F: [0, 0.3 * end, 0.97 * end, 0.99 * end, 1.008 * end],
    C: [0, 0.35 * early, early, early + sum(LATE) / 2, end],
    prob: [0.02, 0.1, 0.95, 0.95, 0.96],
    scores: [-1, -1 + 1.008 * end],
    gaps: { end: 0.008 * end, max: 0.026 * end, at: 0.11, local_sum: 0.1, difference: 1.008 * end, relative: true },
    inc_meta: { K: 2, edges: [0, 0.2, 1], scales: [scale, scale], shape, pool: 1, dtype: "int8" },
    total_meta: { shape, scale, dtype: "int8" },
    facts: {
      rising: [0.05, 0.2],
      unit: "logit",
      evaluations: { forward: 2, gradient: 33 },
      steps: 33,
      seconds: 1.4,
      stopped: "tolerance",
    },
    notices: [{ level: "info", code: "saturated", text: HOSTILE, window: [0.05, 0.2] }],
    caption: `from ${HOSTILE}`,
    increments: packed(frames),
    total_map: packed(total),
    refs: null,
  };
}

function baseline(id: string, more: Partial<BaselineInfo>): BaselineInfo {
  return {
    id,
    kind: id,
    title: id,
    params: {},
    colour: "",
    surfaces: [],
    modes: ["path"],
    status: { path: "new" },
    gap: { path: null },
    blind: null,
    ...more,
  };
}

export function pathState(): Record<string, unknown> {
  return {
    _kind: "path",
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    question: {
      target: 3,
      target_label: HOSTILE,
      foil_label: null,
      baseline_title: "black",
      method_title: "Integrated gradients",
      score: 0.9,
    },
    params: {
      input: 0,
      target: 3,
      foil: null,
      method: "",
      mode: "path",
      baseline: "black",
      parameters: { steps: 65, tolerance: 0.01, samples: 128 },
    },
    methods: [],
    error: {},
    provenance: { model: "Tiny" },
    classes: [
      { id: 3, name: HOSTILE, score: 0.9, logit: 4 },
      { id: 5, name: "second", score: 0.06, logit: 1 },
    ],
    medium: "image",
    tokens: [],
    image_size: [4, 4],
    x_img: null,
    baselines: [
      baseline("black", { colour: "#000000", status: { path: "ready" }, gap: { path: 0.008 }, blind: 0.14 }),
      baseline("white", { colour: "#ffffff", status: { path: "ready" }, gap: { path: 0.07 } }),
      baseline("blur:sigma=20", { kind: "blur", title: HOSTILE, params: { sigma: 20 } }),
      baseline("gaussian", {
        title: "Gaussian noise, σ 1, seed 4",
        params: { sigma: 1, seed: 4 },
        modes: ["path", "distribution"],
        status: { path: "failed", distribution: "new" },
      }),
      baseline("smoothgrad", { modes: ["distribution"], params: { sigma: 0.5, seed: 0 }, status: {} }),
    ],
    baseline_data: {},
    kinds: [
      {
        kind: "blur",
        title: "blurred",
        params: [{ name: "sigma", title: "σ in pixels", low: 1, high: 50, step: 1, default: 20, integer: false }],
        modes: ["path"],
      },
      {
        kind: "gaussian",
        title: "Gaussian noise",
        params: [
          { name: "sigma", title: "σ", low: 0.1, high: 3, step: 0.1, default: 1, integer: false },
          { name: "seed", title: "seed", low: 0, high: 99, step: 1, default: 0, integer: true },
        ],
        modes: ["path", "distribution"],
      },
      {
        kind: "colour",
        title: "colour",
        params: [{ name: "colour", title: "colour", low: 0, high: 0, step: 0, default: 0, integer: false }],
        modes: ["path"],
      },
      { kind: "black", title: "black", params: [], modes: ["path"] },
    ],
    baseline_id: "black",
    mode: "path",
    asked: 1,
    shown: "path/black",
    archive: { "path/white": runTraits(0.5) },
    baseline_request: {},
    alpha: 0.6,
    window: [0, 1],
    frame_scale: "shared",
    cumulative: "integral",
    display: {},
    ...runTraits(),
  };
}

export const TOKENS = ["Paris", " is", "\n", "", "<b>big</b>", "‮evil", "👩‍", "مدينة"];

/** A text of eight tokens; the fourth is the same in the baseline. */
export function textState(): Record<string, unknown> {
  const surfaces = TOKENS.map((token, index) => (index === 3 ? token : "[MASK]"));
  return {
    ...pathState(),
    medium: "text",
    tokens: TOKENS,
    image_size: [8, 1],
    baselines: [
      baseline("mask", { title: "mask token", surfaces, status: { path: "ready" }, gap: { path: 0.01 }, blind: 0.125 }),
      baseline("zeros", { title: "zero embedding", surfaces: TOKENS.map(() => "∅"), status: { path: "ready" } }),
    ],
    kinds: [
      {
        kind: "token",
        title: "token",
        params: [{ name: "token", title: "token", low: 0, high: 0, step: 0, default: 0, integer: false }],
        modes: ["path"],
      },
    ],
    baseline_id: "mask",
    shown: "path/mask",
    archive: { "path/zeros": runTraits(2, [1, 8]) },
    ...runTraits(1, [1, 8]),
  };
}
