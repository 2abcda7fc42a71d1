import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import widgets, { StaticModel } from "../src/index";
import { csvOf, figureOf, jsonOf } from "../src/trust/export";
import { TrustStore } from "../src/trust/store";
import type { Trust } from "../src/trust/traits";
import { el, ended, press, settled, usePage } from "./page";
import { pathState } from "./path-state";
import { HOSTILE, heatmapState, KernelModel } from "./state";
import { classifyState } from "./tokens-state";
import { packedBytes, textTrust, trust, trustData } from "./trust-state";

usePage();

let model: KernelModel;

const found = (selector: string) => vi.waitFor(() => expect(el.querySelector(selector)).not.toBeNull());

async function show(change: Record<string, unknown> = {}, state: Record<string, unknown> = heatmapState()) {
  model = new KernelModel({ ...state, map_key: "this", ...change });
  widgets.render({ model, el, signal: ended.signal });
  await found(".xw-footer");
  if (change.trust) await found(".xw-trust-drawer");
  await settled();
}

const tested = (change: Partial<Trust> = {}) => ({ trust: trust(change), trust_data: trustData() });
const drawer = () => el.querySelector<HTMLElement>(".xw-trust-drawer");
const inside = (selector: string) => [...(drawer()?.querySelectorAll<HTMLElement>(selector) ?? [])];
const named = (label: string) =>
  [...el.querySelectorAll("button")].find(
    (one) => one.textContent === label || one.getAttribute("aria-label") === label,
  );
const textOf = (selector: string) => inside(selector).map((one) => one.textContent ?? "");

function choose(label: string, value: string): void {
  const menu = el.querySelector<HTMLSelectElement>(`select[aria-label="${label}"]`);
  if (!menu) throw new Error(`no menu ${label}`);
  menu.value = value;
  menu.dispatchEvent(new Event("change", { bubbles: true }));
}

describe("the button", () => {
  it("asks for the test of the map on show once, then opens and closes", async () => {
    await show();
    expect(drawer()).toBeNull();
    const button = named("Test this map");
    button?.click();
    await settled();
    expect(model.sentOf("trust")).toEqual([{ type: "trust", key: "this" }]);
    expect(drawer()).not.toBeNull();
    model.set("trust", trust({ status: "running" }));
    await settled();
    expect(button?.textContent).toBe("Tests");
    button?.click();
    await settled();
    expect(drawer()).toBeNull();
    button?.click();
    await settled();
    expect(drawer()).not.toBeNull();
    expect(model.sentOf("trust")).toHaveLength(1);
  });

  it("has a key", async () => {
    await show();
    press("y", {}, ".xw-widget");
    expect(model.sentOf("trust")).toHaveLength(1);
    press("?", {}, ".xw-widget");
    await settled();
    expect(el.querySelector(".xw-help")?.textContent).toContain("test the map");
  });

  it.each([
    ["path", pathState, /^\d+\/path\/\w+$/],
    ["tokens", classifyState, /./],
  ])("asks about the map that the page shows: %s", async (kind, state, key) => {
    await show({}, state() as Record<string, unknown>);
    await vi.waitFor(() => expect(named("Test this map")).toBeDefined());
    await settled();
    press("y", {}, ".xw-widget");
    const [message] = model.sentOf("trust") as { key: string }[];
    expect(message?.key).toMatch(key);
    if (kind === "tokens") expect(message?.key).toBe((model.get("values_meta") as { key: string }).key);
  });

  it("is off without a kernel unless there is something to show", async () => {
    widgets.render({ model: new StaticModel(heatmapState()), el, signal: ended.signal });
    await found(".xw-footer");
    expect(named("Test this map")?.disabled).toBe(true);
    expect(named("Test this map")?.title).toContain("no running kernel");
  });

  it("shows what was saved, and opens when Python tests", async () => {
    await show();
    model.set("trust", trust());
    await settled();
    expect(drawer()).not.toBeNull();
    model.set("trust", {});
    await settled();
    expect(drawer()).toBeNull();
    expect(named("Test this map")).toBeDefined();
  });
});

describe("findings", () => {
  it("say what they cannot tell on a click, and always to screen readers", async () => {
    await show(tested());
    expect(textOf(".xw-finding")[0]).toContain(
      `RemovalThe curve of ${HOSTILE} falls.`.replace("RemovalThe", "Removal The"),
    );
    expect(inside(".xw-finding")[1]?.dataset.level).toBe("watch");
    expect(textOf(".xw-finding .xw-visually-hidden")).toContain("It cannot tell: Whether gaps did it.");
    inside(".xw-cannot-button")[0]?.click();
    await settled();
    expect(textOf(".xw-cannot")).toEqual(["Whether gaps did it."]);
    expect(el.querySelector("img[src='x']")).toBeNull();
    expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
  });

  it("call no number accuracy, and end with what passing means", async () => {
    await show(tested());
    expect(drawer()?.textContent).not.toMatch(/accura|correctness|quality/i);
    expect(drawer()?.textContent).toContain("passing them does not make it right. The tests took 1 200 forward passes");
  });
});

