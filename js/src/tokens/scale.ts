// The magnitude of a full bar: of the answer on show, of all comparable answers, or as the reader fixed it.

import { largestGroup } from "./groups";
import { methodKeyOf, rowOf } from "./result";
import type { TokenStore } from "./store";

export function rangeOf(store: TokenStore): number {
  const mode = store.scaleMode.value;
  const { range } = store.display.value;
  if (mode === "fixed" && range > 0) return range;
  const own = store.units.value.largest;
  const result = store.result.value;
  if (mode !== "all" || !result) return own;
  let largest = own;
  const take = (values: Float32Array) => {
    const { groups } = store.grouping.value;
    largest = Math.max(largest, largestGroup(groups, values, store.agg.value, store.specials.value));
  };
  const methods = store.methods.value;
  const comparable = methodKeyOf(result.meta.key, methods);
  for (const other of store.answers.held.value.values()) {
    if (methodKeyOf(other.meta.key, methods) === comparable) take(other.values);
  }
  const matrix = store.currentMatrix.value;
  if (matrix) for (const row of matrix.have) take(rowOf(matrix, row));
  return largest;
}
