import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { lutFor } from "../src/lib/palettes";
import { Ranking } from "../src/lib/ranking";
import { renderMap, renderMask } from "../src/lib/render";
import type { Rgb } from "../src/lib/theme";
import { DEFAULT_DISPLAY, type Display, type MapInfo } from "../src/lib/traits";
import { bytesOf, type DecodedMap, decodeMaps, decodeSegments } from "../src/lib/transport";

const info: MapInfo = {
  key: "sum",
  label: "sum",
  reduction: "sum",
  shape: [2, 2],
  dtype: "int8",
  scale: 0.5,
  signed: true,
  offset: 0,
  enc: "zlib",
  unit: "logit",
};

/** A view into the middle of a larger buffer, as some hosts hand it out. */
function sliced(bytes: Uint8Array): DataView {
  const larger = new Uint8Array(bytes.length + 10);
  larger.set(bytes, 3);
  return new DataView(larger.buffer, 3, bytes.length);
}

describe("maps", () => {
  it("inflates several dtypes from one buffer, at odd places", async () => {
    const buffer = new ArrayBuffer(4 + 8 + 16);
    const view = new DataView(buffer);
    [127, -127, 1, 0].forEach((value, i) => void view.setInt8(i, value));
    [0x3c00, 0xc000, 0x0001, 0x7bff].forEach((half, i) => void view.setUint16(4 + 2 * i, half, true));
    [1.5, -2.25, 0, 1e-20].forEach((value, i) => void view.setFloat32(12 + 4 * i, value, true));
    const infos: MapInfo[] = [
      info,
      { ...info, key: "half", dtype: "float16", scale: 1, offset: 4 },
      { ...info, key: "single", dtype: "float32", scale: 1, offset: 12 },
    ];
    const decoded = await decodeMaps(infos, sliced(deflateSync(new Uint8Array(buffer))));
    expect([...(decoded[0]?.values ?? [])]).toEqual([63.5, -63.5, 0.5, 0]);
    expect([...(decoded[1]?.values ?? [])]).toEqual([1, -2, 2 ** -24, 65504]);
    expect([...(decoded[2]?.values ?? [])]).toEqual([1.5, -2.25, 0, Math.fround(1e-20)]);
  });

  it("draws a map sent as int8 from its bytes as from its values", async () => {
    const stored = Int8Array.from({ length: 16 * 16 }, (_, i) => i - 128);
    const scale = 0.1 / 3;
    const one: MapInfo = { ...info, shape: [16, 16], scale };
    const [map] = await decodeMaps([one], sliced(deflateSync(new Uint8Array(stored.buffer))));
    const { values, codes } = map as DecodedMap & { codes: NonNullable<DecodedMap["codes"]> };
    expect([...codes.bytes].map((byte) => codes.levels[byte])).toEqual([...values]);
    const lut = lutFor("default", "diverging", "light", null);
    for (const change of [{}, { view: "mask" }, { sign: "positive", gamma: 0.5 }] as Partial<Display>[]) {
      const display: Display = { ...DEFAULT_DISPLAY, ...change };
      const ranking = new Ranking(values);
      const whole = renderMap(values, 16, 16, display, lut, true, { ranking });
      const coded = renderMap(codes.levels, 16, 16, display, lut, true, { ranking, labels: codes.bytes });
      expect(coded).toEqual(whole);
      const page: Rgb = [9, 8, 7];
      const mask = renderMask(values, 16, 16, display, page, { ranking });
      expect(renderMask(codes.levels, 16, 16, display, page, { ranking, labels: codes.bytes })).toEqual(mask);
    }
  });

  it("says which map does not fit", async () => {
    await expect(
      decodeMaps([{ ...info, enc: "raw", shape: [9, 9] }], new DataView(new ArrayBuffer(4))),
    ).rejects.toThrow("map sum: 9×9 int8");
  });

  it("takes no bytes for no map", async () => {
    expect(await decodeMaps([info], null)).toEqual([]);
    expect(await decodeSegments(new DataView(new ArrayBuffer(0)))).toBeNull();
    expect(bytesOf(undefined).byteLength).toBe(0);
  });

  it("reads region numbers", async () => {
    const labels = await decodeSegments(sliced(deflateSync(new Uint8Array(Uint16Array.from([0, 300, 65535]).buffer))));
    expect([...(labels ?? [])]).toEqual([0, 300, 65535]);
  });
});
