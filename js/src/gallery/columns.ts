// What is known of every training example, as columns of numbers, and their order in the triage.

import { bytesOf, floatsOf, inflate } from "../lib/transport";
import type { ColumnsMeta, FieldInfo, FieldName, Sort } from "./traits";

const BYTES = { u8: 1, u16: 2, f16: 2, i32: 4, f32: 4 } as const;

export class Columns {
  readonly #rows: Map<number, number> | null;
  readonly #orders = new Map<Sort, Int32Array>();

  constructor(
    readonly n: number,
    /** Of each row; null where row n is position n. */
    readonly ids: Int32Array | null,
    readonly fields: ReadonlyMap<FieldName, Float32Array>,
  ) {
    this.#rows = ids && new Map(Array.from(ids, (id, row) => [id, row]));
  }

  idOf(row: number): number {
    return this.ids ? (this.ids[row] ?? -1) : row;
  }

  /** -1 for an example that is not here. */
  rowOf(id: number): number {
    if (this.#rows) return this.#rows.get(id) ?? -1;
    return id >= 0 && id < this.n ? id : -1;
  }

  /** Null where the field or the value is missing. */
  value(name: FieldName, row: number): number | null {
    const value = this.fields.get(name)?.[row];
    return value === undefined || Number.isNaN(value) ? null : value;
  }

  has(sort: Sort): boolean {
    return sort === "id" || this.fields.has(sort);
  }

  /** Rows, what deserves a look first; worked out once. */
  order(sort: Sort): Int32Array {
    const known = this.#orders.get(sort);
    if (known) return known;
    const values = sort === "id" ? null : (this.fields.get(sort) ?? null);
    const made = values ? orderOf(values, SORTS[sort].direction) : Int32Array.from({ length: this.n }, (_, row) => row);
    this.#orders.set(sort, made);
    return made;
  }
}

/** What a sort puts first, and the direction that does so. */
export const SORTS: Readonly<Record<Sort, { title: string; direction: 1 | -1 }>> = {
  self: { title: "self-influence, largest first", direction: -1 },
  conf: { title: "confidence now, lowest first", direction: 1 },
  confidence: { title: "mean confidence, lowest first", direction: 1 },
  variability: { title: "variability, largest first", direction: -1 },
  correctness: { title: "correctness, lowest first", direction: 1 },
  forgetting: { title: "forgetting, most often first", direction: -1 },
  aum: { title: "margin (AUM), lowest first", direction: 1 },
  id: { title: "as in the data set", direction: 1 },
};

/** Row numbers in order of their values; missing values last, equal ones as in the data set. Sorts plain numbers made of
 * the bits of a value and its row: no comparison function is called, so that 100,000 rows take a few milliseconds. */
export function orderOf(values: Float32Array, direction: 1 | -1): Int32Array {
  const n = values.length;
  const room = 2 ** Math.ceil(Math.log2(Math.max(n, 2)));
  const bits = new Int32Array(values.buffer, values.byteOffset, n);
  const keys = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    const value = values[row] ?? 0;
    const stored = value === 0 ? 0 : (bits[row] ?? 0);
    // the bits of negative floats run backwards
    const place = direction * (stored < 0 ? -(stored & 0x7fffffff) : stored);
    keys[row] = (Number.isNaN(value) ? 2 ** 31 : place) * room + row;
  }
  keys.sort();
  const order = new Int32Array(n);
  // the remainder of a negative number is negative
  for (let place = 0; place < n; place++)
    order[place] = ((keys[place] ?? 0) % room) + ((keys[place] ?? 0) % room < 0 ? room : 0);
  return order;
}

function decodeField({ name, dtype, scale, low }: FieldInfo, bytes: Uint8Array<ArrayBuffer>, n: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "f16" || dtype === "f32") {
    const values = floatsOf(bytes, dtype === "f16" ? "float16" : "float32", scale, n);
    for (let row = 0; row < n; row++) {
      const value = (values[row] ?? 0) + low;
      values[row] = name === "self" ? 10 ** value : value;
    }
    return values;
  }
  const read = {
    u8: (row: number) => view.getUint8(row),
    u16: (row: number) => view.getUint16(2 * row, true),
    i32: (row: number) => view.getInt32(4 * row, true),
  }[dtype];
  return Float32Array.from({ length: n }, (_, row) => {
    const value = low + scale * read(row);
    return name === "self" ? 10 ** value : value;
  });
}

export async function decodeColumns(meta: Partial<ColumnsMeta>, data: unknown): Promise<Columns | null> {
  const { n = 0, fields = [] } = meta;
  const raw = bytesOf(data);
  if (n === 0 || raw.byteLength === 0) return null;
  const bytes = await inflate(raw);
  const decoded = new Map<FieldName, Float32Array>();
  let ids: Int32Array | null = null;
  let offset = 0;
  for (const field of fields) {
    const length = n * BYTES[field.dtype];
    const part = bytes.subarray(offset, offset + length);
    if (part.byteLength < length) throw new Error(`the column ${field.name} is cut off`);
    offset += length;
    // positions may be larger than what a float holds exactly
    if (field.name === "ids") ids = new Int32Array(part.slice().buffer);
    else decoded.set(field.name, decodeField(field, part, n));
  }
  return new Columns(n, ids, decoded);
}
