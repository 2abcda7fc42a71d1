import { afterEach, describe, expect, it, vi } from "vitest";
import widgets, { mountStatic } from "../src/index";
import { PathStore } from "../src/path/store";
import type { BaselineInfo, PathParams } from "../src/path/traits";
import { el, ended, press, settled, text, usePage } from "./page";
import { pathState, runTraits } from "./path-state";
import { KernelModel } from "./state";

usePage();

let model: KernelModel;
let store: PathStore;

async function open(change: Record<string, unknown> = {}): Promise<void> {
  model = new KernelModel({ ...pathState(), ...change });
  store = new PathStore(model, el, ended.signal);
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
}

function publish(traits: Record<string, unknown>): number {
  for (const [name, value] of Object.entries(traits)) model.set(name, value);
  const seq = Number(model.get("seq")) + 1;
  model.set("seq", seq);
  return seq;
}

/** Until the page has decoded everything that arrived. */
async function arrived(traits: Record<string, unknown>): Promise<void> {
  const seq = publish(traits);
  await vi.waitFor(() => expect(model.sentOf("ack")).toContainEqual({ type: "ack", seq }));
}

const quiet = (act: () => void) => {
  const before = { saves: model.saves, sent: model.sent.length };
  act();
  expect({ saves: model.saves, sent: model.sent.length }).toEqual(before);
};
const mask = (maps: { values: Float32Array } | null) => maps?.values[0] ?? Number.NaN;

describe("what belongs to the page", () => {
  it("scrubbing, windows, display and held baselines send nothing", async () => {
    await open();
    quiet(() => {
      for (let step = 0; step <= 50; step++) store.setAlpha(step / 50);
      store.hoverAlpha.value = 0.3;
      store.stepAlpha(-1);
      store.setWindow(0.1, 0.7);
      store.showRising();
      store.show({ blind: true, clip: 99 });
      store.local("frame_scale", "each");
      store.showBaseline("white");
    });
    expect(model.get("baseline_id")).toBe("white");
    expect(model.get("params")).toMatchObject({ baseline: "black" });
    expect(store.params.value).toMatchObject({ baseline: "white", mode: "path" });
    await settled();
    expect(model.saves).toBe(0);
  });

  it("rides along with the next question", async () => {
    await open();
    store.setAlpha(0.25);
    store.showBaseline("white");
    store.explain(5);
    expect(model.saves).toBe(1);
    expect(model.get("params")).toMatchObject({ target: 5, baseline: "white", mode: "path" });
    expect(model.get("alpha")).toBe(0.25);
  });

  it("two views follow one another", async () => {
    await open();
    const other = new PathStore(model, document.createElement("div"), ended.signal);
    store.setAlpha(0.4);
    store.setWindow(0.2, 0.9);
    expect(other.alpha.value).toBe(0.4);
    expect(other.window.value).toEqual([0.2, 0.9]);
  });
});

describe("what only the kernel has", () => {
  it("a baseline without a run is asked for, once", async () => {
    await open();
    store.showBaseline("blur:sigma=20");
    expect(model.get("baseline_id")).toBe("blur:sigma=20");
    expect(model.get("params")).toMatchObject({ baseline: "blur:sigma=20" });
    expect(model.get("request_id")).toBe(1);
    expect(model.saves).toBe(1);
  });

  it("an unfinished run is asked for again", async () => {
    await open();
    const baselines = (model.get("baselines") as BaselineInfo[]).map((one) =>
      one.id === "white" ? { ...one, status: { path: "running" as const } } : one,
    );
    model.set("baselines", baselines);
    store.showBaseline("white");
    expect((model.get("params") as PathParams).baseline).toBe("white");
  });

  it("requests say what is on show before they ask", async () => {
    await open();
    store.showBaseline("white");
    store.refine();
    store.compare();
    expect(model.sentOf("refine")).toEqual([{ type: "refine" }]);
    expect(model.sentOf("compare")).toEqual([{ type: "compare" }]);
    expect(model.saves).toBe(2);
  });

  it("the same baseline asked for twice is two requests", async () => {
    await open();
    store.requestBaseline("blur", { sigma: 5 });
    store.requestBaseline("blur", { sigma: 5 });
    expect(model.get("baseline_request")).toEqual({ kind: "blur", params: { sigma: 5 }, n: 2 });
    expect(model.saves).toBe(2);
  });

  it("without a kernel nothing is asked for, held runs still show", async () => {
    const state = { ...pathState(), baseline_id: "black" };
    mountStatic(el, state);
    await vi.waitFor(() => expect(text(".xw-chip")).toContain("read-only"));
    const white = () => el.querySelector<HTMLInputElement>('.xw-baseline input[value="white"]');
    await vi.waitFor(() => expect(white()?.disabled).toBe(false));
    white()?.click();
    await vi.waitFor(() => expect(white()?.checked).toBe(true));
    const slider = el.querySelector<HTMLInputElement>(".xw-alpha");
    expect(slider?.disabled).toBe(false);
  });
});