describe("curves", () => {
  const plots = () => inside('.xw-trust-curve [role="slider"]');

  it("are read with the arrow keys, with the picture nearest to the place", async () => {
    await show(tested());
    const [deletion] = plots();
    expect(deletion?.getAttribute("aria-valuetext")).toMatch(/^20 % removed: this map 0.60,/);
    for (const key of ["PageUp", "ArrowRight", "ArrowUp"]) {
      deletion?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      await settled();
    }
    const arrow = new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true });
    deletion?.dispatchEvent(arrow);
    await settled();
    expect(arrow.defaultPrevented).toBe(true);
    expect(deletion?.getAttribute("aria-valuetext")).toBe(
      "55 % removed: this map 0.22, edges alone 0.45, random × 16 0.60 … 0.85",
    );
    expect(deletion?.getAttribute("aria-valuenow")).toBe("0.55");
    expect(
      inside('.xw-trust-curve[data-removal="deletion"] .xw-frame[aria-pressed="true"]')[0]?.getAttribute("aria-label"),
    ).toBe("60 % removed");
    deletion?.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
    await settled();
    expect(textOf(".xw-plot-key tbody tr")[0]).toContain("this map0.000.25");
  });

  it("follow the pointer, and a thumbnail", async () => {
    await show(tested());
    const [deletion] = plots();
    if (!deletion) throw new Error("no plot");
    deletion.getBoundingClientRect = () => ({ left: 100, width: 200 }) as DOMRect;
    deletion.dispatchEvent(new MouseEvent("pointermove", { clientX: 200, bubbles: true }));
    await settled();
    expect(deletion.getAttribute("aria-valuetext")).toContain("50 % removed: this map 0.25");
    inside(".xw-frame")[4]?.click();
    await settled();
    expect(deletion.getAttribute("aria-valuenow")).toBe("0.8");
  });

  it("draw a band only where there were several tries, and say so while nothing has come", async () => {
    await show(tested());
    expect(inside(".xw-plot-band")).toHaveLength(1);
    model.set("trust", trust({ status: "running", curves: {}, controls: [], layers: {}, frames: {} }));
    await settled();
    expect(textOf(".xw-plot-empty")).toEqual([
      "the first points are on their way…",
      "the first points are on their way…",
    ]);
    model.set("trust", trust({ status: "cancelled", curves: {} }));
    await settled();
    expect(textOf(".xw-plot-empty")[0]).toBe("not tested");
  });

  it("show a text with what is left of it", async () => {
    await show({ trust: textTrust(), trust_data: { maps: packedBytes(Array.from({ length: 16 }, () => 3)) } });
    expect(textOf(".xw-frame-text del")[0]).toBe("[CLS]");
    expect(textOf(".xw-frame-text")[0]).toContain("20 %:");
    expect(textOf(".xw-small-words")).toHaveLength(4);
    expect(textOf(".xw-small-words")[0]).toContain("⟨202E⟩");
  });
});

describe("asking", () => {
  it("starts again with other settings for the map that was tested", async () => {
    await show({ ...tested(), map_key: "other" });
    choose("filled with", "blur");
    expect(model.sentOf("trust").at(-1)).toEqual({
      type: "trust",
      key: "this",
      settings: { fill: "blur", measure: "probability" },
    });
  });

  it("says that it is about another map, and tests the one on show", async () => {
    await show(tested());
    expect(drawer()?.dataset.stale).toBe("false");
    model.set("map_key", "other");
    await settled();
    expect(drawer()?.dataset.stale).toBe("true");
    expect(textOf(".xw-chip")).toEqual(["about another map"]);
    named("Test the one on show")?.click();
    expect(model.sentOf("trust").at(-1)).toMatchObject({ key: "other", settings: { fill: "auto" } });
  });

  it("shows how far it is, and stops; Escape belongs to the innermost thing", async () => {
    const progress = { done: 3, total: 12, phase: "random orders", eta_s: 2 };
    await show({ ...tested({ status: "running", progress }) });
    expect(textOf(".xw-chip")).toEqual(["random orders · 3 of 12 · 2.0 s left"]);
    expect(inside('[role="progressbar"]')[0]?.getAttribute("aria-valuenow")).toBe("25");
    named("Cancel")?.click();
    expect(model.sentOf("trust_cancel")).toHaveLength(1);
    press("Escape", {}, ".xw-trust-drawer .xw-button");
    expect(model.sentOf("trust_cancel")).toHaveLength(2);
    expect(model.sentOf("cancel")).toHaveLength(0);
    model.set("trust", trust({ status: "cancelled" }));
    await settled();
    expect(textOf(".xw-chip")).toEqual(["cancelled: not all is tested"]);
    named("Test again")?.click();
    expect(model.sentOf("trust").at(-1)).toMatchObject({ key: "this" });
  });

  it("shows an error, with nothing around it where nothing was found", async () => {
    const error = { code: "x", title: HOSTILE, hint: "Do that.", detail: "Traceback" };
    await show({ trust: { status: "error", key: "this", error } });
    expect(textOf(".xw-error-title")).toEqual([HOSTILE]);
    expect(inside(".xw-trust-curves, .xw-trust-tools")).toHaveLength(0);
    expect(named("Test again")).toBeDefined();
  });

  it("offers nothing that only a kernel can do where there is none", async () => {
    const state = { ...heatmapState(), map_key: "other", ...tested() };
    widgets.render({ model: new StaticModel(state), el, signal: ended.signal });
    await found(".xw-trust-drawer");
    expect(named("Test the one on show")?.disabled).toBe(true);
    expect(el.querySelector<HTMLSelectElement>('select[aria-label="filled with"]')?.disabled).toBe(true);
    expect(named("Tables")?.disabled).toBe(false);
  });

  it("speaks for itself", async () => {
    await show(tested({ status: "running" }));
    model.set("trust", trust());
    await settled();
    expect(inside("output[aria-live]").map((one) => one.textContent)).toContain("tested: 1 findings to look at");
  });
});

