import { describe, expect, it } from "vitest";
import { cutsOf, groupStretches, groupValue, unitsOf } from "../src/tokens/groups";
import { decodeMatrix, decodeValues, keyOf, keyOfMeta, rowOf } from "../src/tokens/result";
import { covers, membersIn, merged, sumOf, without } from "../src/tokens/selection";
import type { CharRange, StretchTuple, TokenTuple } from "../src/tokens/traits";
import { ASKED, entry, lay, packedFloats, packedHalves, REVIEW } from "./tokens-state";

/** Deterministic noise: a failure must come again. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const LETTERS = ["a", "ß", " ", "\n", "é", "這", "電", "ع", "ש", "👍🏽", "👩‍👩‍👧", ".", "\u202e", "<b>", "\t", "0"];

interface Made {
  text: string;
  tokens: TokenTuple[];
  strip: StretchTuple[];
}

/** A random text in mixed scripts, cut into tokens, gaps, special tokens and pieces of one letter. */
function made(random: () => number): Made {
  const text = Array.from({ length: 5 + 60 * random() }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join("");
  const tokens: TokenTuple[] = [];
  const strip: StretchTuple[] = [];
  let place = 0;
  while (place < text.length) {
    const end = Math.min(place + 1 + Math.floor(4 * random()), text.length);
    const kind = random();
    if (kind < 0.15 && text.slice(place, end).trim() === "") strip.push([place, end]);
    else if (kind < 0.3) {
      strip.push([place, end, tokens.length, tokens.length + 1]);
      for (let piece = 0; piece < 2; piece++) tokens.push([place, end, 0, "⟨F0⟩", "first"]);
    } else {
      strip.push([place, end, tokens.length]);
      tokens.push([place, end, 0, text.slice(place, end), "first"]);
    }
    if (random() < 0.1) {
      strip.push([end, end, tokens.length]);
      tokens.push([end, end, 1, "[SEP]", "first"]);
    }
    place = end;
  }
  return { text, tokens, strip };
}

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

describe("groups", () => {
  it("partition the tokens, and their sums are the tokens' sums, in every script and at every cut", () => {
    const random = noise(11);
    for (let round = 0; round < 300; round++) {
      const { text, tokens, strip } = made(random);
      const values = Float32Array.from(tokens, () => 4 * random() - 2);
      const starts = [0, ...Array.from(text).keys()].filter((place) => place === 0 || random() < 0.3);
      const matches: CharRange[] = starts.slice(1, -1).map((start, at) => [start, starts[at + 2] as number]);
      for (const cuts of [
        cutsOf("token", {}, []),
        cutsOf("word", { word: [...new Set(starts)] }, []),
        cutsOf("sentence", { sentence: [0] }, []),
        cutsOf("regex", {}, matches),
      ]) {
        const { groups, ofToken } = groupStretches(text, tokens, strip, cuts);
        expect(groups.flatMap((group) => group.members).sort((a, b) => a - b)).toEqual([...tokens.keys()]);
        groups.forEach(({ members, index }) => {
          for (const member of members) expect(ofToken[member]).toBe(index);
        });
        const units = unitsOf(groups, values, "sum", true);
        expect(sum(units.all.map((unit) => unit.value))).toBeCloseTo(sum(values), 6);
        expect(units.total).toBeCloseTo(sum(values.map(Math.abs)), 4);
      }
    }
  });

  it("join the pieces of a word and leave gaps, signs and special tokens out", () => {
    const { text, tokens, strip, words } = lay(REVIEW);
    const { groups } = groupStretches(text, tokens, strip, cutsOf("word", { word: words }, []));
    expect(groups.map((group) => text.slice(group.start, group.end)).slice(0, 4)).toEqual([
      "",
      "not",
      "unhelpful",
      "👍",
    ]);
    expect(groups[2]?.members).toEqual([2, 3, 4]);
    expect(groups.filter((group) => group.special).map((group) => group.members)).toEqual([[0], [7]]);
  });

  it("never join the prompt and what follows it", () => {
    const tokens: TokenTuple[] = [
      [0, 3, 0, "Par", "prompt"],
      [3, 5, 0, "is", "output"],
    ];
    const strip: StretchTuple[] = [
      [0, 3, 0],
      [3, 5, 1],
    ];
    expect(groupStretches("Paris", tokens, strip, cutsOf("word", { word: [0] }, [])).groups).toHaveLength(2);
  });

  it("a match holds the tokens that begin in it; all others stay by themselves", () => {
    const { text, tokens, strip } = lay([
      ["ab", 1],
      ["cd", 1],
      ["ef", 1],
      ["gh", 1],
    ]);
    const { groups } = groupStretches(text, tokens, strip, cutsOf("regex", {}, [[2, 6]]));
    expect(groups.map((group) => group.members)).toEqual([[0], [1, 2], [3]]);
  });

  it("the strongest of a group keeps its sign, and what cannot be attributed counts nowhere", () => {
    const values = Float32Array.from([1, -3, Number.NaN]);
    expect(groupValue(values, [0, 1, 2], "max")).toBe(-3);
    expect(groupValue(values, [0, 1, 2], "sum")).toBe(-2);
    expect(groupValue(values, [2], "sum")).toBeNaN();
    expect(groupValue(null, [0], "sum")).toBeNaN();
  });

  it("ranks are by size, equal ones share; hidden special tokens have none", () => {
    const { text, tokens, strip, values } = lay(REVIEW);
    const { groups } = groupStretches(text, tokens, strip);
    const hidden = unitsOf(groups, Float32Array.from(values), "sum", false);
    expect(hidden.all.map((unit) => unit.rank)).toEqual([0, 1, 3, 1, 4, 5, 5, 0]);
    expect(hidden.ranked).toBe(6);
    expect(hidden.total).toBe(6);
    expect(hidden.all[1]?.share).toBeCloseTo(2 / 6);
    const shown = unitsOf(groups, Float32Array.from(values), "sum", true);
    expect(shown.total).toBe(6.5);
    expect(shown.ranked).toBe(8);
  });
});

describe("selections", () => {
  it("are merged, cut and summed by their places", () => {
    const { text, tokens, values } = lay(REVIEW);
    expect(
      merged([
        [4, 6],
        [0, 3],
        [5, 9],
        [3, 4],
      ]),
    ).toEqual([[0, 9]]);
    expect(without([[0, 9]], [3, 5])).toEqual([
      [0, 3],
      [5, 9],
    ]);
    expect(covers([[2, 4]], 4, 6)).toBe(false);
    expect(membersIn(tokens, [[0, 5]])).toEqual([1, 2]);
    const phrase = sumOf(Float32Array.from(values), tokens, text, [[0, 13]], 6);
    expect(phrase).toMatchObject({ sum: 1.5, positive: 3.5, negative: -2, tokens: 4, text: "not unhelpful" });
    expect(phrase.share).toBeCloseTo(0.25);
  });

  it("equal the sum of the groups they are made of", () => {
    const random = noise(3);
    for (let round = 0; round < 100; round++) {
      const { text, tokens, strip } = made(random);
      const values = Float32Array.from(tokens, () => 2 * random() - 1);
      const { all, total } = unitsOf(groupStretches(text, tokens, strip).groups, values, "sum", true);
      const chosen = all.filter((unit) => unit.end > unit.start && random() < 0.4);
      const ranges = merged(chosen.map((unit): CharRange => [unit.start, unit.end]));
      expect(sumOf(values, tokens, text, ranges, total).sum).toBeCloseTo(sum(chosen.map((unit) => unit.value)), 6);
    }
  });
});

describe("decoding", () => {
  it("reads values and rows, nothing where nothing is known", async () => {
    const values = await decodeValues(packedFloats([0.5, Number.NaN, -2]), { length: 3 });
    expect([...values]).toEqual([0.5, Number.NaN, -2]);
    const cells = packedHalves([1, -0.5, Number.NaN, Number.NaN]);
    const matrix = await decodeMatrix(cells, { rows: 2, columns: 2, scale: 4, have: [0], key: "{}" });
    expect([...(matrix ? rowOf(matrix, 0) : [])]).toEqual([4, -2]);
    expect([...(matrix ? rowOf(matrix, 1) : [])].every(Number.isNaN)).toBe(true);
    expect(await decodeMatrix(null, {})).toBeNull();
    expect(await decodeValues(null, { length: 0 })).toHaveLength(0);
  });

  it("refuses a buffer that is too short", async () => {
    await expect(decodeValues(packedFloats([1]), { length: 2 })).rejects.toThrow("do not fit");
  });

  it("finds a question by what it asks, however it was written", () => {
    const methods = [{ name: "ig", parameters: [{ name: "steps", default: 16 }] }] as never;
    const asked = keyOf({ ...ASKED, target: 1, parameters: {} }, methods);
    expect(asked).toBe(keyOf({ ...ASKED, target: 1, parameters: { steps: 16.0 } }, methods));
    expect(asked).not.toBe(keyOf({ ...ASKED, target: 1, parameters: { steps: 32 } }, methods));
    const { values_meta: meta } = entry([1], { target: null }, { target: 1 });
    expect(keyOfMeta(meta, methods)).toBe(asked);
  });
});
