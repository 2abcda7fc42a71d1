import { deflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mounting } from "../src/lib/assembly";
import { StaticModel } from "../src/lib/static-model";
import { decodeControls, decodeLayers } from "../src/trust/decode";
import { nearest } from "../src/trust/frames";
import { heightAt, heightsOf, readingAt } from "../src/trust/line";
import { bandOf, pathOf } from "../src/trust/plot";
import { line, packedBytes, trust } from "./trust-state";

describe("lines", () => {
  it("are straight between their points and flat beyond", () => {
    expect(heightAt([0, 0.5, 1], [1, 0, 4], 0.25)).toBe(0.5);
    expect(heightAt([0, 0.5, 1], [1, 0, 4], 0.75)).toBe(2);
    expect(heightAt([0, 0.5], [1, 3], 1)).toBe(3);
    expect(heightAt([], [], 0.5)).toBeNaN();
  });

  it("have a band only where there were tries", () => {
    expect(readingAt(line([1, 0.5], 0.25), 0.5)).toEqual({ y: 0.75, low: 0.5, high: 1 });
    expect(readingAt(line([1, 0.5]), 0.5)).toEqual({ y: 0.75, low: null, high: null });
  });

  it("stand on the axis of a probability, or on one of their own that holds zero", () => {
    expect(heightsOf([line([0.1, 0.2])])).toEqual([0, 1]);
    const [low, high] = heightsOf([line([2, 12])]);
    expect(low).toBe(0);
    expect(high).toBeGreaterThan(12);
    expect(heightsOf([line([-4, 6])])[0]).toBeLessThan(-4);
    expect(heightsOf([])).toEqual([0, 1]);
  });

  it("are drawn with gaps where nothing is known", () => {
    const axes = { span: 2, low: 0, high: 1 };
    expect(pathOf(axes, [0, 1, 2], [1, null, 0])).toBe("M0.0 0.0M1000.0 1000.0");
    expect(bandOf(axes, [0, 2], [0, 0], [1, 0.5])).toBe("polygon(0% 0%,100% 50%,100% 100%,0% 100%)");
  });

  it("have the picture nearest to a place", () => {
    expect(nearest([0, 0.2, 0.4], 0.29)).toBe(1);
    expect(nearest([0, 0.2, 0.4], 0.9)).toBe(2);
  });
});

describe("small maps", () => {
  it("come one after the other, the rest later", async () => {
    const { controls } = trust();
    const [first, second, third] = await decodeControls(
      packedBytes([...Array(16).fill(4), ...Array(16).fill(-2)]),
      controls,
    );
    expect(first?.values[0]).toBe(2);
    expect(second?.values[15]).toBe(-1);
    expect(third).toBeNull();
    expect(await decodeControls(null, controls)).toEqual([null, null, null, null]);
  });

  it("are found by their layer, each with its own scale", async () => {
    const { layers } = trust();
    const maps = await decodeLayers(packedBytes([...Array(16).fill(4), ...Array(16).fill(4)]), layers, true);
    expect([...maps.keys()]).toEqual([0, 1]);
    expect(maps.get(1)?.values[0]).toBe(1);
    expect((await decodeLayers(null, {}, true)).size).toBe(0);
  });
});

describe("another kind of the same widget", () => {
  const packed = (text: string) => new DataView(Uint8Array.from(deflateSync(text)).buffer);
  const OUTER = `export function mount(model,el,lifetime,more){
    const place=document.createElement("div");el.replaceChildren(place);more("inner",place,lifetime)}`;
  const INNER = `export function mount(model,el,lifetime){
    el.replaceChildren("inner of "+model.get("_kind"));lifetime.addEventListener("abort",()=>el.replaceChildren("gone"))}`;
  let el: HTMLElement;

  beforeEach(() => {
    el = document.createElement("div");
    document.body.append(el);
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
      const [code] = (blob as unknown as { made: [string] }).made;
      return `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`;
    });
    const Real = Blob;
    vi.stubGlobal(
      "Blob",
      class extends Real {
        constructor(readonly made: BlobPart[]) {
          super(made);
        }
      },
    );
  });

  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
    el.remove();
  });

  it("is drawn when the carrier brings it, however long that takes, and ends with the widget", async () => {
    // the patience with a widget's own code is over at once
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort());
    const outer = { "outer-A1.js": packed(OUTER) };
    const carrier = new StaticModel({ _parts: outer });
    const ended = new AbortController();
    mounting(carrier)({ model: new StaticModel({ _kind: "outer" }), el, signal: ended.signal });
    await vi.waitFor(() => expect(el.textContent).toBe("loading…"));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(el.textContent).toBe("loading…");
    carrier.set("_parts", { ...outer, "inner-B2.js": packed(INNER) });
    await vi.waitFor(() => expect(el.textContent).toBe("inner of outer"));
    ended.abort();
    expect(el.textContent).toBe("gone");
  });
});
