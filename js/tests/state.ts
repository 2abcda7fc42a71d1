// The traits of a small heatmap, and a model that records what the widget tells the kernel.

import { deflateSync } from "node:zlib";
import { StaticModel } from "../src/lib/static-model";

export class KernelModel extends StaticModel {
  override readonly isStatic = false;
  readonly sent: { type: string; [key: string]: unknown }[] = [];
  saves = 0;

  override send(content: unknown): void {
    const message = content as { type: string };
    this.sent.push(message);
    if (message.type === "hello") this.emit("msg:custom", message);
  }

  override save_changes(): void {
    this.saves++;
  }

  sentOf(type: string): unknown[] {
    return this.sent.filter((message) => message.type === type);
  }
}

export const HOSTILE = '<img src=x onerror="globalThis.hacked=1">\u202Eevil';

/** 4 × 4 values: strongest at the upper left, opposition at the lower right. */
const VALUES = Float32Array.from([8, 2, 1, 0, 2, 1, 0, 0, 1, 0, 0, -1, 0, 0, -1, -4]);

export function heatmapState(): Record<string, unknown> {
  return {
    _kind: "heatmap",
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    question: {
      target_label: HOSTILE,
      foil_label: null,
      baseline_title: "black",
      method_title: "Integrated gradients",
      score: 0.9,
    },
    params: { input: 0, target: 3, foil: null, method: "ig", baseline: "black", parameters: { steps: 16 } },
    methods: [
      {
        name: "ig",
        title: "Integrated gradients",
        family: "path",
        summary: HOSTILE,
        reference: "",
        signed: true,
        parameters: [
          { name: "baseline", title: "Baseline", kind: "baseline", default: "black" },
          { name: "steps", title: "Steps", kind: "range", default: 16, low: 1, high: 256, step: 1, integer: true },
          { name: "layer", title: "Layer", kind: "layer", default: null },
        ],
      },
      { name: "grad", title: "Gradient", family: "gradient", summary: "", reference: "", signed: true, parameters: [] },
    ],
    baselines: [
      { name: "black", title: "black" },
      { name: "blur", title: "blurred" },
    ],
    classes: [
      { id: 3, name: HOSTILE, score: 0.9, logit: 4 },
      { id: 5, name: "second", score: 0.06, logit: 1 },
    ],
    error: {},
    notices: [],
    caption: "a caption",
    maps: [
      {
        key: "sum",
        label: "sum",
        reduction: "sum",
        shape: [4, 4],
        dtype: "float32",
        scale: 1,
        signed: true,
        offset: 0,
        enc: "zlib",
        unit: "logit",
      },
    ],
    map_data: new DataView(new Uint8Array(deflateSync(new Uint8Array(VALUES.buffer))).buffer),
    display: { clip: 100 },
    cursor: {},
    region: {},
    whatif: {},
    quality: { gap: 0.2, delta: 1, difference: 5 },
  };
}