describe("controls and layers", () => {
  it("stand beside the map on one scale, or each on its own", async () => {
    await show(tested());
    expect(textOf(".xw-trust-controls .xw-small-title")).toEqual(["This map", "Random map", "Edge detector", HOSTILE]);
    // the fourth has not come yet
    expect(inside(".xw-trust-controls canvas")).toHaveLength(3);
    expect(textOf(".xw-trust-controls .xw-method-note")[0]).toContain("full colour at 32");
    inside('input[value="each"]')[0]?.click();
    await settled();
    expect(textOf(".xw-trust-controls .xw-method-note")[0]).toContain("a scale of its own");
  });

  it("are read layer by layer, as far as they have come", async () => {
    await show(tested());
    const [chart] = inside('.xw-trust-layers [role="slider"]');
    expect(chart?.getAttribute("aria-valuetext")).toBe(
      "random down to conv2: rank correlation −0.25, of the magnitudes —",
    );
    chart?.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
    await settled();
    expect(chart?.getAttribute("aria-valuenow")).toBe("2");
    chart?.dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
    await settled();
    expect(chart?.getAttribute("aria-valuetext")).toBe(
      "the trained model: rank correlation 1.00, of the magnitudes 1.00",
    );
    inside(".xw-small-button")[0]?.click();
    await settled();
    expect(chart?.getAttribute("aria-valuetext")).toContain("fc random: rank correlation 0.50");
  });
});

describe("what can be taken along", () => {
  async function store(): Promise<TrustStore> {
    const made = new TrustStore(new KernelModel({ ...heatmapState(), ...tested() }), el, ended.signal);
    await vi.waitFor(() => expect(made.controls.value).toHaveLength(4));
    return made;
  }

  it("is every computed point as CSV", async () => {
    const rows = csvOf((await store()).trust.value)
      .trim()
      .split("\n");
    expect(rows[0]).toMatch(/^# "Integrated gradients for /);
    expect(rows[1]).toBe('"test","line","at","value","low","high"');
    expect(rows).toContain('"deletion","map",0.25,0.5,,');
    expect(rows).toContain('"deletion","random",0.5,0.75,0.625,0.875');
    expect(rows).toContain('"controls","rank","edges",0.25,,');
    expect(rows).toContain('"randomisation","rank_absolute","conv2",,,');
  });

  it("is all findings as JSON, and a figure with the words as text", async () => {
    const made = await store();
    const found = JSON.parse(jsonOf(made)) as Trust;
    expect(found.sentences).toHaveLength(2);
    expect(found.curves.deletion?.map?.y).toEqual([1, 0.5, 0.25, 0.125, 0]);
    const { markup } = figureOf(made);
    const svg = new DOMParser().parseFromString(markup, "image/svg+xml");
    expect(svg.querySelectorAll("polyline")).toHaveLength(6);
    // the fourth map has not come yet
    expect(svg.querySelectorAll("image")).toHaveLength(3);
    expect(svg.querySelector("img")).toBeNull();
    expect(svg.documentElement.textContent).toContain("Edges: Edges do as well.");
  });

  it("is also there as tables", async () => {
    await show(tested());
    named("Tables")?.click();
    await settled();
    const tables = textOf(".xw-table");
    expect(tables).toHaveLength(4);
    expect(tables[0]).toContain("50 %0.250.500.75 (0.63 … 0.88)");
    expect(tables[3]).toContain("conv2−0.25——1.00");
  });
});

describe("everything", () => {
  it.each(["done", "running", "error"] as const)(
    "axe finds nothing wrong: %s",
    async (status) => {
      await show(tested({ status, error: status === "error" ? { title: "No." } : {} }));
      named("Tables")?.click();
      await settled();
      const { violations } = await axe.run(el, {
        rules: { "color-contrast": { enabled: false }, region: { enabled: false } },
      });
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join("\n")}`)).toEqual([]);
    },
    20_000,
  );

  it("leaves nothing behind", async () => {
    await show(tested());
    ended.abort();
    expect(el.childElementCount).toBe(0);
    expect(model.listenerCount).toBe(0);
  });
});
