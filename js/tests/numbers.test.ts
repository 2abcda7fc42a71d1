import { describe, expect, it } from "vitest";
import {
  formatNumber,
  formatPercent,
  formatScore,
  formatScoreChange,
  formatSeconds,
  formatSigned,
} from "../src/lib/format";
import { histogramOf, percentileOf } from "../src/lib/histogram";
import { Ranking } from "../src/lib/ranking";
import {
  blockSize,
  blockUnits,
  pixelUnits,
  sumRegion,
  superpixelUnits,
  unitBox,
  unitOutline,
  unitPoint,
} from "../src/lib/units";

const ramp = Float32Array.from({ length: 100 }, (_, i) => (i % 2 ? -1 : 1) * (i + 1));

describe("ranking", () => {
  const ranking = new Ranking(ramp);

  it("takes percentiles by nearest rank", () => {
    expect(ranking.percentile(99.5)).toBe(100);
    expect(ranking.percentile(90)).toBe(90);
    expect(ranking.percentile(0)).toBe(1);
  });

  it("falls back to the largest value where the percentile is zero", () => {
    expect(new Ranking(Float32Array.from([0, 0, 0, 0, 3])).clipRange(50)).toBe(3);
    expect(new Ranking(new Float32Array(3)).clipRange(99)).toBe(0);
  });

  it("ranks and lists the strongest without sorting everything", () => {
    expect(ranking.strongest(3)).toEqual([99, 98, 97]);
    expect(ranking.strongest(100)).toHaveLength(100);
    expect(ranking.rank(99)).toBe(1);
    expect(ranking.rank(0)).toBe(100);
    expect(ranking.countAbove(90)).toBe(10);
  });

  it("finds the percentile of a dragged clip", () => {
    expect(percentileOf(ranking, 95)).toBe(95);
    expect(percentileOf(ranking, 5)).toBe(90);
  });
});

describe("units", () => {
  it("sums blocks, with smaller ones at the edge", () => {
    const units = blockUnits(
      Float32Array.from({ length: 15 }, () => 1),
      5,
      3,
      2,
    );
    expect([units.rows, units.columns]).toEqual([2, 3]);
    expect([...units.values]).toEqual([4, 4, 2, 2, 2, 1]);
    expect(unitBox(units, 5)).toEqual({ x0: 4, y0: 2, x1: 5, y1: 3 });
  });

  it("chooses about fourteen blocks on a side", () => {
    expect(blockSize(0, 224, 224)).toBe(16);
    expect(blockSize(0, 7, 7)).toBe(1);
    expect(blockSize(8, 224, 224)).toBe(8);
  });

  it("sums superpixels whatever their numbers", () => {
    const units = superpixelUnits(Float32Array.from([1, 2, 3, 4]), 2, 2, Uint16Array.from([7, 7, 40, 7]));
    expect([...units.values]).toEqual([7, 3]);
    expect(unitPoint(units, 1)).toEqual({ x: 0, y: 1 });
    expect(unitOutline(units, 1)).toContain("M0 1h1");
  });

  it("sums a region and its two sides", () => {
    const units = pixelUnits(Float32Array.from([1, -2, 3, 4]), 2, 2);
    expect(sumRegion(units.values, 2, { x0: 0, y0: 0, x1: 2, y1: 1 })).toEqual({
      sum: -1,
      positive: 1,
      negative: -2,
      share: -0.1,
    });
  });
});

describe("histogram", () => {
  it("is centred on zero for signed maps and counts every value", () => {
    const histogram = histogramOf(new Ranking(ramp), true, 11);
    expect(histogram.low).toBe(-histogram.extent);
    expect(histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(100);
  });
});

describe("numbers in words", () => {
  it("uses a true minus and three digits", () => {
    expect(formatNumber(-0.02134)).toBe("−0.0213");
    expect(formatNumber(1234.5)).toBe("1235");
    expect(formatNumber(3e-9)).toBe("3.0e−9");
    expect(formatSigned(0.5)).toBe("+0.500");
    expect(formatNumber(Number.NaN)).toBe("not a number");
  });

  it("keeps small shares visible", () => {
    expect(formatPercent(0.042)).toBe("4.2 %");
    expect(formatPercent(0.00023)).toBe("0.02 %");
    expect(formatPercent(1e-9)).toBe("≈ 0 %");
    expect(formatPercent(1)).toBe("100 %");
  });

  it("prints scores and times briefly", () => {
    expect(formatScore(0.967)).toBe(".97");
    expect(formatScore(0.9999)).toBe("1.0");
    expect(formatScore(1e-7)).toBe("<.001");
    expect(formatScore(0)).toBe(".00");
    expect(formatScoreChange(-0.4201)).toBe("−.42");
    expect(formatSeconds(0.06)).toBe("60 ms");
    expect(formatSeconds(75)).toBe("1 min 15 s");
  });
});
