import { describe, expect, it } from "vitest";
import { clipRange } from "../src/lib/percentile";
import { Ranking } from "../src/lib/ranking";
import { formatTicks, niceTicks } from "../src/lib/ticks";
import { decodeBlindSpot } from "../src/path/baseline-pictures";
import { blend, blendSample, hatch } from "../src/path/picture";
import {
  curveAt,
  decodeRun,
  type Frames,
  frameAt,
  gainedBetween,
  meanBetween,
  rateAt,
  shareBetween,
  sharedGainRange,
  sharedRateRange,
} from "../src/path/run";
import { packed, runTraits } from "./path-state";

const FRAMES: Frames = {
  count: 3,
  edges: [0, 0.1, 0.5, 1],
  width: 2,
  height: 1,
  pool: 1,
  prefix: Float32Array.from([0, 0, 1, -1, 3, -1, 3, 4]),
};
const of = (map: typeof gainedBetween, start: number, end: number) => [...map(FRAMES, start, end, new Float32Array(2))];
const close = (found: number[], wanted: number[]) =>
  wanted.forEach((value, i) => {
    expect(found[i]).toBeCloseTo(value, 5);
  });

describe("decoding", () => {
  it("frames become prefix sums that end in the total", async () => {
    const run = await decodeRun("path/black", runTraits());
    expect(run).toMatchObject({ key: "path/black", mode: "path", baselineId: "black" });
    const { frames, total } = run;
    expect(frames).toMatchObject({ count: 2, edges: [0, 0.2, 1], width: 4, height: 4 });
    expect(frames?.prefix.slice(0, 3)).toEqual(new Float32Array(3));
    close([...(frames?.prefix.slice(32) ?? [])], [...(total?.values ?? [])]);
    expect(total?.values[0]).toBeCloseTo(8.4);
  });

  it("frames that hold differences are added up, wrapping around", async () => {
    const traits = runTraits();
    const info = {
      ...traits.inc_meta,
      K: 3,
      edges: [0, 0.2, 0.5, 1],
      scales: [1, 2, 1],
      shape: [1, 2],
      differences: true,
    };
    const inc_meta = info as typeof traits.inc_meta;
    // 100, −100, 7 and −127, 127, 7
    const increments = packed(Int8Array.from([100, -127, 56, -2, 107, -120]));
    const run = await decodeRun("path/black", { ...traits, inc_meta, increments });
    expect([...(run.frames?.prefix ?? [])]).toEqual([0, 0, 100, -127, -100, 127, -93, 134]);
  });

  it("pooled sums are per pixel, and so is a coarse total", async () => {
    const traits = runTraits();
    const run = await decodeRun(
      "path/black",
      {
        ...traits,
        inc_meta: { ...traits.inc_meta, pool: 2 },
        total_map: packed(Uint16Array.from([0x3c00, 0xc000, 0, 0x3800])),
        total_meta: { shape: [2, 2], scale: 16, dtype: "float16" },
      },
      [8, 8],
    );
    expect(run.frames?.prefix[16]).toBeCloseTo(8 / 4);
    // an input of 8 × 8 in 2 × 2 values: 16 pixels each
    expect([...(run.total?.values ?? [])]).toEqual([1, -2, 0, 0.5]);
  });

  it("values at the edge of an uneven picture are sums over fewer pixels", async () => {
    const traits = runTraits();
    const run = await decodeRun("path/black", { ...traits, inc_meta: { ...traits.inc_meta, pool: 2 } }, [7, 8]);
    const first = run.frames?.prefix.slice(16, 32) ?? [];
    close([first[0] ?? 0, first[11] ?? 0, first[15] ?? 0], [8 / 4, -1 / 2, -3 / 2]);
  });

  it("says what does not fit, and holds what has no maps", async () => {
    const traits = runTraits();
    const large = { ...traits.inc_meta, shape: [40, 40] as [number, number] };
    await expect(decodeRun("path/black", { ...traits, inc_meta: large })).rejects.toThrow("3200 bytes expected");
    const bare = await decodeRun("path/with/slash", { ...traits, increments: null, total_map: null });
    expect(bare).toMatchObject({ baselineId: "with/slash", frames: null, total: null });
  });

  it("a blind spot is bits, row by row without padding", async () => {
    const spot = await decodeBlindSpot(packed(Uint8Array.from([0b10100001, 0b10000000])), [3, 3]);
    expect([...(spot?.covered ?? [])]).toEqual([1, 0, 1, 0, 0, 0, 0, 1, 1]);
    expect(await decodeBlindSpot(null, [3, 3])).toBeNull();
  });
});

