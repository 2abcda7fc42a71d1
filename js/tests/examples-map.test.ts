import { describe, expect, it, vi } from "vitest";
import { axesOf, coloursFor, levelsOf, wholeOf } from "../src/gallery/axes";
import { Columns } from "../src/gallery/columns";
import { MapView } from "../src/gallery/map-view";
import { boxOf, inBox, nearest, paintCloud, placesOf, radiusFor, towards } from "../src/gallery/scatter";
import { GalleryStore } from "../src/gallery/store";
import type { FieldName } from "../src/gallery/traits";
import { examplesState } from "./examples-state";
import { el, ended, usePage } from "./page";
import { KernelModel } from "./state";

usePage();

const SQUARE = { x0: 0, x1: 1, y0: 0, y1: 1 };
const cloud = { x: Float32Array.of(0, 0.5, 1, 2), y: Float32Array.of(0, 0.5, 1, 0.5) };

function columns(fields: Partial<Record<FieldName, number[]>>): Columns {
  const entries = Object.entries(fields).map(
    ([name, values]) => [name as FieldName, Float32Array.from(values)] as const,
  );
  return new Columns(entries[0]?.[1].length ?? 0, null, new Map(entries));
}

describe("the points of a scatter plot", () => {
  const places = placesOf(cloud, SQUARE, 100, 50);

  it("grow upwards, and are nowhere outside of the view", () => {
    expect([...places.x]).toEqual([0, 50, 100, Number.NaN]);
    expect([...places.y]).toEqual([50, 25, 0, Number.NaN]);
  });

  it("are found within reach only", () => {
    expect(nearest(places, 52, 27, 10)).toBe(1);
    expect(nearest(places, 75, 25, 10)).toBe(-1);
  });

  it("are in a box whichever corner was drawn first", () => {
    expect(inBox(cloud, boxOf([1, 1], [0.4, 0.4]), Int32Array.of(3, 2, 1, 0))).toEqual([2, 1]);
  });

  it("lead to the next in a direction, or stay", () => {
    expect(towards(places, 1, 1, 0, 5)).toBe(2);
    expect(towards(places, 1, 0, 1, 5)).toBe(0);
    expect(towards(places, 2, 1, 0, 5)).toBe(2);
    // straight on before what is nearer but aside
    const three = { x: Float32Array.of(0, 20, 30), y: Float32Array.of(0, 15, 0) };
    expect(towards(three, 0, 1, 0, 5)).toBe(2);
  });

  it("shrink as they become many", () => {
    expect(radiusFor(100)).toBeGreaterThan(radiusFor(10_000));
    expect(radiusFor(10_000)).toBeGreaterThan(radiusFor(200_000));
  });

  it("average their colours where they lie over each other, in whichever order", () => {
    const paint = (level: number[], passes: number[] | null) =>
      paintCloud(
        { x: Float32Array.of(2, 2), y: Float32Array.of(2, 2) },
        {
          width: 5,
          height: 5,
          radius: 1,
          level: Uint8Array.from(level),
          colours: [
            [200, 0, 0],
            [0, 0, 200],
          ],
          passes: passes && Uint8Array.from(passes),
          faint: [9, 9, 9],
        },
      ).rgba.subarray(4 * 12, 4 * 13);
    expect([...paint([0, 1], null)]).toEqual([...paint([1, 0], null)]);
    const [red, , blue, alpha = 0] = paint([0, 1], null);
    expect(red).toBe(100);
    expect(blue).toBe(100);
    // two cover more than one
    expect(alpha).toBeGreaterThan(paint([0, 5], null)[3] ?? 0);
    // what is filtered out leaves a trace
    const [, , , trace = 0] = paint([0, 0], [0, 0]);
    expect(trace).toBeGreaterThan(0);
    expect(trace).toBeLessThan(alpha / 2);
  });
});

