import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widgets, { mountStatic } from "../src/index";
import type { Params, Region } from "../src/lib/traits";
import { HOSTILE, heatmapState, KernelModel } from "./state";

let model: KernelModel;
let el: HTMLElement;
let ended: AbortController;

/** Decoding, signals and rendering have all settled. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 60));

async function mount(change: Record<string, unknown> = {}): Promise<void> {
  model = new KernelModel({ ...heatmapState(), ...change });
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await settled();
}

function press(key: string, options: KeyboardEventInit = {}, selector = ".xw-pictures"): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true, ...options });
  el.querySelector(selector)?.dispatchEvent(event);
  return event;
}

const text = (selector: string) => el.querySelector(selector)?.textContent ?? "";
const params = () => model.get("params") as Params;

beforeEach(() => {
  el = document.createElement("div");
  document.body.append(el);
  ended = new AbortController();
});
afterEach(() => {
  ended.abort();
  el.remove();
});

describe("lifecycle", () => {
  it("acknowledges the picture it painted", async () => {
    await mount();
    expect(model.sentOf("ack")).toEqual([{ type: "ack", seq: 1 }]);
  });

  it("two views work side by side, and one that ends leaves the other alone", async () => {
    await mount();
    const other = document.createElement("div");
    const gone = new AbortController();
    const before = model.listenerCount;
    widgets.render({ model, el: other, signal: gone.signal });
    await settled();
    expect(model.listenerCount).toBe(2 * before);
    gone.abort();
    await settled();
    expect(other.childElementCount).toBe(0);
    expect(model.listenerCount).toBe(before);
    model.set("status", "stale");
    await settled();
    expect(text(".xw-chip")).toBe("settings changed");
    ended.abort();
    expect(model.listenerCount).toBe(0);
  });

  it("ends by the returned function where the host gives no signal", async () => {
    const lonely = new KernelModel(heatmapState());
    const end = widgets.render({ model: lonely, el });
    await settled();
    end();
    expect(lonely.listenerCount).toBe(0);
    expect(el.childElementCount).toBe(0);
  });

  it("names a kind it does not know", () => {
    mountStatic(el, { _kind: "<b>new</b>" });
    expect(el.textContent).toContain("<b>new</b>");
  });
});

describe("hostile text", () => {
  it("is shown literally and makes no elements", async () => {
    await mount({
      error: { title: HOSTILE, detail: HOSTILE, hint: HOSTILE },
      notices: [{ level: "warning", code: "x", text: HOSTILE }],
    });
    expect(el.querySelector("img")).toBeNull();
    expect(text(".xw-error-title")).toBe(HOSTILE);
    expect(text(".xw-error-title bdi")).toBe(HOSTILE);
    expect(text(".xw-class-name")).toBe(HOSTILE);
    expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
  });
});

describe("asking", () => {
  it("a class bar explains, with Shift it contrasts", async () => {
    await mount();
    const second = el.querySelectorAll<HTMLElement>(".xw-class")[1];
    second?.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    expect(params()).toMatchObject({ target: 3, foil: 5 });
    expect(model.get("request_id")).toBe(1);
    second?.click();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(params()).toMatchObject({ target: 5, foil: null });
  });

  it("digits do the same", async () => {
    await mount();
    press("2", { code: "Digit2" });
    expect(params().target).toBe(5);
  });

  it("a new method keeps what both know and leaves the baseline to its menu", async () => {
    await mount();
    const menus = [...el.querySelectorAll<HTMLSelectElement>(".xw-question select")];
    expect(menus.map((menu) => menu.getAttribute("aria-label"))).toEqual([
      "class to explain",
      "class to contrast with",
      "baseline",
      "method",
    ]);
    const menu = menus[3];
    if (!menu) throw new Error("no method menu");
    menu.value = "grad";
    menu.dispatchEvent(new Event("change", { bubbles: true }));
    expect(params()).toMatchObject({ method: "grad", parameters: {} });
    await settled();
    expect(el.querySelectorAll(".xw-question select")).toHaveLength(3);
  });

  it("a layer without choices has no control", async () => {
    await mount();
    expect(text(".xw-parameters")).toContain("Steps");
    expect(text(".xw-parameters")).not.toContain("Layer");
  });

  it("Enter runs, Escape cancels what runs", async () => {
    await mount({ status: "stale" });
    press("Enter");
    expect(model.sentOf("run")).toHaveLength(1);
    model.set("status", "running");
    await settled();
    press("Escape");
    expect(model.sentOf("cancel")).toHaveLength(1);
  });
});

describe("reading with the keyboard", () => {
  it("moves, reads aloud, and finds the strongest unit", async () => {
    await mount();
    press("n");
    expect(model.get("cursor")).toEqual({ x: 0, y: 0 });
    await settled();
    expect(text(".xw-readout")).toContain("row 1 of 4, column 1");
    expect(text("output[aria-live]")).toContain("supports, 38.1 %, rank 1");
    const event = press("ArrowRight");
    expect(event.defaultPrevented).toBe(true);
    expect(model.get("cursor")).toEqual({ x: 1, y: 0 });
    press("n");
    press("End");
    expect(model.get("cursor")).toMatchObject({ x: 3 });
  });

  it("r, arrows, r sums a region, and w asks what if", async () => {
    await mount();
    press("n");
    press("r");
    press("ArrowRight");
    press("ArrowDown");
    press("r");
    expect(model.get("region")).toEqual({ x0: 0, y0: 0, x1: 2, y1: 2 } satisfies Region);
    expect(model.get("selection")).toMatchObject({ sum: 13, positive: 13, negative: 0 });
    await settled();
    expect(text(".xw-region")).toContain("+13.0");
    press("w");
    expect(model.sentOf("whatif")).toEqual([{ type: "whatif", region: { x0: 0, y0: 0, x1: 2, y1: 2 } }]);
    model.set("whatif", {
      region: { x0: 0, y0: 0, x1: 2, y1: 2 },
      before: [{ id: 3, name: HOSTILE, score: 0.9 }],
      after: [{ id: 3, name: HOSTILE, score: 0.4 }],
      seconds: 0.1,
    });
    await settled();
    expect(text(".xw-whatif")).toContain(".90 → .40");
  });

  it("keys that do nothing here stay the host's; handled ones do not leak", async () => {
    await mount();
    const leaked = vi.fn();
    document.body.addEventListener("keydown", leaked, { signal: ended.signal });
    press("v");
    expect(leaked).not.toHaveBeenCalled();
    expect(model.get("display")).toMatchObject({ view: "side" });
    press("q");
    press("a", { ctrlKey: true });
    expect(leaked).toHaveBeenCalledTimes(2);
  });

  it("letters typed into a menu belong to the menu", async () => {
    await mount();
    press("v", {}, "select");
    expect(model.get("display")).toEqual({ clip: 100 });
  });

  it("the table lists units from the strongest", async () => {
    await mount();
    press("t");
    await settled();
    const rows = [...el.querySelectorAll(".xw-table tbody tr")].map((row) => row.textContent);
    expect(rows).toHaveLength(16);
    expect(rows[0]).toContain("row 1 of 4, column 1");
    expect(rows[1]).toContain("opposes");
  });
});

describe("states", () => {
  it("keeps the last picture while running, after an error, and says how far it is", async () => {
    await mount();
    model.set("progress", { done: 8, total: 64, unit: "steps", eta_s: 3, phase: "" });
    model.set("status", "partial");
    await settled();
    expect(text(".xw-chip")).toBe("8 of 64 steps · 3.0 s left");
    model.set("status", "error");
    model.set("error", { title: "Out of memory", detail: "trace", hint: "fewer steps", code: "oom" });
    await settled();
    expect(text("[role=alert]")).toContain("Out of memory");
    expect(el.querySelectorAll("canvas").length).toBeGreaterThan(1);
  });

  it("says that the kernel is busy while a request waits", async () => {
    await mount({ request_id: 2, result_id: 1 });
    await vi.waitFor(() => expect(text(".xw-chip")).toBe("kernel busy: queued"), 2000);
    expect(model.sentOf("hello")).toHaveLength(2);
  });

  it("warns of a large gap", async () => {
    await mount();
    expect(text(".xw-badge-warn")).toContain("gap 20.0 %");
  });

  it("shows what to call where there is nothing", async () => {
    await mount({ maps: [], map_data: null, status: "empty" });
    expect(text(".xw-empty")).toContain("xw.explain");
  });

  it("says so where every value is zero", async () => {
    await mount({
      map_data: new DataView(new ArrayBuffer(64)),
      maps: [{ ...(heatmapState().maps as object[])[0], enc: "raw" }],
    });
    expect(text(".xw-legend-note")).toContain("Every value is zero");
  });
});

describe("without a kernel", () => {
  it("kernel-side controls are off and say why; display controls still work", async () => {
    const state = heatmapState();
    mountStatic(el, state);
    await settled();
    const menu = el.querySelector<HTMLSelectElement>(".xw-question select");
    expect(menu?.disabled).toBe(true);
    expect(menu?.title).toContain("saved result");
    expect(text(".xw-chip")).toBe("read-only: saved result");
    const wipe = el.querySelector<HTMLInputElement>("input[value=wipe]");
    expect(wipe?.disabled).toBe(false);
    wipe?.click();
    await settled();
    expect(el.querySelector(".xw-wipe")).not.toBeNull();
  });
});
