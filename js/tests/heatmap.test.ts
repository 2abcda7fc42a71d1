import { describe, expect, it, vi } from "vitest";
import widgets, { mountStatic } from "../src/index";
import { el, ended, model, mount, params, press, settled, text, usePage } from "./page";
import { HOSTILE, heatmapState, KernelModel } from "./state";

usePage();

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

  it.each([
    [5, 1],
    [null, 0],
  ])("marks the class that was explained where none was asked for: %s", async (target, marked) => {
    await mount();
    model.set("params", { ...params(), target: null, foil: null });
    model.set("question", { ...(model.get("question") as object), target, target_label: "the model's score" });
    await settled();
    const explained = el.querySelectorAll<HTMLElement>(".xw-class[data-role=explained]");
    expect(explained.length).toBe(marked);
    const menu = el.querySelector<HTMLSelectElement>("select[aria-label='class to explain']");
    if (target === null) expect(menu?.selectedOptions[0]?.textContent).toBe("the model's score");
    else expect(menu?.value).toBe(String(target));
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

  it("a class the model finds unlikely is asked for by number", async () => {
    await mount();
    const menu = el.querySelector<HTMLSelectElement>(".xw-question select");
    if (!menu) throw new Error("no menu");
    menu.value = "by number";
    menu.dispatchEvent(new Event("change", { bubbles: true }));
    await settled();
    const input = el.querySelector<HTMLInputElement>(".xw-question input");
    if (!input) throw new Error("no input");
    input.value = "281";
    press("Enter", {}, ".xw-question input");
    await settled();
    expect(params().target).toBe(281);
    expect(model.sentOf("run")).toHaveLength(0);
  });

  it("a layer without choices has no control", async () => {
    await mount();
    expect(text(".xw-parameters")).toContain("Steps");
    expect(text(".xw-parameters")).not.toContain("Layer");
  });

  it("a layer is one of the model's, or left to the method", async () => {
    const hostile = "<img src=x>";
    await mount({ layers: ["features.0", hostile] });
    const menu = el.querySelector<HTMLSelectElement>('.xw-parameters select[aria-label="Layer"]');
    if (!menu) throw new Error("no menu of layers");
    expect([...menu.options].map((one) => one.text)).toEqual(["chosen by the method", "features.0", hostile]);
    expect(menu.selectedIndex).toBe(0);
    menu.value = "1";
    menu.dispatchEvent(new Event("change", { bubbles: true }));
    await settled();
    expect(params().parameters).toEqual({ steps: 16, layer: "features.0" });
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

describe("display", () => {
  it("the legend's handle moves the clip with the arrows", async () => {
    await mount({ display: { clip: 99.5 } });
    press("ArrowLeft", {}, ".xw-clip");
    expect(model.get("display")).toMatchObject({ clip: 99.4 });
    await vi.waitFor(() => expect(model.saves).toBe(1));
    model.set("display", { clip: 99.4, scale_mode: "fixed", range: 2 });
    await settled();
    press("ArrowRight", {}, ".xw-clip");
    expect(model.get("display")).toMatchObject({ range: 2.1 });
  });

  it("a cursor and a region of a larger map are not read on a smaller one", async () => {
    await mount({ cursor: { x: 100, y: 3 }, region: { x0: 2, y0: 2, x1: 90, y1: 90 } });
    expect(text(".xw-readout")).toContain("Point at a picture");
    expect(el.querySelector(".xw-region")).toBeNull();
  });

  it("asks once for superpixels and for a missing reduction", async () => {
    await mount();
    for (const opacity of [0.1, 0.2, 0.3]) model.set("display", { unit: "superpixel", reduction: "l2", opacity });
    await settled();
    expect(model.sentOf("segments")).toHaveLength(1);
    expect(model.sentOf("reduction")).toEqual([{ type: "reduction", key: "l2" }]);
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
    expect(el.querySelector<HTMLInputElement>("input[value=superpixel]")?.disabled).toBe(true);
    const wipe = el.querySelector<HTMLInputElement>("input[value=wipe]");
    expect(wipe?.disabled).toBe(false);
    wipe?.click();
    await settled();
    expect(el.querySelector(".xw-wipe")).not.toBeNull();
  });
});