describe("the axes of the map", () => {
  it("are variability and confidence, or what stands in for them", () => {
    expect(axesOf(columns({ variability: [0], confidence: [1], self: [2] }))).toEqual(["variability", "confidence"]);
    expect(axesOf(columns({ conf: [1], self: [2] }))).toEqual(["self", "conf"]);
    expect(axesOf(columns({ y: [1] }))).toBeNull();
  });

  it("show what can be, and room around what is", () => {
    const box = wholeOf({ x: Float32Array.of(0, 0.4), y: Float32Array.of(0.2, 0.9) }, "variability", "confidence");
    expect(box.x0).toBeLessThan(0);
    expect(box.x1).toBeGreaterThan(0.4);
    expect(box.y0).toBeLessThan(0);
    expect(box.y1).toBeGreaterThan(1);
  });

  it("colour by correctness, or by right and wrong", () => {
    const known = levelsOf(columns({ correctness: [0, 0.5, 1] }), 4);
    expect([...known.level]).toEqual([0, 2, 4]);
    expect(known.titles).toEqual(["never right", "1 of 4", "2 of 4", "3 of 4", "always right"]);
    expect([...levelsOf(columns({ y: [1, 2], yhat: [1, 0] }), 1).level]).toEqual([1, 0]);
    expect(levelsOf(columns({ correctness: [0, 1] }), 30).titles.length).toBeLessThanOrEqual(6);
    expect(new Set(coloursFor(6, "dark").map(String)).size).toBe(6);
  });
});

describe("the map", () => {
  async function viewOf(change: Record<string, unknown> = {}): Promise<MapView> {
    const store = new GalleryStore(new KernelModel(examplesState({ tab: "map", ...change })), el, ended.signal);
    await vi.waitFor(() => expect(store.columns.value).not.toBeNull());
    const view = new MapView(store);
    view.size.value = [500, 400];
    return view;
  }

  it("moves the cursor of the cards, and only to what the filters let through", async () => {
    const view = await viewOf({ filters: { given: 1 } });
    view.step(1, 0, 4);
    expect(view.here).toBeGreaterThanOrEqual(0);
    expect(view.store.focused.value).toBe(view.here);
    for (const arrow of [1, 1, -1, 1] as const) {
      view.step(arrow, 0, 4);
      expect(view.here % 3).toBe(1);
    }
    expect(view.store.targets.value).toEqual([view.here]);
  });

  it("lists a box in the order of the triage, and selects it", async () => {
    const view = await viewOf();
    view.setBox({ ...view.whole.value, x0: 0.9 });
    expect(view.boxed.value.slice(0, 2)).toEqual([49, 48]);
    view.selectBoxed();
    expect(view.store.selection.value).toEqual(view.boxed.value);
    view.store.setFilters({ wrong: true });
    expect(view.boxed.value.every((row) => row % 5 === 0)).toBe(true);
  });

  it("zooms to a box and forgets it", async () => {
    const view = await viewOf();
    view.setBox({ x0: 0.2, x1: 0.4, y0: 0, y1: 0.5 });
    view.zoomToBox();
    expect(view.box.value).toBeNull();
    expect(view.view.value).toEqual({ x0: 0.2, x1: 0.4, y0: 0, y1: 0.5 });
    expect(view.pointAt(0, 400)[0]).toBeCloseTo(0.2);
    expect(view.pointAt(0, 400)[1]).toBeCloseTo(0);
  });

  it("stretches a box from the example at the keyboard", async () => {
    const view = await viewOf();
    view.moveTo(10);
    view.stretchBox(1, 0);
    view.stretchBox(0, -1);
    const box = view.box.value;
    expect(box?.x0).toBeCloseTo(view.cloud.value.x[10] ?? 0);
    expect(box?.y1).toBeGreaterThan(box?.y0 ?? 0);
    expect(view.boxed.value).toContain(10);
  });

  it("shows one level alone", async () => {
    const view = await viewOf();
    view.level.value = 0;
    expect(view.passes.value?.reduce((sum, one) => sum + one, 0)).toBe(10);
  });
});