describe("the runs of a question", () => {
  it("fine frames win over the archive's, and stay when another run is shown", async () => {
    await open({ archive: { "path/black": runTraits(3), "path/white": runTraits(0.5) } });
    expect([...store.runs.value.keys()].sort()).toEqual(["path/black", "path/white"]);
    expect(mask(store.run.value?.total ?? null)).toBeCloseTo(8.4);
    await arrived({ shown: "path/white", baseline_id: "white", ...runTraits(0.25) });
    expect(mask(store.run.value?.total ?? null)).toBeCloseTo(2.1);
    expect(mask(store.runs.value.get("path/black")?.total ?? null)).toBeCloseTo(8.4);
  });

  it("a saved run with more behind it replaces a partial fine one", async () => {
    const partial = runTraits();
    partial.facts.evaluations = { gradient: 9 };
    await open({ ...partial });
    await arrived({ shown: "path/white", archive: { "path/black": runTraits(3) }, ...runTraits(0.25) });
    expect(mask(store.runs.value.get("path/black")?.total ?? null)).toBeCloseTo(25.2);
  });

  it("a new question forgets them, the panels keep the last picture", async () => {
    await open();
    const before = store.run.value;
    await arrived({ asked: 2, archive: {}, shown: "" });
    expect(store.runs.value.size).toBe(0);
    expect(store.run.value).toBeNull();
    expect(store.lastRun.value).toBe(before);
    await arrived({ shown: "path/black", ...runTraits(2) });
    expect(mask(store.run.value?.total ?? null)).toBeCloseTo(16.8);
  });

  it("what arrived before is not decoded again", async () => {
    await open();
    const white = store.runs.value.get("path/white");
    await arrived({ status: "ready" });
    expect(store.runs.value.get("path/white")).toBe(white);
  });

  it("another finished baseline joins without a new picture", async () => {
    await open({ archive: {} });
    expect(store.holds("path", "white")).toBe(false);
    model.set("archive", { "path/white": runTraits(0.5) });
    await vi.waitFor(() => expect(store.holds("path", "white")).toBe(true));
    await settled();
    expect(model.sentOf("ack")).toHaveLength(1);
  });

  it("every picture is acknowledged", async () => {
    await open();
    await arrived({ ...runTraits(2) });
    expect(model.sentOf("ack")).toEqual([
      { type: "ack", seq: 1 },
      { type: "ack", seq: 2 },
    ]);
  });

  it("what cannot be decoded is said, and the last good picture stays", async () => {
    await open();
    publish({ increments: new DataView(new ArrayBuffer(8)) });
    await vi.waitFor(() => expect(store.decodeError.value).not.toBe(""));
    expect(store.run.value?.total).not.toBeNull();
  });
});

describe("the place on the path", () => {
  it("hover previews, the window holds both", async () => {
    await open();
    store.setWindow(0.2, 0.8);
    store.setAlpha(0.5);
    expect(store.shownAlpha.value).toBe(0.5);
    store.hoverAlpha.value = 0.05;
    expect(store.shownAlpha.value).toBe(0.2);
    expect(store.alpha.value).toBe(0.5);
    store.hoverAlpha.value = null;
    store.setAlpha(0.95);
    expect(store.alpha.value).toBe(0.8);
  });

  it("a window that closes over α takes it along", async () => {
    await open({ alpha: 0.6 });
    store.setWindow(0, 0.5);
    expect(store.alpha.value).toBe(0.5);
    store.showRising();
    expect(store.window.value).toEqual([0.05, 0.2]);
    expect(store.alpha.value).toBe(0.2);
  });

  it.each([
    [0, 1, 0.2],
    [0.2, 1, 1],
    [0.1, 1, 0.2],
    [0.1, -1, 0],
    [0.6, -1, 0.2],
    [1, -1, 0.2],
    [1, 1, 1],
    [0, -1, 0],
  ])("from %s, %s frames lead to %s", async (from, frames, to) => {
    await open({ alpha: from });
    store.stepAlpha(frames);
    expect(store.alpha.value).toBeCloseTo(to);
  });
});

