import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import widgets, { mountStatic } from "../src/index";
import { visible } from "../src/lib/visible";
import { costOfOthers } from "../src/path/baselines";
import { disagreement } from "../src/path/disagreement";
import { csvOf } from "../src/path/export-data";
import { formatsOf } from "../src/path/footer";
import { costText, stoppedText } from "../src/path/gaps";
import { pathBindings } from "../src/path/keys";
import { hexOf } from "../src/path/picking";
import { decodeRun } from "../src/path/run";
import { PathStore } from "../src/path/store";
import { curveRows } from "../src/path/table";
import { coarsened, sameResolution } from "../src/path/totals";
import type { BaselineInfo, RunTraits } from "../src/path/traits";
import { baselineName, baselineTitle, curveSummary, panelCaptions, questionText, sliderText } from "../src/path/words";
import { el, ended, press, settled, text, usePage } from "./page";
import { pathState, runTraits, TOKENS, textState } from "./path-state";
import { HOSTILE, KernelModel } from "./state";

usePage();

let model: KernelModel;

async function show(change: Record<string, unknown> = {}, state = pathState()): Promise<void> {
  model = new KernelModel({ ...state, ...change });
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await settled();
}

function storeOf(state: Record<string, unknown>): PathStore {
  model = new KernelModel(state);
  return new PathStore(model, el, ended.signal);
}

const baselines = () => pathState().baselines as BaselineInfo[];
const radio = (id: string) => el.querySelector<HTMLInputElement>(`.xw-baseline input[value="${id}"]`);
const named = (label: string) => [...el.querySelectorAll("button")].find((one) => one.textContent?.includes(label));

describe("words", () => {
  const moment = {
    mode: "path",
    at: 0.32,
    target: "goldfinch",
    probability: 0.81,
    share: 0.76,
    accumulated: 3,
    unit: "logit",
  } as const;

  it("read the slider aloud", () => {
    expect(sliderText(moment)).toBe("alpha 0.32, goldfinch probability 0.81, 76 percent of attribution accumulated");
    expect(sliderText({ ...moment, probability: null, share: null })).toBe("alpha 0.32, +3.00 logit accumulated");
    expect(sliderText({ ...moment, mode: "distribution", at: 64, probability: null })).toBe(
      "64 samples, 76 percent of attribution accumulated",
    );
  });

  it("say where a curve rises, and for how much of the path it is flat", () => {
    expect(curveSummary(runTraits(), "path")).toBe(
      "output rises from 6 % to 95 % between 0.05 and 0.20, then flat: saturated for 85 % of the path",
    );
    const { facts } = runTraits();
    const late = { ...runTraits(), alphas: [0, 0.5, 0.8, 1], F: [0, 0, 0.5, 10], prob: [], facts };
    expect(curveSummary({ ...late, facts: { ...facts, rising: [0.8, 1] } }, "path")).toBe(
      "output rises from −0.500 to 9.00 between 0.80 and 1.00, flat before that: saturated for 80 % of the path",
    );
    expect(curveSummary({ ...late, facts: { ...facts, rising: [0.5, 0.8] } }, "path")).toContain(
      "flat before and after",
    );
  });

  it("say so where the output hardly changes, and where it overshoots", () => {
    const run = runTraits();
    const same: RunTraits = {
      ...run,
      F: [0, 3, 0, 0, 0.001],
      prob: [],
      scores: [5, 5.001],
      gaps: { ...run.gaps, relative: false },
    };
    expect(curveSummary(same, "path")).toContain("about the same at both ends: from 5.00 to 5.00");
    expect(curveSummary(same, "path")).toContain("+3.00 above at 0.10");
    const straight: RunTraits = { ...run, F: [0, 1, 2, 6, 10], prob: [], facts: { ...run.facts, rising: null } };
    expect(curveSummary(straight, "path")).toContain("over most of the path");
  });

  it("name baselines by parameters and gap, once", () => {
    const [black, white, blur, gaussian, smooth] = baselines() as [BaselineInfo, ...BaselineInfo[]];
    expect(baselineName(black, "path")).toBe("black: gap 0.8 %");
    expect(baselineTitle(blur as BaselineInfo)).toBe(`${HOSTILE}, σ 20`);
    expect(baselineTitle(gaussian as BaselineInfo)).toBe("Gaussian noise, σ 1, seed 4");
    expect(baselineName(gaussian as BaselineInfo, "path")).toContain("failed");
    expect(baselineName(white as BaselineInfo, "distribution")).toContain("has no distribution");
    expect(baselineName(smooth as BaselineInfo, "path")).toContain("only as a distribution");
  });

  it("caption the panels with the place, the window and the kind of sum", () => {
    const place = {
      mode: "path",
      at: 0.5,
      window: [0.1, 1],
      cumulative: "integral",
      baseline: "black",
      text: false,
    } as const;
    expect(panelCaptions(place)[2]).toBe("accumulated from 0.10 to 0.50");
    expect(panelCaptions({ ...place, cumulative: "running_mean", window: [0, 1] })[2]).toBe(
      "running mean up to α\u00a0=\u00a00.50",
    );
    expect(panelCaptions({ ...place, mode: "distribution", at: 64 })[2]).toBe("mean of 64 samples");
  });

  it("ask the question", () => {
    expect(questionText("black", "goldfinch", "robin", "path")).toBe(
      "From black to this input, how does the model reach goldfinch rather than robin?",
    );
  });

  it("tell why a walk stopped and what it cost", () => {
    const { facts } = runTraits();
    expect(stoppedText(facts, 0.01, 65)).toBe("stopped at 33: largest gap below 1 %");
    expect(stoppedText({ ...facts, stopped: "steps" }, 0.01, 65)).toBe("");
    expect(stoppedText(facts, 0.01, 33)).toBe("");
    expect(costText(facts)).toBe("33 gradients · 2 forward · 1.4 s");
  });
});

