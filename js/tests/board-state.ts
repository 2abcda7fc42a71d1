// The traits of a small scoreboard, as Python sends them: three methods, a control, three tests, two inputs. Hostile names.

import { deflateSync } from "node:zlib";
import type { Cell, Column, Entry } from "../src/board/traits";
import { HOSTILE } from "./state";
import { packedHalves } from "./tokens-state";

export function entryOf(key: string, change: Partial<Entry> = {}): Entry {
  return {
    key,
    title: key,
    kind: "method",
    summary: HOSTILE,
    reference: "",
    signed: true,
    unit: "logit",
    parameters: {},
    seconds: 1,
    evaluations: {},
    error: {},
    ...change,
  };
}

function columnOf(name: string, direction: Column["direction"]): Column {
  return {
    name,
    title: name,
    family: "",
    summary: "what it measures",
    reference: "someone (2020)",
    direction,
    range: [0, 1],
    tells: `${name} tells`,
    cannot: `${name} cannot`,
    parameters: { steps: 33 },
  };
}

export function cellOf(values: readonly number[], half: number, change: Partial<Cell> = {}): Cell {
  const value = values.reduce((sum, one) => sum + one, 0) / values.length;
  return {
    value,
    interval: [value - half, value + half],
    values: [...values],
    notes: [],
    progress: [1, 1],
    final: true,
    seconds: 0.1,
    evaluations: {},
    error: {},
    ...change,
  };
}

const bytesOf = (values: readonly number[]) =>
  new DataView(new Uint8Array(deflateSync(new Uint8Array(Int8Array.from(values).buffer))).buffer);

/** 2 × 2 maps of four entries about two inputs. */
const MAPS = [
  [127, -127, 0, 0, 1, 2, 3, 4],
  [0, 0, 100, 100, 4, 3, 2, 1],
  [50, 50, 50, 50, 0, 0, 0, 0],
  [10, 20, 30, 40, 40, 30, 20, 10],
];

export const KEYS = ["alpha", HOSTILE, "gamma", "random"];

export function boardState(change: Record<string, unknown> = {}): Record<string, unknown> {
  const [alpha = "", beta = "", gamma = "", random = ""] = KEYS;
  const line = (entry: string, offset: number) => ({
    entry,
    columns: ["deletion", "insertion"],
    name: "deletion",
    x: [0, 0.5, 1],
    x_title: "share taken away",
    y_title: "probability",
    low: [1, 0.25, 0],
    high: [1, 0.75, 0],
    ticks: [],
    inputs: 2,
    scale: 1,
    offset,
  });
  return {
    _kind: "scoreboard",
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    methods: [],
    classes: [],
    notices: [],
    caption: "caption",
    provenance: { model: "Net" },
    error: {},
    palette: "default",
    polarity: "warm",
    theme: "light",
    medium: "text",
    rows: 2,
    inputs: [
      { label: "first", target: 0, target_label: "cat", probability: 0.75 },
      { label: HOSTILE, target: 1, target_label: HOSTILE, probability: null },
    ],
    thumbnails: null,
    pictures: {},
    tokens: [
      ["a", "b", "c", HOSTILE],
      ["d", "e", "f", "g"],
    ],
    entries: [
      entryOf(alpha),
      entryOf(beta, { seconds: 0.5 }),
      entryOf(gamma, { signed: false, seconds: null }),
      entryOf(random, { kind: "control", seconds: 0.01 }),
    ],
    columns: [columnOf("deletion", "lower"), columnOf("insertion", "higher"), columnOf("complexity", "none")],
    cells: {
      [alpha]: {
        deletion: cellOf([0.1, 0.3], 0.05),
        insertion: cellOf([0.5, 0.5], 0.1),
        complexity: cellOf([3, 3], 0),
      },
      [beta]: { deletion: cellOf([0.6, 0.6], 0.2), insertion: cellOf([0.9, 0.7], 0.05) },
      [gamma]: {
        deletion: cellOf([0.7, 0.9], 0.05),
        insertion: cellOf([0, 0], 0, { value: null, interval: null, error: { title: HOSTILE, detail: "why" } }),
      },
      [random]: { deletion: cellOf([0.7, 0.7], 0.15), insertion: cellOf([0.2, 0.4], 0.1) },
    },
    maps: {
      shapes: [
        [1, 4],
        [1, 4],
      ],
      pool: 1,
      entries: Object.fromEntries(KEYS.map((key, at) => [key, { offset: 8 * at, scales: [0.5, 1] }])),
    },
    map_data: bytesOf(MAPS.flat()),
    curves: [line(alpha, 0), line(random, 18)],
    curve_data: packedHalves([1, 0.5, 0, 1, 0.25, 0, 1, 0.75, 0, 1, 0.5, 0.5, 1, 0.5, 0.5, 1, 0.5, 0.5]),
    agreement: {
      keys: KEYS,
      mean: KEYS.map((_, i) => KEYS.map((__, j) => (i === j ? 1 : 0.5))),
      each: [0, 1].map((input) => KEYS.map((_, i) => KEYS.map((__, j) => (i === j ? 1 : input === 0 ? -0.25 : null)))),
    },
    selection: [],
    input: 0,
    tab: "maps",
    sort: { by: "", reverse: false },
    hidden: { entries: [], columns: [] },
    pair: [],
    pair_view: "side",
    display: {},
    opened: {},
    ...change,
  };
}
