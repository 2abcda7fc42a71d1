// The traits of a demo token strip, as Python would send them: made-up attributions of real texts.
// index.html?widget=tokens&text=review|long|arabic|mixed|code&task=generate&unsigned=1

import type { ArchiveEntry, Boundaries, Part, Step, StretchTuple, TokenTuple } from "../src/tokens/traits";
import { deflate } from "./synthetic";

const query = new URLSearchParams(location.search);

const TEXTS: Readonly<Record<string, string>> = {
  review:
    "A film that is not without charm, but its unaffordable patience never quite pays off: the jokes aren't funny, the ending isn't earned, and yet I liked it.",
  arabic:
    "لم يكن الفيلم سيئا أبدا، بل كان Citizen Kane رائعا في كل لحظة، والنهاية 2019 مدهشة حقا! شاهدته مرتين ولم أشعر بالملل.",
  mixed:
    "Great 👍🏽 film — 這部電影非常好看,結局令人驚訝。 Der Schluß <script>alert(1)</script> war naïve… \u202Eevil\u202C ok\n\tNew line,  two spaces. שלום עולם and back.\n\nLast 👩‍👩‍👧‍👦 paragraph.",
  code: 'def add(a, b):\n\t"""Add."""\n\treturn a + b\n\n\nprint(add(2,  3))',
  capital: "The Eiffel Tower stands in the city of",
};
const CONTINUATION = " Paris, which is the capital of France and home to 2.1 million people.";

function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function longText(words: number): string {
  const random = noise(5);
  const pool = (
    "the film a story of love not loss and its quiet unexpected wonderful terrible boring brilliant actors " +
    "never always carry us through scenes that feel honest dull moving cheap or simply overlong unaffordable"
  ).split(" ");
  let text = "";
  for (let count = 0; count < words; count++) {
    const word = pool[Math.floor(random() * pool.length)] ?? "";
    const first = text === "" || /[.\n]\s?$/.test(text);
    text += first ? word.charAt(0).toUpperCase() + word.slice(1) : word;
    text += random() < 0.07 ? (random() < 0.15 ? ".\n\n" : ". ") : random() < 0.06 ? ", " : " ";
  }
  return `${text.trim()}.`;
}

