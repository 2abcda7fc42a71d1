// Magnitudes in order: sorted once per map and unit, then every clip percentile is one look-up.

export type Values = Float32Array | Float64Array;

export class Ranking {
  /** |value| in ascending order. */
  readonly magnitudes: Values;
  readonly total: number;
  #strongest: number[] = [];

  constructor(readonly values: Values) {
    this.magnitudes = values.map(Math.abs);
    this.magnitudes.sort();
    let total = 0;
    for (const magnitude of this.magnitudes) total += magnitude;
    this.total = total;
  }

  get count(): number {
    return this.values.length;
  }

  get largest(): number {
    return this.magnitudes[this.count - 1] ?? 0;
  }

  /** The percentile by nearest rank. */
  percentile(percent: number): number {
    const index = Math.ceil((percent / 100) * this.count) - 1;
    return this.magnitudes[Math.min(Math.max(index, 0), this.count - 1)] ?? 0;
  }

  /** The magnitude drawn at full strength; the largest one where the percentile is zero. */
  clipRange(percent: number): number {
    return this.percentile(percent) || this.largest;
  }

  /** How many values a range cuts off. */
  countAbove(range: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.magnitudes[middle] ?? 0) <= range) low = middle + 1;
      else high = middle;
    }
    return this.count - low;
  }

  /** The smallest magnitude among the strongest `percent` of the values. */
  topThreshold(percent: number): number {
    const kept = Math.min(Math.max(Math.ceil((percent / 100) * this.count), 1), this.count);
    return this.magnitudes[this.count - kept] ?? 0;
  }

  /** 1 for the strongest; equal magnitudes share a rank. */
  rank(index: number): number {
    return this.countAbove(Math.abs(this.values[index] ?? 0)) + 1;
  }

  /** Indices of the `count` strongest values, in order. Sorts only those, not the whole map. */
  strongest(count: number): number[] {
    const wanted = Math.min(count, this.count);
    if (this.#strongest.length < wanted) {
      // doubled, so that stepping through the order stays cheap
      const enough = Math.min(Math.max(2 * wanted, 32), this.count);
      const threshold = this.magnitudes[this.count - enough] ?? 0;
      const { values } = this;
      const found: number[] = [];
      values.forEach((value, index) => {
        if (Math.abs(value) >= threshold) found.push(index);
      });
      found.sort((a, b) => Math.abs(values[b] ?? 0) - Math.abs(values[a] ?? 0) || a - b);
      this.#strongest = found.slice(0, enough);
    }
    return this.#strongest.slice(0, wanted);
  }
}
