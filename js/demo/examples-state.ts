// The traits of a demo example gallery, as Python would send them: made-up examples and scores.
// index.html?widget=examples&medium=image|text|rows&n=100000&ckpts=5&names=cifar|many|none

import type { Cells, Checkpoint, FieldInfo, Item, Medium, ScoreMode } from "../src/gallery/traits";
import { deflate } from "./synthetic";

const query = new URLSearchParams(location.search);
export const N = Number(query.get("n") ?? 100_000);
const MEDIUM = (query.get("medium") ?? "image") as Medium;
const C = Number(query.get("ckpts") ?? 5);
export const SIDE = 64;

const NAMES =
  MEDIUM === "text"
    ? ["negative", "positive"]
    : ["airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/** Numbers between 0 and 1, the same for the same seed. */
export function noise(seed: number): () => number {
  let state = Math.imul(seed + 1, 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

function labelsOf(id: number): { y: number; yhat: number; conf: number } {
  const random = noise(id);
  random();
  const y = Math.floor(random() * NAMES.length);
  const wrong = random() < 0.07;
  const yhat = wrong ? (y + 1 + Math.floor(random() * (NAMES.length - 1))) % NAMES.length : y;
  return { y, yhat, conf: wrong ? 0.4 + 0.5 * random() : 1 - 0.4 * random() ** 3 };
}

/** A picture that tells classes apart: a shape on a ground, both in shades of the class. */
function draw(context: OffscreenCanvasRenderingContext2D, id: number, left: number): void {
  const random = noise(id + 7);
  const { y } = labelsOf(Math.max(id, 0));
  const hue = (360 * y) / NAMES.length;
  context.fillStyle = `hsl(${hue + 150} ${20 + 30 * random()}% ${55 + 30 * random()}%)`;
  context.fillRect(left, 0, SIDE, SIDE);
  context.fillStyle = `hsl(${hue + 20 * random()} 60% ${25 + 25 * random()}%)`;
  context.beginPath();
  const corners = 3 + (y % 6);
  for (let corner = 0; corner < corners; corner++) {
    const angle = (2 * Math.PI * corner) / corners + random();
    const far = SIDE * (0.22 + 0.2 * random());
    context.lineTo(left + SIDE / 2 + far * Math.cos(angle), SIDE / 2 + far * Math.sin(angle));
  }
  context.fill();
}

/** Squares side by side. */
export async function strip(ids: readonly number[]): Promise<DataView> {
  const canvas = new OffscreenCanvas(SIDE * ids.length, SIDE);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  for (const [index, id] of ids.entries()) draw(context, id, SIDE * index);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  return new DataView(await blob.arrayBuffer());
}

const WORDS =
  "a film that is not without charm but its patience never quite pays off the jokes are funny the ending is earned " +
  "actors carry us through scenes that feel honest dull moving cheap overlong wonderful terrible quiet unexpected";

export function textOf(id: number): string {
  const random = noise(id + 11);
  const pool = WORDS.split(" ");
  const words = Array.from({ length: 6 + Math.floor(26 * random()) }, () => pool[Math.floor(random() * pool.length)]);
  if (id % 97 === 0) words.push("<script>alert(1)</script>", "مرحبا بالعالم", "\u202Eevil\u202C");
  return `${words.join(" ")}.`;
}

export function cellsOf(id: number): Cells {
  const random = noise(id + 13);
  const names = ["age", "hours per week", "education", "capital gain", "occupation", "country"];
  return names.map((name, index) => [
    name,
    index % 3 === 2 ? `kind ${Math.floor(9 * random())}` : (99 * random()).toFixed(1),
  ]);
}

export function contentOf(id: number): { text?: string; cells?: Cells } {
  if (MEDIUM === "text") return { text: textOf(id) };
  return MEDIUM === "rows" ? { cells: cellsOf(id) } : {};
}

const selfOf = (id: number) => {
  const { y, yhat } = labelsOf(id);
  return 10 ** (3 * noise(id + 3)() - 2 + (y === yhat ? 0 : 1.2));
};

const bytes = (values: ArrayLike<number>) => deflate(new Uint8Array(Float32Array.from(values).buffer));

const rateOf = (c: number) => 0.1 / (c + 1);
const queryNormOf = (c: number) => 40 / (c + 1);

/** The candidates that a scan of the first `scanned` examples has found, and what goes with them. */
export async function rankTraits(scanned: number, target: number | null): Promise<Record<string, unknown>> {
  const asked = target ?? 3;
  const found: { item: Item; scores: number[]; norms: number[]; total: number }[] = [];
  const counts = new Array<number>(40).fill(0);
  const totals = { positive: 0, negative: 0 };
  for (let count = 0; count < Math.min(scanned, N, 20_000); count++) {
    const id = Math.floor(count * Math.max(N / 20_000, 1));
    const random = noise(id + 1000 * asked + 17);
    const { y, yhat, conf } = labelsOf(id);
    const lean = y === asked ? 1 : y === (asked + 2) % NAMES.length ? -0.8 : 0;
    const scores = Array.from(
      { length: C },
      (_, c) => (lean * random() ** 4 + (random() - 0.5) ** 5 * 6) * (1 + 0.4 * c),
    );
    const total = scores.reduce((sum, score) => sum + score, 0);
    const place = Math.min(Math.max(Math.floor((total + 8) * 2.5), 0), 39);
    counts[place] = (counts[place] ?? 0) + 1;
    if (total > 0) totals.positive += total;
    else totals.negative += total;
    const norms = scores.map((score, c) => {
      const cosine = 0.1 + 0.8 * random();
      return (score / (rateOf(c) * cosine || 1)) ** 2 / queryNormOf(c);
    });
    const hub = random() < 0.04 ? 0.3 + 0.6 * random() : 0.02 * random();
    const item: Item = { id, y, yhat, conf, self: selfOf(id), hub, dup: random() < 0.01 ? id + 1 : null };
    found.push({ item: { ...item, ...contentOf(id) }, scores, norms, total });
  }
  found.sort((a, b) => b.total - a.total);
  const kept = [...found.slice(0, 100), ...found.slice(100).slice(-100)];
  const final = scanned >= N;
  return {
    items: kept.map(({ item }) => item),
    scores: await bytes(kept.flatMap(({ scores }) => scores)),
    norms: await bytes(kept.flatMap(({ norms }) => norms)),
    query_norms: Array.from({ length: C }, (_, c) => queryNormOf(c)),
    rank: {
      stored: kept.length,
      scanned,
      total: N,
      final,
      exact: false,
      approximations: ["the shortlist comes from sketches of 512 numbers; what is shown is exact"],
      totals,
      approximate_totals: true,
      hist: { edges: Array.from({ length: 41 }, (_, edge) => edge / 2.5 - 8), counts },
      missing: [],
      hub_sample: 64,
      hub_leading: 20,
      modes_complete: false,
      per_checkpoint: true,
      title: "TracIn",
      unit: "TracIn score",
      seconds: final ? 1.4 : 0.3,
    },
  };
}

async function columnsTraits(): Promise<Record<string, unknown>> {
  const fields: FieldInfo[] = [
    { name: "self", dtype: "f32", scale: 1, low: 0 },
    { name: "y", dtype: "u8", scale: 1, low: 0 },
    { name: "yhat", dtype: "u8", scale: 1, low: 0 },
    { name: "conf", dtype: "u8", scale: 1 / 255, low: 0 },
    { name: "confidence", dtype: "u8", scale: 1 / 255, low: 0 },
    { name: "variability", dtype: "u8", scale: 1 / 510, low: 0 },
    { name: "correctness", dtype: "u8", scale: 1 / C, low: 0 },
    { name: "forgetting", dtype: "u8", scale: 1, low: 0 },
    { name: "aum", dtype: "f32", scale: 1, low: 0 },
  ];
  const width = { u8: 1, u16: 2, f16: 2, i32: 4, f32: 4 };
  const data = new Uint8Array(fields.reduce((sum, { dtype }) => sum + N * width[dtype], 0));
  const view = new DataView(data.buffer);
  for (let id = 0; id < N; id++) {
    const random = noise(id + 19);
    const { y, yhat, conf } = labelsOf(id);
    const sure = y === yhat ? 1 - 0.8 * random() ** 2 : 0.5 * random();
    const correctness = y === yhat ? C - Math.floor(3 * random() ** 3) : Math.floor(3 * random() ** 2);
    const values = [
      Math.log10(selfOf(id)),
      y,
      yhat,
      255 * conf,
      255 * sure,
      510 * Math.sqrt(sure * (1 - sure)) * (0.4 + 0.6 * random()),
      correctness,
      Math.floor(3 * random() ** 3),
      4 * (sure - 0.4) + random(),
    ];
    let offset = 0;
    for (const [index, { dtype }] of fields.entries()) {
      if (dtype === "f32") view.setFloat32(offset + 4 * id, values[index] ?? 0, true);
      else view.setUint8(offset + id, Math.round(values[index] ?? 0));
      offset += N * width[dtype];
    }
  }
  return { columns: await deflate(data), columns_meta: { n: N, total: N, fields } };
}

const METHOD = (name: string, title: string, family: string) => ({
  name,
  title,
  family,
  summary: "Sums, over checkpoints, what a gradient step on an example changes in the query's loss.",
  reference: "Pruthi et al. 2020",
  signed: true,
  parameters: [],
});

export async function examplesState(): Promise<Record<string, unknown>> {
  const ckpts: Checkpoint[] = Array.from({ length: C }, (_, c) => ({
    name: `epoch ${5 * (c + 1)}`,
    learning_rate: rateOf(c),
    loss: 1.8 / (c + 1),
  }));
  const ranked = await rankTraits(N, null);
  const leading = MEDIUM === "image" ? (ranked.items as Item[]).filter((_, place) => place < 24 || place > 175) : [];
  const sprites: Record<string, unknown> = {};
  for (const { id } of leading) sprites[id] = await strip([id]);
  if (MEDIUM === "image") sprites.q0 = await strip([N + 3]);
  const modes: ScoreMode[] = ["dot", "cosine", "relative"];
  return {
    _kind: "examples",
    schema: 1,
    status: "ready",
    seq: 1,
    request_id: 0,
    result_id: 0,
    progress: {},
    question: {
      target: 3,
      target_label: NAMES[3] ?? NAMES[1],
      foil_label: null,
      baseline_title: null,
      method_title: "TracIn",
      score: null,
    },
    params: { input: 0, target: null, foil: null, method: "tracin", baseline: "", parameters: {} },
    methods: [METHOD("tracin", "TracIn", "gradients"), METHOD("gradient_cosine", "Gradient cosine", "gradients")],
    layers: [],
    classes: NAMES.map((name, id) => ({ id, name, score: 1 / (id + 2) })),
    baselines: [],
    notices: [],
    caption: "Training examples that pushed the prediction.",
    provenance: { model: "demo", seed: 0 },
    palette: "default",
    polarity: "warm",
    theme: "auto",
    error: {},
    medium: MEDIUM,
    names: NAMES,
    ckpts,
    size: N,
    inputs: [{ label: "first query" }],
    query: { key: "q0", y: 1, yhat: 0, conf: 0.83, loss: 1.77, label: 0, training_id: null, ...contentOf(N + 3) },
    modes,
    ...ranked,
    ...(await columnsTraits()),
    sprites,
    texts: {},
    cells: {},
    score_mode: "dot",
    ckpt_mask: ckpts.map(() => true),
    tab: query.get("tab") ?? "influence",
    filters: {},
    sort: "self",
    k: 12,
    selection: [],
    verdicts: {},
    pair: {},
    pair_maps: null,
  };
}

/** What makes the model say so in the query and in an example: two maps, or two lines of tokens. */
export async function pairTraits(id: number): Promise<Record<string, unknown>> {
  const tokens = MEDIUM === "image" ? null : [N + 3, id].map((one) => wordsOf(one));
  const sizes = tokens ? tokens.map((words) => [words.length]) : [16 * 16, 16 * 16].map((size) => [size]);
  const random = noise(id + 23);
  const values = Int8Array.from({ length: sizes.flat().reduce((sum, size) => sum + size, 0) }, () =>
    Math.round(254 * (random() - 0.5) * random()),
  );
  return {
    pair_maps: await deflate(new Uint8Array(values.buffer)),
    pair: {
      id,
      method_title: "Integrated gradients",
      unit: "logit",
      gap: [0.004, 0.011],
      shapes: tokens
        ? sizes
        : [
            [16, 16],
            [16, 16],
          ],
      ...(tokens ? { tokens } : { shape: [16, 16] }),
      scale: 0.01,
      predicted: [0.83, 0.97],
      label: { id: 0, name: NAMES[0] },
    },
  };
}

function wordsOf(id: number): string[] {
  return MEDIUM === "text" ? textOf(id).split(" ") : cellsOf(id).map(([name]) => name);
}
