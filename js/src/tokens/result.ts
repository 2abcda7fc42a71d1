// What the page holds about a text: the values on show, finished ones it can go back to, and the matrix of all outputs.

import type { Method, Notice, Quality, Question } from "../lib/traits";
import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { ArchiveEntry, MatrixMeta, Span, TokenParams, ValuesMeta } from "./traits";

/** What is said about an answer. */
export interface Said {
  question: Question;
  quality: Quality;
  notices: Notice[];
  caption: string;
}

export interface Result extends Said {
  /** Normalised key of its question. */
  key: string;
  source: "shown" | "archive" | "matrix";
  /** One for each token; not a number where a token cannot be attributed. */
  values: Float32Array;
  meta: ValuesMeta;
}

export interface Matrix {
  meta: MatrixMeta;
  /** Rows of output tokens one after the other; not a number where nothing has been computed. */
  values: Float32Array;
  have: ReadonlySet<number>;
}

async function floats(
  data: unknown,
  dtype: "float16" | "float32",
  scale: number,
  count: number,
): Promise<Float32Array> {
  const raw = bytesOf(data);
  if (raw.byteLength === 0 || count === 0) return new Float32Array(0);
  const bytes = await inflate(raw);
  const expected = count * (dtype === "float16" ? 2 : 4);
  if (bytes.byteLength < expected) {
    throw new Error(`${count} values of ${dtype} do not fit into ${bytes.byteLength} bytes`);
  }
  return floatsOf(bytes, dtype, scale, count);
}

export function decodeValues(data: unknown, { length }: Pick<ValuesMeta, "length">): Promise<Float32Array> {
  return floats(data, "float32", 1, length);
}

export async function decodeMatrix(data: unknown, meta: Partial<MatrixMeta>): Promise<Matrix | null> {
  const { rows = 0, columns = 0, scale = 1, have = [], key = "" } = meta;
  const values = await floats(data, "float16", scale, rows * columns);
  if (values.length === 0) return null;
  return { meta: { rows, columns, scale, have, key }, values, have: new Set(have) };
}

export function rowOf({ meta, values }: Matrix, row: number): Float32Array {
  return values.subarray(row * meta.columns, (row + 1) * meta.columns);
}

type Keyed = Partial<TokenParams>;

function parsed(key: string): Keyed {
  try {
    return JSON.parse(key) as Keyed;
  } catch {
    return {};
  }
}

function settings(
  { input = 0, method = "", baseline = "", parameters = {} }: Keyed,
  methods: readonly Method[],
): unknown[] {
  const known = methods.find((one) => one.name === method)?.parameters ?? [];
  const filled = { ...Object.fromEntries(known.map((one) => [one.name, one.default])), ...parameters };
  return [input, method, baseline, Object.entries(filled).sort(([a], [b]) => (a < b ? -1 : 1))];
}

/** What questions are compared by: numbers and defaults written alike, whoever wrote them. */
export function keyOf(params: Keyed, methods: readonly Method[]): string {
  const { target = null, foil = null, span = null, foil_token = null } = params;
  return JSON.stringify([...settings(params, methods), target, foil, span, foil_token]);
}

/** The part of a question that all rows of a matrix have in common. */
export function methodKeyOf(params: Keyed | string, methods: readonly Method[]): string {
  return JSON.stringify(settings(typeof params === "string" ? parsed(params) : params, methods));
}

/** Key of an answer: what the question left open is what was chosen. */
export function keyOfMeta(meta: ValuesMeta, methods: readonly Method[]): string {
  const { target, foil, span, foil_token } = meta;
  return keyOf({ ...parsed(meta.key), target, foil, span, foil_token }, methods);
}

/** Decodes what has arrived; bytes that were there before are not decoded again. */
export class Decoder {
  readonly #known = new WeakMap<object, Float32Array>();

  async values(data: unknown, meta: ValuesMeta): Promise<Float32Array> {
    const source = typeof data === "object" && data !== null ? data : null;
    const known = source && this.#known.get(source);
    if (known) return known;
    const values = await decodeValues(data, meta);
    if (source) this.#known.set(source, values);
    return values;
  }

  /** Finished results by their normalised keys, the oldest first. */
  async archive(
    entries: Readonly<Record<string, ArchiveEntry>>,
    methods: readonly Method[],
  ): Promise<ReadonlyMap<string, Result>> {
    const results = await Promise.all(
      Object.values(entries).map(async ({ values, ...about }): Promise<Result> => {
        const key = keyOfMeta(about.values_meta, methods);
        const { values_meta: meta, ...said } = about;
        return { ...said, key, source: "archive", meta, values: await this.values(values, meta) };
      }),
    );
    return new Map(results.map((result) => [result.key, result]));
  }
}

/** A row of the matrix as an answer. */
export function resultOfRow(matrix: Matrix, row: number, key: string, like: Result, label: string): Result {
  const span: Span = [row, row];
  return {
    ...like,
    key,
    source: "matrix",
    values: rowOf(matrix, row),
    meta: { ...like.meta, length: matrix.meta.columns, span, foil_token: null, foil: null },
    question: { ...like.question, target_label: label, foil_label: null, score: null },
    quality: {},
    // what is wrong with the numbers of another answer says nothing about these
    notices: like.notices.filter((notice) => notice.level === "info"),
    caption: `${like.question.method_title} for ${label}, as in the matrix of all output tokens.`,
  };
}