describe("disagreement", () => {
  const field = (...values: number[]) => ({ width: 2, height: 1, values: Float32Array.from(values) });

  it("is the standard deviation at every place", () => {
    const found = disagreement([field(1, 2), field(3, 2), field(8, 5)]);
    expect(found?.count).toBe(3);
    // ((1−4)² + (3−4)² + (8−4)²) / 3 = 26/3; ((2−3)² + (2−3)² + (5−3)²) / 3 = 2
    expect(found?.values[0]).toBeCloseTo(Math.sqrt(26 / 3), 6);
    expect(found?.values[1]).toBeCloseTo(Math.sqrt(2), 6);
  });

  it("needs two maps", () => {
    expect(disagreement([])).toBeNull();
    expect(disagreement([field(1, 2)])).toBeNull();
  });

  it("compares maps of different resolutions per pixel of the coarser", () => {
    const fine = { width: 2, height: 2, values: Float32Array.from([1, 2, 3, 6]) };
    const coarse = { width: 1, height: 1, values: Float32Array.from([5]) };
    expect(sameResolution([fine, coarse]).map((one) => [...one.values])).toEqual([[3], [5]]);
    expect(coarsened(fine, 3, 3)).toBeNull();
    const uneven = { width: 3, height: 1, values: Float32Array.from([1, 3, 8]) };
    expect([...(coarsened(uneven, 2, 1)?.values ?? [])]).toEqual([2, 8]);
    expect([...(disagreement([fine, coarse])?.values ?? [])]).toEqual([1]);
  });
});

