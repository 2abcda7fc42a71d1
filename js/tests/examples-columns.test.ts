import { describe, expect, it } from "vitest";
import { decodeColumns, orderOf } from "../src/gallery/columns";
import { columnsIn, placeAfter, rowsIn, scrolledTo } from "../src/gallery/grid";
import { columnTraits, packed } from "./examples-state";

const decoded = (traits: Record<string, unknown>) => decodeColumns(traits.columns_meta as object, traits.columns);

describe("columns", () => {
  it("hold low + scale · stored, and 10 to the power of what self says", async () => {
    const columns = await decoded(columnTraits(50));
    expect(columns?.n).toBe(50);
    expect(columns?.value("self", 25)).toBeCloseTo(Math.sqrt(10));
    expect(columns?.value("conf", 7)).toBeCloseTo(0.07);
    expect(columns?.value("y", 7)).toBe(1);
    expect(columns?.value("aum", 7)).toBeNull();
    expect(columns?.idOf(7)).toBe(7);
    expect(columns?.rowOf(50)).toBe(-1);
  });

  it("may be about some positions only, far beyond what a float holds exactly", async () => {
    const ids = [20_000_001, 5, 70_000_003];
    const data = new Uint8Array(12 + 3 + 6);
    data.set(new Uint8Array(Int32Array.from(ids).buffer));
    data.set([1, 2, 3], 12);
    data.set([0x00, 0x3c, 0x00, 0xbc, 0x00, 0x7e], 15); // 1, −1, not a number
    const columns = await decodeColumns(
      {
        n: 3,
        fields: [
          { name: "ids", dtype: "i32", scale: 1, low: 0 },
          { name: "y", dtype: "u8", scale: 2, low: -1 },
          { name: "aum", dtype: "f16", scale: 1, low: 0 },
        ],
      },
      packed(data),
    );
    expect([0, 1, 2].map((row) => columns?.idOf(row))).toEqual(ids);
    expect(columns?.rowOf(70_000_003)).toBe(2);
    expect(columns?.rowOf(6)).toBe(-1);
    expect([0, 1, 2].map((row) => columns?.value("y", row))).toEqual([1, 3, 5]);
    expect([0, 1, 2].map((row) => columns?.value("aum", row))).toEqual([1, -1, null]);
    expect([...(columns?.order("aum") ?? [])]).toEqual([1, 0, 2]);
  });

  it("must be complete", async () => {
    const meta = { n: 3, fields: [{ name: "aum", dtype: "f32", scale: 1, low: 0 } as const] };
    await expect(decodeColumns(meta, packed(new Uint8Array(8)))).rejects.toThrow("aum is cut off");
    expect(await decodeColumns({}, null)).toBeNull();
  });
});

describe("the order of rows", () => {
  it("is what sorting by value gives, ties as in the data set, missing values last", () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const values = Float32Array.from({ length: 3000 }, (_, row) => {
      if (row % 97 === 0) return Number.NaN;
      if (row % 89 === 0) return row % 2 ? 0 : -0;
      return (random() - 0.5) * 10 ** Math.floor(8 * random() - 4);
    });
    for (let row = 0; row < 600; row++) values[row * 5] = values[row] ?? 0;
    for (const direction of [1, -1] as const) {
      const rows = Array.from(values, (_, row) => row);
      const known = rows.filter((row) => !Number.isNaN(values[row]));
      known.sort((a, b) => direction * ((values[a] ?? 0) - (values[b] ?? 0)) || a - b);
      const missing = rows.filter((row) => Number.isNaN(values[row]));
      expect([...orderOf(values, direction)]).toEqual([...known, ...missing]);
    }
  });

  it("takes infinities and single values", () => {
    const values = Float32Array.from([1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([...orderOf(values, -1)]).toEqual([1, 0, 2]);
    expect([...orderOf(Float32Array.from([5]), 1)]).toEqual([0]);
    expect([...orderOf(new Float32Array(0), 1)]).toEqual([]);
  });
});

describe("a grid of cards", () => {
  const from = (key: string, place: number, count = 11) => placeAfter({ key, place, count, columns: 4, rows: 3 });

  it("is walked by arrows: sideways into the next line, up and down within", () => {
    expect(from("ArrowRight", 3)).toBe(4);
    expect(from("ArrowLeft", 0)).toBe(0);
    expect(from("ArrowDown", 1)).toBe(5);
    expect(from("ArrowUp", 2)).toBe(2);
    expect(from("ArrowUp", 9)).toBe(5);
    expect(from("ArrowDown", 7)).toBe(10);
    expect(from("ArrowDown", 9)).toBe(9);
    expect(from("Home", 9)).toBe(0);
    expect(from("Shift+End", 0)).toBe(10);
    expect(from("PageDown", 1)).toBe(9);
    expect(from("PageUp", 9)).toBe(1);
    expect(from("x", 9)).toBeNull();
  });

  it("has as many columns as fit, or fewer where that evens the rows", () => {
    const card = { width: 100, widest: 150 };
    expect(columnsIn(860, card, 8, 100)).toBe(8);
    expect(columnsIn(860, card, 8, 12)).toBe(6);
    expect(columnsIn(860, card, 8, 2)).toBe(6);
    expect(columnsIn(40, card, 8, 12)).toBe(1);
    expect(columnsIn(860, card, 8, 0)).toBe(6);
  });

  it("draws what is on screen and a little more", () => {
    expect(rowsIn(1000, 500, 100, 1000, 2)).toEqual({ first: 8, end: 17 });
    expect(rowsIn(0, 500, 100, 3, 2)).toEqual({ first: 0, end: 3 });
    expect(rowsIn(90_000, 500, 100, 3, 2)).toEqual({ first: 2, end: 3 });
    expect(rowsIn(0, 500, 100, 0, 2)).toEqual({ first: 0, end: 0 });
  });

  it("scrolls no further than it must", () => {
    expect(scrolledTo(3, 100, 200, 500)).toBe(200);
    expect(scrolledTo(1, 100, 200, 500)).toBe(100);
    expect(scrolledTo(9, 100, 200, 500)).toBe(500);
  });
});
