import { describe, expect, it } from "vitest";
import { type Candidates, decodeCandidates, partsOf, scoresOf, type Weighing } from "../src/gallery/candidates";
import { arrange, coverageOf, filterSides, pageOf, passes, rankCandidates } from "../src/gallery/ranking";
import { type Filters, type Item, NO_FILTERS, type ScoreMode } from "../src/gallery/traits";
import { itemOf, NAMES, QUERY_NORMS, RATES, rankedTraits, TOLD } from "./examples-state";
import { packedFloats } from "./tokens-state";

async function candidates(): Promise<Candidates> {
  const { items, scores, norms } = rankedTraits();
  return decodeCandidates(items as Item[], scores, norms);
}

function weighing(mode: ScoreMode, mask = [true, true]): Weighing {
  const ckpts = RATES.map((learning_rate) => ({ name: "", learning_rate, loss: null }));
  return { mode, mask, ckpts, queryNorms: QUERY_NORMS };
}

const ids = (ranked: readonly { id: number }[]) => ranked.map(({ id }) => id);

describe("scores", () => {
  it("sum over the checkpoints that are on", async () => {
    const all = await candidates();
    expect([...scoresOf(all, weighing("dot"))]).toEqual([3, 2.5, 0.75, 2, -4, -0.75, -1]);
    expect([...scoresOf(all, weighing("dot", [true, false]))]).toEqual([2, 1, 0.5, -1, -3, -0.5, 0]);
  });

  it("divide by both gradients and the rate, and average, for the cosine", async () => {
    const all = await candidates();
    const [first] = scoresOf(all, weighing("cosine"));
    expect(first).toBeCloseTo((2 / (0.1 * Math.sqrt(16 * 4)) + 1 / (0.05 * Math.sqrt(1 * 9))) / 2);
    const [alone] = scoresOf(all, weighing("cosine", [false, true]));
    expect(alone).toBeCloseTo(1 / (0.05 * 3));
  });

  it("divide by the example's gradient alone, relatively", async () => {
    const all = await candidates();
    const scores = scoresOf(all, weighing("relative"));
    expect(scores[0]).toBeCloseTo(2 / 4 + 1 / 1);
    expect(scores[3]).toBeCloseTo(-1 / 1 + 3 / 5);
  });

  it("are nothing where a gradient is nothing", async () => {
    const all = await candidates();
    const place = TOLD.findIndex(([id]) => id === 41);
    expect(scoresOf(all, weighing("cosine"))[place]).toBeCloseTo(-1 / (0.05 * 3) / 2);
    expect(scoresOf(all, weighing("relative", [true, false]))[place]).toBe(0);
  });

  it("are the sum of their parts in every mode", async () => {
    const all = await candidates();
    for (const mode of ["dot", "cosine", "relative"] as const) {
      for (const mask of [
        [true, true],
        [false, true],
      ]) {
        const scores = scoresOf(all, weighing(mode, mask));
        TOLD.forEach((_, row) => {
          const parts = partsOf(all, row, weighing(mode, mask));
          const sum = parts.reduce((whole, part, column) => whole + (mask[column] ? part : 0), 0);
          expect(scores[row]).toBeCloseTo(sum);
        });
      }
    }
  });

  it("keep a single column whatever the checkpoints are", async () => {
    const all = await decodeCandidates(TOLD.slice(0, 2).map(itemOf), packedFloats([1.5, -2]), null);
    expect([...scoresOf(all, weighing("dot", [true, false]))]).toEqual([1.5, -2]);
  });

  it("must belong to the examples", async () => {
    await expect(decodeCandidates(TOLD.slice(0, 2).map(itemOf), packedFloats([1, 2, 3]), null)).rejects.toThrow(
      "3 scores do not belong to 2 examples",
    );
  });
});