/** Words, pieces of long words, signs; with a space in front where the tokenizer is byte-level. */
function tokenise(text: string, leading: boolean): [number, number][] {
  const found: [number, number][] = [];
  const pattern = leading ? / ?[\p{L}\p{N}]+| ?[^\s\p{L}\p{N}]+|\s/gu : /[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu;
  for (const match of text.matchAll(pattern)) {
    const letters = [...new Intl.Segmenter().segment(match[0])].map((one) => one.segment);
    const dense = /\p{Script=Han}/u.test(match[0]);
    const each = dense ? 1 : letters.length > 9 ? 5 : letters.length;
    let at = match.index;
    for (let first = 0; first < letters.length; first += each) {
      const piece = letters.slice(first, first + each).join("");
      found.push([at, at + piece.length]);
      at += piece.length;
    }
  }
  return found;
}

function boundariesOf(text: string): Boundaries {
  const behind = (pattern: RegExp) => [
    0,
    ...[...text.matchAll(pattern)].map((match) => match.index + match[0].length).filter((place) => place < text.length),
  ];
  const words = [...new Intl.Segmenter("en", { granularity: "word" }).segment(text)];
  return {
    word: words.filter((one) => one.segment.trim() !== "").map((one, place) => (place === 0 ? 0 : one.index)),
    sentence: behind(/[.!?…。！؟]+\s+|\n+/gu),
    line: behind(/\n/g),
    paragraph: behind(/\n\s*\n/g),
  };
}

function stripOf(text: string, tokens: readonly TokenTuple[]): StretchTuple[] {
  const found: StretchTuple[] = [];
  let place = 0;
  tokens.forEach(([start, end], token) => {
    if (start > place) found.push([place, start]);
    found.push([start, end, token]);
    place = Math.max(place, end);
  });
  if (place < text.length) found.push([place, text.length]);
  return found;
}

const WEIGHTS: readonly [RegExp, number][] = [
  [/Eiffel/i, 2.1],
  [/Tower/i, 1.3],
  [/city/i, 0.9],
  [/not|n't|never|terrible|boring|dull|cheap|لم|سيئا/i, -1.4],
  [/charm|liked|wonderful|brilliant|great|moving|honest|رائعا|مدهشة|好/i, 1.8],
  [/funny|earned|pays/i, 0.8],
];

function valuesOf(text: string, tokens: readonly TokenTuple[], seed: number, last: number): Float32Array {
  const random = noise(seed);
  return Float32Array.from(tokens, ([start, end, special], token) => {
    if (token >= last) return 0;
    const own = text.slice(start, end);
    const known = WEIGHTS.find(([pattern]) => pattern.test(own))?.[1] ?? 0;
    const value = known * (0.6 + 0.6 * random()) + (random() - 0.5) * 0.3;
    const signed = special ? -0.4 * random() : value;
    return query.get("unsigned") ? Math.abs(signed) : signed;
  });
}

const packed = (values: Float32Array) => deflate(new Uint8Array(values.buffer as ArrayBuffer));

/** Half precision, as good as a demo needs. */
function half(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign;
  const exponent = Math.floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | Math.floor((size / 2 ** exponent - 1) * 1024);
}

export interface DemoText {
  text: string;
  tokens: TokenTuple[];
  nPrompt: number;
}

export const METHODS = [
  {
    name: "ig",
    title: "Integrated gradients",
    family: "Path",
    summary: "Gradients summed on the way from a baseline.",
    reference: "Sundararajan et al. 2017",
    signed: true,
    parameters: [
      { name: "baseline", title: "Baseline", kind: "baseline", default: "zeros" },
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
      },
    ],
  },
  {
    name: "attnlrp",
    title: "AttnLRP",
    family: "Relevance",
    summary: "Relevance handed back layer by layer.",
    reference: "Achtibat et al. 2024",
    signed: true,
    parameters: [],
  },
];

export function demoText(): DemoText {
  const generate = query.get("task") === "generate";
  const name = query.get("text") ?? (generate ? "capital" : "review");
  const prompt = name === "long" ? longText(Number(query.get("words") ?? 3400)) : (TEXTS[name] ?? name);
  const repeats = Number(query.get("outputs") ?? 1);
  const text = generate ? prompt + CONTINUATION.repeat(repeats) : prompt;
  const own = tokenise(prompt, generate);
  const rest = generate ? tokenise(text.slice(prompt.length), true) : [];
  const token = (start: number, end: number, part: Part): TokenTuple => [start, end, 0, text.slice(start, end), part];
  const tokens = own.map(([start, end]) => token(start, end, generate ? "prompt" : "first"));
  if (!generate) {
    tokens.unshift([0, 0, 1, "[CLS]", "first"]);
    tokens.push([text.length, text.length, 1, "[SEP]", "first"]);
  }
  const nPrompt = tokens.length;
  for (const [start, end] of rest) tokens.push(token(start + prompt.length, end + prompt.length, "output"));
  return { text, tokens, nPrompt };
}

function stepsOf({ text, tokens, nPrompt }: DemoText): Step[] {
  const random = noise(3);
  return tokens.slice(nPrompt).map(([start, end], place) => {
    const p = 0.2 + 0.75 * random();
    const others = [" London", " Lyon", " the", " a", "\n"].map((other, rank) => ({
      id: 100 * place + rank + 1,
      text: other,
      p: (1 - p) * 0.5 ** (rank + 1),
      logit: 8 - rank,
    }));
    const topk = [{ id: 100 * place, text: text.slice(start, end), p, logit: 11 }, ...others];
    return { p, logit: 11, entropy: -Math.log(p) * 3, rank: 1, topk };
  });
}

export async function answer(demo: DemoText, params: Record<string, unknown>): Promise<ArchiveEntry> {
  const { text, tokens, nPrompt } = demo;
  const generate = nPrompt < tokens.length;
  const span = generate ? ((params.span as [number, number] | null) ?? [0, 0]) : null;
  const target = generate ? null : ((params.target as number | null) ?? 1);
  const seed = 7 + 31 * (span?.[0] ?? target ?? 0) + String(params.method).length;
  const values = valuesOf(text, tokens, seed, span ? nPrompt + span[1] : tokens.length);
  const label = span ? text.slice(tokens[nPrompt + span[0]]?.[0], tokens[nPrompt + span[1]]?.[1]) : "";
  return {
    values: await packed(values),
    values_meta: {
      length: tokens.length,
      unsigned: query.get("unsigned") !== null,
      unit: "logit",
      key: JSON.stringify(params),
      span,
      foil_token: (params.foil_token as number | null) ?? null,
      target,
      foil: (params.foil as number | null) ?? null,
    },
    question: {
      target,
      target_label: span ? label.trim() : target === 1 ? "positive" : "negative",
      foil_label: null,
      baseline_title: "zeros",
      method_title: params.method === "attnlrp" ? "AttnLRP" : "Integrated gradients",
      score: 0.81,
    },
    quality: { delta: 0.04, difference: 3.4, gap: 0.011, evaluations: { gradient: 65 }, steps: 65, seconds: 0.8 },
    notices: [],
    caption: "Integrated gradients; the strongest words support the answer.",
  } as ArchiveEntry;
}

/** Rows of the matrix up to `count`. */
export async function matrixTraits(demo: DemoText, params: Record<string, unknown>, count: number) {
  const { text, tokens, nPrompt } = demo;
  const rows = tokens.length - nPrompt;
  const cells = new Uint16Array(rows * tokens.length).fill(0x7e00);
  for (let row = 0; row < count; row++) {
    const values = valuesOf(text, tokens, 7 + 31 * row + String(params.method).length, nPrompt + row);
    values.forEach((value, token) => {
      cells[row * tokens.length + token] = half(value);
    });
  }
  return {
    matrix: await deflate(new Uint8Array(cells.buffer)),
    matrix_meta: {
      rows,
      columns: tokens.length,
      scale: 1,
      have: Array.from({ length: count }, (_, row) => row),
      key: JSON.stringify(params),
    },
  };
}

export async function tokensState(): Promise<Record<string, unknown>> {
  const demo = demoText();
  const { text, tokens, nPrompt } = demo;
  const generate = nPrompt < tokens.length;
  const params = {
    input: 0,
    target: null,
    foil: null,
    method: "ig",
    baseline: "zeros",
    parameters: { steps: 64 },
    span: generate ? [0, 0] : null,
    foil_token: null,
  };
  const first = await answer(demo, params);
  return {
    _kind: "tokens",
    schema: 1,
    status: "ready",
    progress: {},
    request_id: 0,
    result_id: 0,
    seq: 1,
    params,
    methods: METHODS,
    baselines: [
      { name: "zeros", title: "zeros" },
      { name: "mean", title: "the mean of the vocabulary" },
      { name: "mask", title: "[MASK] tokens" },
    ],
    error: {},
    provenance: {},
    palette: "default",
    polarity: "warm",
    theme: "auto",
    display: {},
    task: generate ? "generate" : "classify",
    inputs: [{ label: text.slice(0, 80) }],
    text,
    n_prompt: nPrompt,
    prompt_end: generate ? tokens[nPrompt]?.[0] : text.length,
    tokens,
    strip: stripOf(text, tokens),
    boundaries: boundariesOf(text),
    classes: generate
      ? []
      : [
          { id: 1, name: "positive", score: 0.73, logit: 1.2 },
          { id: 0, name: "negative", score: 0.27, logit: 0.2 },
        ],
    steps: generate ? stepsOf(demo) : [],
    ...first,
    matrix: null,
    matrix_meta: {},
    archive: { [first.values_meta.key]: first },
    selection: [],
    selection_sum: {},
    whatif: {},
    granularity: { mode: query.get("unit") ?? "token", regex: query.get("regex") ?? "" },
    agg: "sum",
    show: query.get("show") ?? "bars",
    specials: false,
    k: 0,
    scale_mode: "target",
    view: query.get("view") ?? "strip",
    ...(generate && query.get("matrix") ? await matrixTraits(demo, params, Number(query.get("matrix"))) : {}),
  };
}