describe("maps along the path", () => {
  it("the frame at a place is the one that ends there", () => {
    expect([0, 0.05, 0.1, 0.11, 0.5, 1].map((place) => frameAt(FRAMES, place))).toEqual([0, 0, 0, 1, 1, 2]);
  });

  it("the rate is the frame over its width", () => {
    close([...rateAt(FRAMES, 0.1, new Float32Array(2))], [10, -10]);
    close([...rateAt(FRAMES, 0.3, new Float32Array(2))], [5, 0]);
    close([...rateAt(FRAMES, 1, new Float32Array(2))], [0, 10]);
  });

  it("what is gained grows evenly inside a frame and adds up over windows", () => {
    close(of(gainedBetween, 0, 0.1), [1, -1]);
    close(of(gainedBetween, 0, 0.3), [2, -1]);
    close(of(gainedBetween, 0, 1), [3, 4]);
    close(of(gainedBetween, 0.05, 0.75), [2.5, 2]);
    const parts = [of(gainedBetween, 0, 0.37), of(gainedBetween, 0.37, 0.8), of(gainedBetween, 0.8, 1)];
    close(
      [0, 1].map((i) => parts.reduce((sum, part) => sum + (part[i] ?? 0), 0)),
      [3, 4],
    );
  });

  it("the mean divides by the length, down to the rate at a point", () => {
    close(of(meanBetween, 0, 0.5), [6, -2]);
    close(of(meanBetween, 0.1, 0.5), [5, 0]);
    close(of(meanBetween, 0, 0), [10, -10]);
    close(of(meanBetween, 0.3, 0.3), [5, 0]);
  });

  it("one range covers all places: the largest of their percentiles", () => {
    expect(sharedRateRange(FRAMES, 100)).toBeCloseTo(10);
    expect(sharedGainRange(FRAMES, null, 100, false)).toBeCloseTo(4);
    expect(sharedGainRange(FRAMES, { width: 1, height: 1, values: Float32Array.of(7) }, 100, false)).toBeCloseTo(7);
    expect(sharedGainRange(FRAMES, null, 100, true)).toBeCloseTo(10);
  });

  it("curves are straight between their nodes and flat beyond them", () => {
    const at = (place: number) => curveAt([0, 0.5, 1], [0, 4, 2], place);
    expect([-1, 0, 0.25, 0.5, 0.75, 1, 2].map(at)).toEqual([0, 0, 2, 4, 3, 2, 2]);
    expect(curveAt([], [], 0.5)).toBe(0);
  });

  it("a window's share is what the sum gains in it", async () => {
    const run = await decodeRun("path/black", runTraits());
    expect(shareBetween(run, 0, 1)).toBeCloseTo(1);
    expect(shareBetween(run, 0.2, 1)).toBeCloseTo(1 - (run.C[2] ?? 0) / (run.C[4] ?? 1));
    expect(shareBetween({ ...run, C: [0, 0] }, 0, 1)).toBeNull();
  });
});

describe("ranges without sorting", () => {
  it.each([50, 90, 99.5, 100])("percentile %s is the one of the sorted values", (percent) => {
    // made to be uneven: many small values, few large ones
    const values = Float32Array.from({ length: 3000 }, (_, i) => Math.sin(i) ** 9 * (i % 97 === 0 ? 5 : 0.3));
    expect(clipRange(values, percent)).toBe(new Ranking(values).clipRange(percent));
  });

  it("falls back to the largest where the percentile is zero", () => {
    const values = new Float32Array(9000);
    expect(clipRange(values, 99)).toBe(0);
    values[5] = -3;
    expect(clipRange(values, 99)).toBe(3);
    const tiny = values.map((value, i) => value || 1e-5 * Math.sin(i));
    expect(clipRange(tiny, 99)).toBe(new Ranking(tiny).clipRange(99));
  });
});

describe("pixels", () => {
  const photo = (bytes: number[], width: number) => ({
    width,
    height: 1,
    pixels: { data: Uint8ClampedArray.from(bytes) } as ImageData,
    bytes: new Uint8Array(0),
    mime: "",
  });

  it("a blend lies between its pictures", () => {
    const { rgba } = blend(photo([0, 100, 200, 255], 1), photo([200, 100, 0, 255], 1), 0.25);
    expect([...rgba]).toEqual([50, 100, 150, 255]);
  });

  it("a sample is cut out of the sprite and enlarged to the input", () => {
    const sprite = photo([1, 1, 1, 255, 9, 9, 9, 255], 2);
    const input = photo([109, 109, 109, 255, 209, 209, 209, 255], 2);
    const { rgba } = blendSample({ sprite, index: 1, count: 2, alpha: 0.1 }, input);
    expect([...rgba]).toEqual([19, 19, 19, 255, 29, 29, 29, 255]);
  });

  it("the hatch covers the blind spot and nothing else", () => {
    const { width, height, rgba } = hatch({ width: 2, height: 1, covered: Uint8Array.of(0, 1) });
    expect(width).toBe(448);
    const drawn = (x: number) =>
      Array.from({ length: height }, (_, y) => rgba[4 * (y * width + x) + 3] ?? 0).filter((alpha) => alpha > 0);
    expect(drawn(100)).toHaveLength(0);
    expect(drawn(300).length).toBeCloseTo(height / 2, -1);
  });
});

describe("axes", () => {
  it("ticks are round and inside", () => {
    expect(niceTicks(-0.4, 15.1, 4)).toEqual([0, 5, 10, 15]);
    expect(niceTicks(1, 1, 4)).toEqual([]);
    expect(formatTicks(niceTicks(-0.25, 0.2, 4))).toEqual(["−0.2", "0.0", "0.2"]);
    expect(formatTicks([0, 5, 10])).toEqual(["0", "5", "10"]);
  });
});