describe("the two sides", () => {
  it("are in order, strongest first, and leave out the query and what is zero", async () => {
    const all = await candidates();
    const sides = rankCandidates(all, scoresOf(all, weighing("dot")), null);
    expect(ids(sides.proponents)).toEqual([3, 7, 20, 12]);
    expect(ids(sides.opponents)).toEqual([31, 41, 40]);
    expect(sides.opponents.map(({ rank }) => rank)).toEqual([1, 2, 3]);
    expect(ids(rankCandidates(all, scoresOf(all, weighing("dot")), 7).proponents)).toEqual([3, 20, 12]);
    expect(ids(rankCandidates(all, scoresOf(all, weighing("dot", [true, false])), null).opponents)).not.toContain(41);
  });

  it("follow mode and checkpoints", async () => {
    const all = await candidates();
    const by = (mode: ScoreMode, mask?: boolean[]) =>
      ids(rankCandidates(all, scoresOf(all, weighing(mode, mask)), null).proponents);
    expect(by("dot", [false, true])).toEqual([20, 7, 3, 12]);
    expect(by("relative")).toEqual([7, 3, 12]);
  });

  it("are in the order of the data set where scores are equal", async () => {
    const told = [9, 4, 6].map((id) => [id, 0, 0, [1, 0], [1, 1]] as const);
    const all = await decodeCandidates(
      told.map(([id]) => ({ id, y: 0, yhat: 0, conf: 1, self: 1, hub: null, dup: null })),
      packedFloats(told.flatMap(([, , , scores]) => scores)),
      null,
    );
    expect(ids(rankCandidates(all, scoresOf(all, weighing("dot")), null).proponents)).toEqual([4, 6, 9]);
  });
});

describe("filters", () => {
  const find = (patch: Partial<Filters>) =>
    TOLD.map(itemOf)
      .filter((item) => passes(item, { ...NO_FILTERS, ...patch }, (y) => NAMES[y] ?? ""))
      .map(({ id }) => id);

  it("are by label, prediction, and where these differ", () => {
    expect(find({})).toHaveLength(TOLD.length);
    expect(find({ given: 0 })).toEqual([3, 7]);
    expect(find({ predicted: 2 })).toEqual([7, 20, 41]);
    expect(find({ wrong: true })).toEqual([7, 31, 41]);
    expect(find({ wrong: true, given: 2 })).toEqual([31]);
  });

  it("search positions and names of classes", () => {
    expect(find({ text: "#12" })).toEqual([12]);
    expect(find({ text: " DOG " })).toEqual([7, 20, 31, 41]);
    expect(find({ text: "onerror" })).toEqual([12, 40, 41]);
    expect(find({ text: "nothing like it" })).toEqual([]);
  });

  it("keep the ranks of what they let through", async () => {
    const all = await candidates();
    const sides = rankCandidates(all, scoresOf(all, weighing("dot")), null);
    const kept = filterSides(sides, ({ score }) => Math.abs(score) >= 2 && score < 2.6);
    expect(kept.proponents.map(({ id, rank }) => [id, rank])).toEqual([
      [7, 2],
      [20, 3],
    ]);
  });
});

describe("pages", () => {
  const ranked = Array.from({ length: 7 }, (_, place) => ({
    id: 10 + place,
    row: place,
    score: -place,
    rank: place + 1,
  }));
  const places = (page: readonly { id: number }[]) => page.map(({ id }) => id - 10);

  it("are k long, the last as long as it is, and there is no other", () => {
    expect(places(pageOf(ranked, 0, 3))).toEqual([0, 1, 2]);
    expect(places(pageOf(ranked, 2, 3))).toEqual([6]);
    expect(places(pageOf(ranked, 9, 3))).toEqual([6]);
    expect(pageOf([], 0, 3)).toEqual([]);
  });

  it("hold a card in its place and let the others flow around it", () => {
    const page = pageOf(ranked, 0, 4);
    expect(places(arrange(page, ranked, { id: 13, place: 0 }))).toEqual([3, 0, 1, 2]);
    expect(places(arrange(page, ranked, { id: 10, place: 2 }))).toEqual([1, 2, 0, 3]);
    expect(places(arrange(page, ranked, null))).toEqual([0, 1, 2, 3]);
  });

  it("hold a card that has fallen off the page, in the room of the last", () => {
    const page = pageOf(ranked, 0, 4);
    expect(places(arrange(page, ranked, { id: 16, place: 1 }))).toEqual([0, 6, 1, 2]);
    expect(places(arrange(page, ranked, { id: 99, place: 1 }))).toEqual([0, 1, 2, 3]);
    expect(places(arrange(pageOf(ranked.slice(0, 2), 0, 4), ranked, { id: 11, place: 3 }))).toEqual([0, 1]);
  });
});

it("says how much of the positive influence is on show", () => {
  const shown = [3, 2, -1].map((score, place) => ({ id: place, row: place, score, rank: 1 }));
  expect(coverageOf(shown, 20)).toEqual({ count: 3, sum: 5, total: 20, share: 0.25 });
  expect(coverageOf(shown, 0)).toBeNull();
});
