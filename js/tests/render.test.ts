import { describe, expect, it } from "vitest";
import { packLut } from "../src/lib/palettes";
import { renderMap, renderMask, renderUnderlay } from "../src/lib/render";
import { bytesOfBase64 } from "../src/lib/static-model";
import type { Shade } from "../src/lib/theme";
import { DEFAULT_DISPLAY, type Display, type Polarity } from "../src/lib/traits";
import fixtures from "./fixtures/render.json";

interface Stored {
  width: number;
  height: number;
  values: number[];
}

const maps = fixtures.maps as Record<string, Stored>;
const luts = fixtures.luts as Record<string, string>;

describe("the numpy reference and the browser draw the same pixels", () => {
  fixtures.cases.forEach((one, index) => {
    it(`case ${index}: ${one.map}, ${one.display.view}, ${one.display.sign}, ${one.lut}, ${one.polarity}`, () => {
      const map = maps[one.map];
      if (!map) throw new Error(`no map ${one.map}`);
      const lut = packLut(bytesOfBase64(luts[one.lut] ?? ""));
      const display = { ...DEFAULT_DISPLAY, ...(one.display as Partial<Display>) };
      const drawn = renderMap(Float32Array.from(map.values), map.width, map.height, display, lut, one.signed, {
        polarity: one.polarity as Polarity,
        sharedRange: one.shared_range,
      });
      expect(drawn.range).toBeCloseTo(one.range, 12);
      expect([...drawn.rgba]).toEqual([...bytesOfBase64(one.rgba)]);
    });
  });

  fixtures.underlays.forEach((one, index) => {
    it(`underlay ${index}: fade ${one.fade}, ${one.theme}`, () => {
      const rgb = bytesOfBase64(one.rgb);
      const expected = bytesOfBase64(one.expected);
      const source = new Uint8ClampedArray((rgb.length / 3) * 4);
      rgb.forEach((value, i) => {
        source[Math.floor(i / 3) * 4 + (i % 3)] = value;
      });
      const drawn = renderUnderlay(source, one.fade, one.theme as Shade);
      expect([...drawn].filter((_, i) => i % 4 !== 3)).toEqual([...expected]);
      expect(drawn[3]).toBe(255);
    });
  });
});

describe("units", () => {
  it("paints a unit's colour on all its pixels", () => {
    const lut = packLut(new Uint8Array(768).map((_, i) => Math.floor(i / 3)));
    const labels = Uint16Array.from([0, 0, 1, 1]);
    const { rgba } = renderMap(Float64Array.from([2, -2]), 2, 2, { ...DEFAULT_DISPLAY, clip: 100 }, lut, true, {
      labels,
    });
    expect([...rgba].filter((_, i) => i % 4 === 0)).toEqual([255, 255, 0, 0]);
  });
});

describe("the mask", () => {
  it("leaves open exactly the strongest share and covers the rest with the page", () => {
    const values = Float32Array.from([5, -4, 3, -2, 1, 0, 0, 0, 0, 0]);
    const rgba = renderMask(values, 10, 1, { ...DEFAULT_DISPLAY, top_p: 20 }, [10, 20, 30]);
    expect([...rgba].filter((_, i) => i % 4 === 3)).toEqual([0, 0, 230, 230, 230, 230, 230, 230, 230, 230]);
    expect([...rgba.slice(8, 12)]).toEqual([10, 20, 30, 230]);
  });

  it("never opens a value of zero", () => {
    const rgba = renderMask(new Float32Array(4), 2, 2, { ...DEFAULT_DISPLAY, top_p: 100 }, [0, 0, 0]);
    expect([...rgba].filter((_, i) => i % 4 === 3)).toEqual([230, 230, 230, 230]);
  });
});