describe("baselines", () => {
  it("are radio buttons with their parameters and gaps as names", async () => {
    await show();
    const group = el.querySelector("[role=radiogroup][aria-label=baseline]");
    const names = [...(group?.querySelectorAll("input[type=radio]") ?? [])].map((one) =>
      one.getAttribute("aria-label"),
    );
    // the last one makes sense as a distribution only
    expect(names).toEqual(
      baselines()
        .slice(0, 4)
        .map((one) => baselineName(one, "path")),
    );
    expect(text(".xw-baselines")).toContain("1 more can only be drawn as a distribution");
    expect(radio("black")?.checked).toBe(true);
  });

  it("show what the page holds without asking, and ask for the rest", async () => {
    await show();
    radio("white")?.click();
    await settled();
    expect(model.get("baseline_id")).toBe("white");
    expect(model.get("request_id")).toBe(0);
    radio("blur:sigma=20")?.click();
    expect(model.get("params")).toMatchObject({ baseline: "blur:sigma=20", mode: "path" });
    expect(model.get("request_id")).toBe(1);
  });

  it("get another σ when the slider is let go, and another seed", async () => {
    await show();
    const slider = el.querySelector<HTMLInputElement>(".xw-baseline .xw-range");
    if (!slider) throw new Error("no slider");
    slider.value = "7";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await settled();
    expect(model.get("baseline_request")).toEqual({});
    slider.dispatchEvent(new Event("change", { bubbles: true }));
    expect(model.get("baseline_request")).toEqual({ kind: "blur", params: { sigma: 7 }, n: 1 });
    const again = el.querySelector<HTMLButtonElement>(".xw-reroll button");
    expect(again?.getAttribute("aria-label")).toContain("seed 5");
    again?.click();
    expect(model.get("baseline_request")).toMatchObject({ kind: "gaussian", params: { sigma: 1, seed: 5 } });
  });

  it("price the rest before computing it", async () => {
    expect(costOfOthers(baselines(), "path", 65)).toBe(130);
    expect(costOfOthers(baselines(), "distribution", 128)).toBe(256);
    await show();
    const button = named("Compute the others");
    expect(button?.textContent).toContain("≈ 130 evaluations");
    button?.click();
    expect(model.sentOf("compare")).toHaveLength(1);
  });

  it("are added by a form that knows the settings of each kind", async () => {
    await show();
    named("Add")?.click();
    await settled();
    const menu = el.querySelector<HTMLSelectElement>("form select");
    expect([...(menu?.options ?? [])].map((one) => one.value)).toEqual(["blur", "gaussian", "colour"]);
    if (!menu) throw new Error("no menu");
    menu.value = "colour";
    menu.dispatchEvent(new Event("change", { bubbles: true }));
    await settled();
    const colour = el.querySelector<HTMLInputElement>("form input[type=color]");
    if (!colour) throw new Error("no colour");
    colour.value = "#ff8000";
    colour.dispatchEvent(new Event("input", { bubbles: true }));
    await settled();
    el.querySelector<HTMLButtonElement>("form button[type=submit]")?.click();
    expect(model.get("baseline_request")).toEqual({ kind: "colour", params: { colour: "#ff8000" }, n: 1 });
    await settled();
    expect(el.querySelector("form")).toBeNull();
  });

  it("without a kernel, those that were computed can be shown", async () => {
    mountStatic(el, pathState());
    await vi.waitFor(() => expect(radio("white")?.disabled).toBe(false));
    expect(radio("blur:sigma=20")?.disabled).toBe(true);
    expect(radio("blur:sigma=20")?.closest("label")?.title).toContain("saved result");
    expect(named("Compute the others")?.disabled).toBe(true);
  });
});

describe("gaps and notices", () => {
  it("are shares of the change, amber when large", async () => {
    await show();
    expect(text(".xw-gaps")).toContain("end gap 0.8 %");
    expect(text(".xw-gaps")).toContain("largest gap on path 2.6 % at α ≈ 0.11");
    expect(el.querySelector(".xw-gaps .xw-badge-warn")).toBeNull();
    const run = runTraits();
    model.set("gaps", { ...run.gaps, max: 0.2 * run.gaps.difference });
    model.set("increments", run.increments);
    model.set("seq", 2);
    await vi.waitFor(() => expect(text(".xw-gaps .xw-badge-warn")).toContain("20.0 %"), 4000);
    named("Refine there")?.click();
    expect(model.sentOf("refine")).toHaveLength(1);
  });

  it("are in units of the score where baseline and input score the same", async () => {
    const run = runTraits();
    await show({ gaps: { ...run.gaps, relative: false, end: 0.02 } });
    expect(text(".xw-gaps")).toContain("end gap 0.0200 logit");
    expect(text(".xw-gaps")).toContain("score about the same");
    expect(text(".xw-gaps .xw-badge")).not.toContain("%");
  });

  it("a notice with a window narrows the path to it", async () => {
    await show();
    named("Explain only the rising part")?.click();
    expect(model.get("window")).toEqual([0.05, 0.2]);
  });
});