describe("the maps there", () => {
  it("the end of the whole path shows the exact total, a window only what is gained in it", async () => {
    await open({ alpha: 1 });
    expect(store.maps.accumulated.value).toMatchObject({ exact: true });
    expect(mask(store.maps.accumulated.value)).toBeCloseTo(8.4);
    store.setWindow(0.2, 1);
    expect(store.maps.accumulated.value).toMatchObject({ exact: false });
    expect(mask(store.maps.accumulated.value)).toBeCloseTo(0.4);
    expect(mask(store.maps.rate.value)).toBeCloseTo(0.5);
  });

  it("one scale for all places, or one for each", async () => {
    await open({ alpha: 0.2, display: { clip: 100 } });
    const ranges = () => [store.maps.rate.value?.range, store.maps.accumulated.value?.range];
    const shared = ranges();
    store.setAlpha(0.9);
    expect(ranges()).toEqual(shared);
    store.setAlpha(0);
    expect(ranges()).toEqual(shared);
    store.setAlpha(0.9);
    store.local("frame_scale", "each");
    expect(store.maps.rate.value?.range).toBeCloseTo(0.5);
    expect(store.maps.rescaled.value).toBe(true);
  });

  it("a running mean divides by α; samples are always averaged, over the whole of them", async () => {
    await open({ alpha: 0.1, cumulative: "running_mean" });
    expect(mask(store.maps.accumulated.value)).toBeCloseTo(40);
    const traits = runTraits();
    traits.inc_meta.edges = [0, 4, 10];
    await arrived({
      ...traits,
      alphas: [0, 4, 10],
      shown: "distribution/gaussian",
      mode: "distribution",
      baseline_id: "gaussian",
      cumulative: "integral",
      window: [0.4, 0.6],
    });
    expect(store.window.value).toEqual([0, 1]);
    store.setAlpha(0.4);
    expect(mask(store.maps.accumulated.value)).toBeCloseTo(2);
    store.setAlpha(0.7);
    expect(mask(store.maps.accumulated.value)).toBeCloseTo((8 + 0.2) / 7);
  });

  it("rounding is not stretched to full colour", async () => {
    await open({ ...runTraits(1e-9), gaps: { ...runTraits().gaps, difference: 10 } });
    expect(store.maps.accumulated.value?.range).toBe(0);
  });
});

describe("playing", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("runs through the window without a message and stops at its end", async () => {
    let next: FrameRequestCallback | undefined;
    await open({ alpha: 1, window: [0.5, 1] });
    vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => {
      next = callback;
      return 1;
    });
    const sent = model.sent.length;
    store.togglePlay();
    expect(store.alpha.value).toBe(0.5);
    const start = performance.now();
    next?.(start + 1000);
    expect(store.alpha.value).toBeCloseTo(0.75, 1);
    expect(store.playing.value).toBe(true);
    next?.(start + 9000);
    expect(store.alpha.value).toBe(1);
    expect(store.playing.value).toBe(false);
    expect({ saves: model.saves, sent: model.sent.length }).toEqual({ saves: 0, sent });
  });

  it("waits while nobody looks, and goes on from where it was", async () => {
    let next: FrameRequestCallback | undefined;
    let hidden = false;
    await open({ alpha: 0 });
    vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => {
      next = callback;
      return 1;
    });
    vi.stubGlobal("cancelAnimationFrame", () => {
      next = undefined;
    });
    const see = (looked: boolean) => {
      hidden = !looked;
      document.dispatchEvent(new Event("visibilitychange"));
    };
    vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
    store.togglePlay();
    next?.(performance.now() + 1000);
    const before = store.alpha.value;
    expect(before).toBeCloseTo(0.25, 1);
    see(false);
    expect(next).toBeUndefined();
    expect(store.playing.value).toBe(true);
    see(true);
    next?.(performance.now());
    expect(store.alpha.value).toBeCloseTo(before, 2);
    next?.(performance.now() + 1000);
    expect(store.alpha.value).toBeCloseTo(before + 0.25, 1);
    see(false);
    store.togglePlay();
    see(true);
    expect(next).toBeUndefined();
    vi.restoreAllMocks();
  });

  it("stops when the reader takes over, and at a new question", async () => {
    let next: FrameRequestCallback | undefined;
    await open({ alpha: 0 });
    store.togglePlay();
    store.togglePlay();
    expect(store.playing.value).toBe(false);
    vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => {
      next = callback;
      return 1;
    });
    store.togglePlay();
    store.setAlpha(0.9);
    next?.(performance.now() + 50);
    expect(store.playing.value).toBe(false);
    expect(store.alpha.value).toBe(0.9);
  });

  it("does not play where less motion is wanted, and says why", async () => {
    vi.stubGlobal("matchMedia", (query: string) => ({
      matches: query.includes("reduced-motion"),
      addEventListener() {},
    }));
    await open();
    store.togglePlay();
    expect(store.playing.value).toBe(false);
    expect(store.announcer.text.value).toContain("less motion");
  });
});

