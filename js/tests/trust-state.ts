// The traits of a small tested map: 4 × 4 pixels, three layers, hostile words.

import { deflateSync } from "node:zlib";
import type { Control, Line, Trust } from "../src/trust/traits";
import { HOSTILE } from "./state";

export function packedBytes(values: readonly number[]): DataView {
  return new DataView(new Uint8Array(deflateSync(new Uint8Array(Int8Array.from(values).buffer))).buffer);
}

export function line(y: number[], band = 0): Line {
  const x = y.map((_, index) => index / (y.length - 1));
  const tries = band > 0 ? 16 : 1;
  return {
    x,
    y,
    low: band > 0 ? y.map((one) => one - band) : [],
    high: band > 0 ? y.map((one) => one + band) : [],
    area: 0.25,
    areas: band > 0 ? [0.5, 0.625] : null,
    tries,
  };
}

function control(key: string, title: string, rank: number | null): Control {
  return { key, title, shape: [4, 4], scale: 0.5, signed: key !== "edges", rank, rank_absolute: rank, ssim: rank };
}

export function trust(change: Partial<Trust> = {}): Trust {
  return {
    key: "this",
    about: {
      method_title: "Integrated gradients",
      target_label: HOSTILE,
      input_label: "",
      medium: "image",
      width: 4,
      height: 4,
    },
    status: "done",
    progress: {},
    error: {},
    settings: { fill: "auto", measure: "probability" },
    choices: {
      fill: [
        ["auto", "usual"],
        ["blur", HOSTILE],
      ],
      measure: [
        ["probability", "probability"],
        ["logit", "logit"],
      ],
    },
    unit: `probability of ${HOSTILE}`,
    curves: {
      deletion: { map: line([1, 0.5, 0.25, 0.125, 0]), random: line([1, 0.75, 0.5], 0.125), edges: line([1, 0.5, 0]) },
      insertion: { map: line([0, 0.75, 1]) },
    },
    controls: [
      control("map", "This map", null),
      control("random", "Random map", 0.03125),
      control("edges", "Edge detector", 0.25),
      control("randomised", HOSTILE, null),
    ],
    layers: {
      names: ["fc", "conv2", HOSTILE],
      rank: [0.5, -0.25],
      rank_absolute: [0.75, null],
      ssim: [0.5, null],
      output: [0.9, 1],
      shown: [0, 1],
      shape: [4, 4],
      scales: [0.5, 0.25],
    },
    frames: { side: [8, 8], shares: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    sentences: [
      { test: "curves", level: "plain", text: `The curve of ${HOSTILE} falls.`, cannot: "Whether gaps did it." },
      { test: "edges", level: "watch", text: "Edges do as well.", cannot: HOSTILE },
    ],
    cost: { forward: 1200, gradient: 96, seconds: 3.25 },
    ...change,
  };
}

/** Three of the four maps have come, and both layers. */
export function trustData(): Record<string, unknown> {
  const map = Array.from({ length: 16 }, (_, index) => 8 * (index - 7));
  return { maps: packedBytes([...map, ...map, ...map]), layers: packedBytes([...map, ...map]) };
}

export function textTrust(): Trust {
  const tokens = ["[CLS]", " a", " fine", " film\u202E"];
  const kept = [0, 1, 2, 3, 4, 4].map((gone) => tokens.map((_, index) => (index >= gone ? 1 : 0)));
  const base = trust();
  return {
    ...base,
    about: { ...base.about, medium: "text", width: 4, height: 1 },
    controls: base.controls.map((one) => ({ ...one, shape: [1, 4] })),
    layers: {},
    frames: { shares: [0, 0.2, 0.4, 0.6, 0.8, 1], tokens, kept: { deletion: kept, insertion: kept } },
  };
}