describe("keys", () => {
  it("are all there, each once, each with a help", () => {
    const bindings = pathBindings(storeOf(pathState()));
    const keys = bindings.flatMap((one) => one.keys);
    expect(new Set(keys).size).toBe(keys.length);
    const wanted =
      "ArrowLeft ArrowRight PageUp PageDown Home End , . < > Space b B x d f Digit1 Digit2 Digit3 Digit4 t e s ? Escape Enter";
    for (const key of wanted.split(" ")) expect(keys).toContain(key);
    for (const one of bindings) expect(one.help).not.toBe("");
  });

  it("change what they say, and speak", async () => {
    await show();
    const widget = ".xw-widget";
    press("s", {}, widget);
    press("x", {}, widget);
    press("d", {}, widget);
    expect(model.get("display")).toMatchObject({ sign: "absolute", blind: true, disagreement: true });
    press(",", {}, widget);
    press(".", {}, widget);
    press(".", {}, widget);
    press("<", { shiftKey: true }, widget);
    expect(model.get("window")).toEqual([0.04, 0.98]);
    press("Escape", {}, widget);
    expect(model.get("window")).toEqual([0, 1]);
    press("b", {}, widget);
    await vi.waitFor(() => expect(text("output[aria-live]")).toBe("white: gap 7.0 %"), 4000);
    press("f", {}, widget);
    expect(model.sentOf("refine")).toHaveLength(1);
    press("2", { code: "Digit2" }, widget);
    expect((document.activeElement as HTMLElement).dataset.xwPanel).toBe("2");
    // nothing of this went to the kernel
    expect(model.get("request_id")).toBe(0);
  });
});

describe("table", () => {
  it("has eleven rows between the ends of the path", async () => {
    const rows = curveRows(runTraits());
    expect(rows.map((one) => one.at)).toHaveLength(11);
    expect(rows[1]).toMatchObject({ at: 0.1, p: 0.1 });
    const [, , , late = 0] = runTraits().F;
    expect(rows[6]?.F).toBeCloseTo(late, 9);
    await show();
    press("t", {}, ".xw-widget");
    await settled();
    expect(el.querySelectorAll(".xw-table tbody tr")).toHaveLength(11);
  });
});

describe("export", () => {
  it("writes one line for each node, and neutralises formulas", async () => {
    const run = await decodeRun("path/black", runTraits());
    const lines = csvOf(run, '=cmd("x")').trim().split("\n");
    expect(lines[0]).toBe(`# "'=cmd(""x"")"`);
    expect(lines[1]).toBe("alpha,F,C,gap,probability");
    expect(lines).toHaveLength(2 + run.alphas.length);
    const [alpha, F, C, gap, probability] = (lines[3] ?? "").split(",").map(Number);
    expect([alpha, F, C, probability]).toEqual([0.1, run.F[1], run.C[1], 0.1]);
    expect(gap).toBeCloseTo((run.C[1] ?? 0) - (run.F[1] ?? 0), 12);
  });

  it("writes the run with its question, baseline and total as JSON", async () => {
    const store = storeOf(pathState());
    await vi.waitFor(() => expect(store.run.value).not.toBeNull());
    const json = formatsOf(store).find((one) => one.name === "json");
    if (!json) throw new Error("no JSON");
    const saved = JSON.parse(await (await json.make()).text());
    expect(saved.run).toMatchObject({ key: "path/black", alphas: [0, 0.1, 0.2, 0.6, 1], scores: runTraits().scores });
    expect(saved.baseline.id).toBe("black");
    expect(saved.question.text).toContain(HOSTILE);
    expect(saved.total).toHaveLength(4);
    const sum = saved.total.flat().reduce((all: number, one: number) => all + one, 0);
    expect(sum).toBeCloseTo(runTraits().C.at(-1) ?? 0, 4);
    expect(saved.provenance).toEqual({ model: "Tiny" });
  });

  it("leaves to the kernel what only it can make", async () => {
    mountStatic(el, pathState());
    await settled();
    press("e", {}, ".xw-widget");
    await settled();
    const off = [...el.querySelectorAll<HTMLButtonElement>(".xw-menu-item:disabled")].map((one) => one.textContent);
    expect(off).toEqual(["HTML page that works offline", "NumPy array"]);
  });
});

it("writes a picked colour as the colour input does", () => {
  expect(hexOf(255, 128, 0)).toBe("#ff8000");
});

describe("texts", () => {
  it("show whitespace, and nothing empty", () => {
    expect(visible(" a\n\t")).toBe("␣a⏎⇥");
    expect(visible("")).toBe("∅");
    expect(visible("\u0007")).toBe("⟨0007⟩");
    expect(visible("\u202Eevil")).toBe("⟨202E⟩evil");
  });

  it("have bars up for support and down for opposition, with the number in the name", async () => {
    await show({}, textState());
    const accumulated = el.querySelector("[data-xw-panel='3']");
    const tokens = [...(accumulated?.querySelectorAll("li") ?? [])];
    expect(tokens).toHaveLength(TOKENS.length);
    expect(tokens[0]?.textContent).toContain("Paris, supports");
    expect(tokens[0]?.querySelector(".xw-token-bar")?.getAttribute("data-direction")).toBe("1");
    expect(accumulated?.querySelector("ol")?.getAttribute("dir")).toBe("auto");
    expect(tokens[4]?.textContent).toContain("<b>big</b>");
    expect(el.querySelector("b")).toBeNull();
    expect(text("[data-xw-panel='1'] li:nth-child(4)")).toContain("unchanged");
  });
});