describe("in the page", () => {
  async function draw(change: Record<string, unknown> = {}): Promise<void> {
    model = new KernelModel({ ...pathState(), ...change });
    widgets.render({ model, el, signal: ended.signal });
    await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
    await settled();
  }

  it("reads the slider aloud and moves it by frames", async () => {
    await draw({ alpha: 1, question: { target_label: "goldfinch" } });
    const slider = el.querySelector<HTMLInputElement>(".xw-alpha");
    expect(slider?.getAttribute("aria-valuetext")).toBe(
      "alpha 1.00, goldfinch probability 0.96, 100 percent of attribution accumulated",
    );
    const event = press("ArrowLeft", {}, ".xw-alpha");
    expect(event.defaultPrevented).toBe(true);
    expect(model.get("alpha")).toBeCloseTo(0.2);
    press("End", {}, ".xw-alpha");
    expect(model.get("alpha")).toBe(1);
    expect(model.saves).toBe(0);
  });

  it("the window says how much of the total it holds, and can be reset", async () => {
    await draw({ window: [0.2, 1] });
    expect(text(".xw-window-text")).toMatch(/window 0\.20–1\.00 = \d+ % of total/);
    press("ArrowRight", {}, ".xw-window-start");
    expect(model.get("window")).toEqual([0.21, 1]);
    await settled();
    el.querySelector<HTMLElement>(".xw-window-text button")?.click();
    expect(model.get("window")).toEqual([0, 1]);
  });

  it("the curve previews under the pointer and never starts work", async () => {
    await draw({ alpha: 1 });
    const plot = el.querySelector<HTMLElement>(".xw-curve-plot");
    if (!plot) throw new Error("no curve");
    vi.spyOn(plot, "getBoundingClientRect").mockReturnValue({ left: 0, width: 100 } as DOMRect);
    const sent = model.sent.length;
    plot.dispatchEvent(new PointerEvent("pointermove", { clientX: 40, bubbles: true }));
    await vi.waitFor(() => expect(text(".xw-place")).toBe("α = 0.40"));
    expect(model.get("alpha")).toBe(1);
    plot.dispatchEvent(new PointerEvent("pointerleave", { bubbles: true }));
    await vi.waitFor(() => expect(text(".xw-place")).toBe("α = 1.00"));
    plot.dispatchEvent(new MouseEvent("click", { clientX: 40, bubbles: true }));
    expect(model.get("alpha")).toBe(0.4);
    expect({ saves: model.saves, sent: model.sent.length }).toEqual({ saves: 0, sent });
  });

  it("the running mean is drawn as the other curve it is, without a gap", async () => {
    await draw({ alpha: 1 });
    const sum = el.querySelector(".xw-curve-sum")?.getAttribute("d");
    expect(text(".xw-curve-key")).toContain("accumulated");
    expect(el.querySelector(".xw-curve-gap")).not.toBeNull();
    model.set("cumulative", "running_mean");
    await vi.waitFor(() => expect(text(".xw-curve-key")).toContain("running mean"));
    expect(el.querySelector(".xw-curve-sum")?.getAttribute("d")).not.toBe(sum);
    expect(el.querySelector(".xw-curve-gap")).toBeNull();
  });

  it("rescaled maps carry a badge, and every map its scale", async () => {
    await draw({ frame_scale: "each" });
    expect(el.querySelectorAll(".xw-panel-badge")).toHaveLength(2);
    expect(el.querySelectorAll(".xw-scale")).toHaveLength(2);
    expect(text(".xw-scale")).toContain("opposes");
    model.set("frame_scale", "shared");
    await vi.waitFor(() => expect(el.querySelectorAll(".xw-panel-badge")).toHaveLength(0));
  });

  it("leaves no listener behind", async () => {
    await draw();
    expect(model.listenerCount).toBeGreaterThan(0);
    ended.abort();
    expect(model.listenerCount).toBe(0);
    expect(el.childElementCount).toBe(0);
  });
});