describe("hostile labels", () => {
  it("stay text everywhere", async () => {
    await show({ error: { title: HOSTILE, detail: HOSTILE, hint: HOSTILE, code: "x" } });
    press("t", {}, ".xw-widget");
    await settled();
    expect(el.querySelector("img")).toBeNull();
    expect(text(".xw-notices")).toContain(HOSTILE);
    expect(text(".xw-baseline:nth-child(3) .xw-baseline-title")).toContain(HOSTILE);
    expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
  });
});

const distribution = {
  mode: "distribution",
  baseline_id: "gaussian",
  shown: "distribution/gaussian",
  ...runTraits(),
  alphas: [0, 8, 16, 64, 128],
  prob: [],
  inc_meta: { ...runTraits().inc_meta, edges: [0, 64, 128] },
  facts: { ...runTraits().facts, samples: 128, ref_size: [4, 4], ref_alphas: [0.2, 0.7] },
};

describe("the question", () => {
  it("has every noun as a control", async () => {
    await show();
    const menus = [...el.querySelectorAll<HTMLSelectElement>(".xw-question select")];
    expect(menus.map((one) => one.getAttribute("aria-label"))).toEqual([
      "baseline",
      "class to explain",
      "class to contrast with",
      "most gradients on the path",
    ]);
    const steps = menus[3];
    expect([...(steps?.options ?? [])].map((one) => one.value)).toEqual(["9", "17", "33", "65", "129", "257"]);
    if (!steps) throw new Error("no steps");
    steps.value = "129";
    steps.dispatchEvent(new Event("change", { bubbles: true }));
    expect(model.get("params")).toMatchObject({ parameters: { steps: 129 } });
  });

  it("asks for a distribution from the first baseline that has one", async () => {
    await show();
    el.querySelector<HTMLInputElement>("input[value=distribution]")?.click();
    expect(model.get("params")).toMatchObject({ mode: "distribution", baseline: "gaussian" });
  });

  it("explains why the running mean misleads where it is chosen", async () => {
    await show();
    expect(text(".xw-cumulative")).not.toContain("divides");
    el.querySelector<HTMLInputElement>("input[value=running_mean]")?.click();
    await settled();
    expect(model.get("cumulative")).toBe("running_mean");
    expect(text(".xw-cumulative")).toContain("divides it by α");
    expect(model.get("request_id")).toBe(0);
  });
});

describe("references", () => {
  it("are revealed up to the slider; one is a way to its sample", async () => {
    await show({ ...distribution, alpha: 0.5, refs: new DataView(new ArrayBuffer(8)) });
    const buttons = [...el.querySelectorAll<HTMLButtonElement>(".xw-reference")];
    expect(buttons.map((one) => one.dataset.revealed)).toEqual(["true", "false"]);
    expect(buttons[1]?.getAttribute("aria-label")).toBe("reference of sample 128, α = 0.70");
    buttons[1]?.click();
    await settled();
    expect(model.get("alpha")).toBe(1);
    expect(el.querySelector<HTMLElement>(".xw-reference:nth-child(2)")?.dataset.revealed).toBe("true");
  });
});

describe("accessibility", () => {
  it.each([
    ["ready", () => show()],
    ["partial", () => show({ status: "partial", progress: { done: 9, total: 65, unit: "steps" } })],
    ["error", () => show({ status: "error", error: { title: "Out of memory", detail: "x", hint: "y", code: "oom" } })],
    ["text", () => show({}, textState())],
    ["distribution", () => show(distribution)],
    ["saved", async () => void mountStatic(el, pathState())],
  ])(
    "axe finds nothing wrong: %s",
    async (_name, open) => {
      await open();
      press("t", {}, ".xw-widget");
      press("e", {}, ".xw-widget");
      await settled();
      // colours need a browser that draws: tests/browser looks at them
      const { violations } = await axe.run(el, {
        rules: { "color-contrast": { enabled: false } },
        resultTypes: ["violations"],
      });
      expect(violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 120))])).toEqual([]);
    },
    20_000,
  );
});
