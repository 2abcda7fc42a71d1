import axe from "axe-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import widgets, { mountStatic } from "../src/index";
import { latexNumber, latexText } from "../src/lib/latex";
import { candidatesOf } from "../src/tokens/alternatives";
import { csvOf, formatsOf, jsonOf, latexOf } from "../src/tokens/export";
import { figureSvg, placed } from "../src/tokens/export-figure";
import { tokenBindings } from "../src/tokens/keys";
import { layOut } from "../src/tokens/layout";
import { abridged } from "../src/tokens/phrase";
import { TokenStore } from "../src/tokens/store";
import { sorted } from "../src/tokens/table";
import type { Step } from "../src/tokens/traits";
import { countOfUnits, outputName, spanNumber, unitName, verbOf } from "../src/tokens/words";
import { el, ended, press, settled, text, usePage } from "./page";
import { HOSTILE, KernelModel } from "./state";
import { classifyState, entry, generateState, lay, matrixOf, REVIEW } from "./tokens-state";
import { rememberBlobs, ThreadWorker } from "./worker";

usePage();

beforeAll(() => {
  rememberBlobs();
  vi.stubGlobal("Worker", ThreadWorker);
});
afterAll(() => vi.unstubAllGlobals());

let model: KernelModel;

async function show(change: Record<string, unknown> = {}, state = classifyState()): Promise<void> {
  model = new KernelModel({ ...state, ...change });
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await vi.waitFor(() => expect(el.querySelector(".xw-token-legend, .xw-matrix-panel")).not.toBeNull(), 4000);
  await settled();
}

async function storeOf(state: Record<string, unknown>): Promise<TokenStore> {
  model = new KernelModel(state);
  const store = new TokenStore(model, el, ended.signal);
  await vi.waitFor(() => expect(store.result.value).not.toBeNull());
  return store;
}

const widget = ".xw-widget";
const named = (label: string) => [...el.querySelectorAll("button")].find((one) => one.textContent?.includes(label));
const field = (name: string) => el.querySelector<HTMLInputElement>(`[aria-label="${name}"]`);

function type(name: string, value: string): void {
  const input = field(name);
  if (!input) throw new Error(`no field ${name}`);
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function choose(name: string, value: string): void {
  const menu = el.querySelector<HTMLSelectElement>(`select[aria-label="${name}"]`);
  if (!menu) throw new Error(`no menu ${name}`);
  menu.value = value;
  menu.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Unsigned values of the same text. */
function unsigned(): Record<string, unknown> {
  const one = entry(lay(REVIEW).values.map(Math.abs), { target: 1 }, { unsigned: true });
  return { ...one, archive: { [one.values_meta.key]: one } };
}

describe("words", () => {
  const eiffel = { text: " Eiffel", value: 0.42, unsigned: false, target: "Paris", rank: 1, count: 8 };

  it("name a token with what it does, how much, and its rank", () => {
    expect(unitName({ ...eiffel, text: "Eiffel" })).toBe("Eiffel, supports Paris, +0.420, rank 1 of 8");
    expect(unitName({ ...eiffel, value: -0.42, target: "" })).toContain("opposes the answer, −0.420");
    expect(unitName({ ...eiffel, unsigned: true })).toBe("Eiffel, influence, 0.420, rank 1 of 8");
    expect(unitName({ ...eiffel, text: "[CLS]", value: Number.NaN })).toBe("[CLS], not attributed");
    expect(verbOf(0, false)).toBe("no influence");
  });

  it("name output tokens, spans and counts", () => {
    const step: Step = { p: 0.81, logit: 5, entropy: 0.9, rank: 1, topk: [] };
    expect(outputName("Paris", step)).toBe("Paris, probability .81, rank 1, entropy 0.900 nats");
    expect(spanNumber([2, 2])).toBe("token 3");
    expect(spanNumber([2, 4])).toBe("tokens 3 to 5");
    expect(countOfUnits(1, "word")).toBe("1 word");
    expect(countOfUnits(3, "regex")).toBe("3 matches and tokens");
  });

  it("keep both ends of a long phrase", () => {
    expect(abridged("short")).toBe("short");
    const long = abridged(`a${"😀".repeat(300)}z`, 41);
    expect(long.startsWith("a😀")).toBe(true);
    expect(long.endsWith("😀z")).toBe(true);
    expect([...long].length).toBeLessThanOrEqual(41);
  });
});

describe("LaTeX", () => {
  it("sets hostile text as it stands", () => {
    expect(latexText("\\input{/etc/passwd} 100% $x_1^2$ a&b #1 ~")).toBe(
      "\\textbackslash{}input\\{/etc/passwd\\} 100\\% \\$x\\_1\\textasciicircum{}2\\$ a\\&b \\#1 \\textasciitilde{}",
    );
    // the end of a row would take these for its options, the end of a line for a paragraph
    expect(latexText("[CLS]\n\n* a--b")).toBe("{[}CLS] {*} a{-}{-}b");
    expect(latexText("^^5cinput")).not.toContain("^^");
    expect(latexNumber(-0.1234)).toBe("$-0.123$");
    expect(latexNumber(1.5e-9)).toBe("$1.50\\cdot 10^{-9}$");
    expect(latexNumber(Number.NaN)).toBe("--");
  });

  it("has a row for each unit, and every brace closed", async () => {
    const store = await storeOf({ ...classifyState(), specials: true });
    const table = latexOf(store);
    const rows = table.split("\n").filter((line) => line.startsWith("  ") && line.endsWith("\\\\"));
    expect(rows).toHaveLength(1 + store.units.value.all.length);
    expect(table).toContain("  not & $-2.00$ & $");
    expect(table).toContain("  {[}CLS] & $-0.500$");
    expect(table).not.toContain("<img");
    const bare = table.replace(/\\[{}]/g, "");
    expect(bare.split("{").length).toBe(bare.split("}").length);
    // the mark that turns the direction is shown, not written
    expect(table).not.toContain("\u202e");
  });
});

describe("files", () => {
  it("CSV has one line for each unit, in the units on show", async () => {
    const store = await storeOf({ ...classifyState(), granularity: { mode: "word", regex: "" } });
    const lines = csvOf(store).trim().split("\n");
    expect(lines[1]).toBe("start,end,text,value,share,rank");
    expect(lines[2]).toMatch(/^0,3,"not",-2,0\.33\d*,2$/);
    expect(lines[3]).toMatch(/^4,13,"unhelpful",3\.5,0\.58\d*,1$/);
    expect(lines).toHaveLength(2 + 4);
  });

  it("CSV neutralises formulas", async () => {
    const store = await storeOf(
      classifyState([
        ['=cmd|"x"', 1],
        [" ", Number.NaN],
        ["-2+3", 1],
        [" ", Number.NaN],
        ["-", 1],
      ]),
    );
    const [, , ...lines] = csvOf(store).trim().split("\n");
    expect(lines.map((line) => line.split(",")[2])).toEqual(['"\'=cmd|""x"""', `"'-2+3"`, '"-"']);
  });

  it("JSON has the text, its tokens and the groups on show", async () => {
    const store = await storeOf({ ...classifyState(), selection: [[4, 13]], provenance: { model: "Tiny" } });
    const saved = JSON.parse(jsonOf(store));
    expect(saved.text).toBe(lay(REVIEW).text);
    expect(saved.tokens).toHaveLength(lay(REVIEW).tokens.length);
    expect(saved.tokens[1]).toMatchObject({ start: 0, end: 3, special: false, value: -2 });
    expect(saved.groups).toHaveLength(6);
    expect(saved.selection).toMatchObject({ ranges: [[4, 13]], sum: 3.5, tokens: 3, text: "unhelpful" });
    expect(saved.provenance).toEqual({ model: "Tiny" });
    expect(saved.question.text).toContain("Why target 1");
  });

  it("SVG shows the text as text, with bars on both sides of the line", async () => {
    const store = await storeOf(classifyState());
    const { markup, height } = figureSvg(store);
    const figure = new DOMParser().parseFromString(markup, "image/svg+xml");
    expect(figure.querySelector("img, script, foreignObject")).toBeNull();
    const texts = [...figure.querySelectorAll("text")].map((one) => one.textContent);
    expect(texts).toContain("not");
    expect(texts.some((one) => one?.includes("<img src=x"))).toBe(true);
    expect(texts.join(" ")).toContain("supports target 1");
    expect(markup).not.toContain("\u202e");
    const bars = [...figure.querySelectorAll("rect[opacity]")];
    const fills = new Set(bars.map((one) => one.getAttribute("fill")));
    expect(fills).toEqual(new Set(["#c44e00", "#0b62b0"]));
    // the strongest is as high as bars get
    expect(Math.max(...bars.map((one) => Number(one.getAttribute("height"))))).toBeCloseTo(20, 6);
    expect(Number(figure.documentElement.getAttribute("height"))).toBe(height);
  });

  it("SVG says so where values have no sign", async () => {
    const store = await storeOf({ ...classifyState(), ...unsigned() });
    const { markup } = figureSvg(store);
    expect(markup).toContain("unsigned: how much, not in which direction");
    expect(markup).not.toContain("#c44e00");
  });

  it("turns what is written from right to left", () => {
    const laid = lay([
      ["שלום", 1],
      [" ", Number.NaN],
      ["עולם", 1],
    ]);
    const measure = (one: string) => 10 * one.length;
    const unitOf = (stretch: number) => (laid.strip[stretch]?.length === 2 ? -1 : stretch);
    const layout = layOut({ ...laid, from: 0, to: 3, unitOf, surfaceOf: () => "", measure, available: 500 });
    const [line] = layout.lines;
    if (!line) throw new Error("no line");
    const places = placed(line, 500, layout.rightToLeft);
    const [first, , last] = line.fragments.map((one) => places.get(one) ?? 0);
    expect(first).toBeGreaterThan(last ?? 0);
    expect((first ?? 0) + (line.fragments[0]?.width ?? 0)).toBeCloseTo(500, 6);
  });

  it("come from the page where they can, from the kernel where they must", async () => {
    const store = await storeOf(classifyState());
    const live = formatsOf(store).filter((one) => one.live);
    expect(live.map((one) => one.name)).toEqual(["html", "npy"]);
    ended.abort();
  });
});

describe("the unit", () => {
  it("is chosen without asking the kernel", async () => {
    await show();
    el.querySelector<HTMLInputElement>("input[value=word]")?.click();
    await settled();
    expect(model.get("granularity")).toEqual({ mode: "word", regex: "" });
    expect(model.get("request_id")).toBe(0);
    expect(model.saves).toBe(0);
  });

  it("keeps the last grouping that worked while a pattern is none, and while one is too slow", async () => {
    const slow = `${"a".repeat(60)}!`;
    await show(
      { granularity: { mode: "regex", regex: "" } },
      classifyState([
        ["not", -2],
        [" ", Number.NaN],
        ["un", 1],
        ["help", 2],
        [slow, 1],
      ]),
    ); // prettier-ignore
    const count = () => el.querySelectorAll("[role=option]").length;
    expect(count()).toBe(4);
    type("regular expression", "un\\w+");
    await vi.waitFor(() => expect(count()).toBe(2), 4000);
    type("regular expression", "un(");
    await vi.waitFor(() => expect(text(".xw-field-problem")).toContain("Unterminated group"), 4000);
    expect(field("regular expression")?.getAttribute("aria-invalid")).toBe("true");
    expect(count()).toBe(2);
    type("regular expression", "(a+)+$");
    await vi.waitFor(() => expect(text(".xw-field-problem")).toContain("Too slow"), 4000);
    expect(count()).toBe(2);
    type("regular expression", "not");
    await vi.waitFor(() => expect(el.querySelector(".xw-field-problem")).toBeNull(), 4000);
  }, 20_000);
});

describe("the question", () => {
  it("of a generation has token, foil, baseline and method as menus", async () => {
    await show({}, generateState());
    const menus = [...el.querySelectorAll<HTMLSelectElement>(".xw-question select")];
    expect(menus.map((one) => one.getAttribute("aria-label"))).toEqual([
      "output token to explain",
      "token to contrast with",
      "baseline",
      "method",
    ]);
    expect(menus[0]?.selectedOptions[0]?.textContent).toBe("“Paris” (token 1)");
    choose("token to contrast with", "1");
    expect(model.get("params")).toMatchObject({ foil_token: 1, span: [0, 0] });
    expect(model.get("request_id")).toBe(1);
  });

  it("goes to an answer the page holds without asking", async () => {
    await show({}, generateState());
    choose("output token to explain", "1");
    await settled();
    expect(model.get("request_id")).toBe(0);
    expect(text(".xw-token-legend")).toContain("target 1,1");
    choose("output token to explain", "2");
    expect(model.get("request_id")).toBe(1);
  });

  it("has no contrast where the foil is what came", async () => {
    const params = { ...(generateState().params as object), foil_token: 0 };
    await show({ params }, generateState());
    const menu = el.querySelector<HTMLSelectElement>("select[aria-label='token to contrast with']");
    expect(menu?.selectedOptions[0]?.textContent).toBe("anything else");
    // answers without a contrast are there to go to
    expect(el.querySelectorAll("[data-list=output] [data-open]")).toHaveLength(1);
  });

  it("offers without a kernel only what the page holds", async () => {
    mountStatic(el, generateState());
    await settled();
    await settled();
    const options = [...el.querySelectorAll<HTMLOptionElement>('select[aria-label="output token to explain"] option')];
    expect(options.map((one) => one.disabled)).toEqual([false, false, true]);
  });
});

describe("candidates", () => {
  const alternative = (id: number, surface: string, p: number, logit: number) => ({ id, text: surface, p, logit });

  it("hold what came, even where it was none of the first", () => {
    const topk = [alternative(1, "a", 0.5, 3), alternative(2, "b", 0.3, 2)];
    const came = candidatesOf({ p: 0.3, logit: 2, entropy: 1, rank: 2, topk }, "b");
    expect(came.map((one) => one.chosen)).toEqual([false, true]);
    const rare = candidatesOf({ p: 0.01, logit: -1, entropy: 1, rank: 40, topk }, "z");
    expect(rare[2]).toMatchObject({ text: "z", rank: 40, chosen: true });
    const tie = candidatesOf(
      { p: 0.5, logit: 3, entropy: 1, rank: 1, topk: [...topk, alternative(3, "c", 0.5, 3)] },
      "c",
    );
    expect(tie.map((one) => one.chosen)).toEqual([false, false, true]);
  });

  it("become the foil with a click, and no more with another", async () => {
    await show({}, generateState());
    expect(text(".xw-candidates")).toContain("entropy 1.50 nats");
    named("London")?.click();
    await settled();
    expect(model.get("params")).toMatchObject({ foil_token: 1 });
    expect(named("London")?.dataset.role).toBe("contrast");
    named("London")?.click();
    await vi.waitFor(() => expect(named("London")?.dataset.role).toBe(""));
  });
});

describe("what if", () => {
  it("asks as the text is edited, once the typing rests", async () => {
    await show();
    press("i", {}, widget);
    await settled();
    expect(document.activeElement).toBe(field("the text, to be edited"));
    type("the text, to be edited", "a");
    type("the text, to be edited", "a good film");
    expect(model.sentOf("whatif")).toHaveLength(0);
    await vi.waitFor(() => expect(model.sentOf("whatif")).toEqual([{ type: "whatif", text: "a good film" }]), 3000);
    const before = model.get("classes") as object[];
    const after = before.map((one) => ({ ...one, score: 0.5 }));
    model.set("whatif", { text: "a good film", before, after, seconds: 0.02 });
    await settled();
    expect(text("[aria-label='what if']")).toContain(".70 → .50");
    named("Explain this text")?.click();
    expect(model.get("edited_text")).toBe("a good film");
    expect(model.saves).toBeGreaterThan(0);
  });

  it("masks the chosen phrase", async () => {
    await show({ selection: [[0, 3]] });
    expect(text("[aria-label='chosen phrase']")).toContain("−2.00");
    press("w", {}, widget);
    expect(model.sentOf("whatif")).toEqual([{ type: "whatif", mask: [0, 3] }]);
  });

  it("of a generation edits the prompt and compares the target's probability", async () => {
    await show(
      { whatif: { text: "x", before: [], after: [], p_before: 0.64, p_after: 0.12, seconds: 0.1 } },
      generateState(),
    ); // prettier-ignore
    expect(text("[aria-label='what if']")).toContain(".64 → .12");
    press("i", {}, widget);
    await settled();
    expect(field("the prompt, to be edited")?.value).toBe("The Eiffel Tower of");
  });
});

describe("search", () => {
  it("counts, goes on and back, and ends", async () => {
    await show();
    press("/", {}, widget);
    await settled();
    expect(document.activeElement).toBe(field("find in the text"));
    type("find in the text", "E");
    await settled();
    const count = () => text(".xw-search output");
    expect(count()).toMatch(/^1 of \d+$/);
    press("Enter", {}, "[aria-label='find in the text']");
    await settled();
    expect(count()).toMatch(/^2 of/);
    press("Enter", { shiftKey: true }, "[aria-label='find in the text']");
    await settled();
    expect(count()).toMatch(/^1 of/);
    type("find in the text", "zebra");
    await settled();
    expect(count()).toBe("not found");
    press("Escape", {}, "[aria-label='find in the text']");
    await settled();
    expect(el.querySelector(".xw-search")).toBeNull();
    expect(el.querySelector("[data-hit]")).toBeNull();
  });
});

describe("legend and table", () => {
  it("say what a full bar is worth, and which way is which", async () => {
    await show();
    expect(text(".xw-token-legend")).toContain("supports target 1");
    expect(text(".xw-token-ticks")).toBe("−2.000+2.00");
    expect(text(".xw-legend-note")).toContain("full bar = 2.00 logit");
  });

  it("say so where there is no direction", async () => {
    await show(unsigned());
    expect(text(".xw-token-legend")).not.toContain("supports");
    expect(text(".xw-token-legend")).toContain("unsigned");
    expect(text(".xw-token-ticks")).toBe("02.00");
  });

  it("sort by every column", async () => {
    const store = await storeOf(classifyState());
    const units = store.units.value.all.filter((one) => store.isShown(one));
    const order = (column: "text" | "value" | "share" | "rank", descending: boolean) =>
      sorted(units, { column, descending }).map((one) => one.value);
    expect(order("text", false)).toEqual([-2, 1, 2, 0.5, 0.25, -0.25]);
    expect(order("value", true)[0]).toBe(2);
    expect(order("value", false)[0]).toBe(-2);
    expect(order("rank", false).map(Math.abs)).toEqual([2, 2, 1, 0.5, 0.25, 0.25]);
    expect(order("share", true).map(Math.abs)[0]).toBe(2);
  });

  it("goes to a unit, and back through its headings", async () => {
    await show();
    press("t", {}, widget);
    await settled();
    const heads = () => [...el.querySelectorAll("th")].map((one) => one.getAttribute("aria-sort"));
    expect(heads()).toEqual(["ascending", null, null, null, null]);
    named("value (logit)")?.click();
    await settled();
    expect(heads()).toEqual([null, null, "descending", null, null]);
    named("help")?.click();
    await settled();
    expect(el.querySelector("tr[aria-current]")?.textContent).toContain("help");
    expect(el.querySelector("img")).toBeNull();
  });
});

describe("keys", () => {
  it("are all there, each once, each with a help", async () => {
    const wanted =
      "ArrowLeft ArrowRight ArrowUp ArrowDown Ctrl+ArrowLeft Ctrl+ArrowRight Shift+ArrowLeft Shift+ArrowRight Home End Space f g / ? Escape [ ] 0 s t e Enter n N w i d x";
    const own = { classify: "Digit1 Shift+Digit2", generate: "m a" };
    for (const state of [classifyState(), generateState()]) {
      const store = await storeOf(state);
      const bindings = tokenBindings(store);
      const keys = bindings.flatMap((one) => one.keys);
      expect(new Set(keys).size).toBe(keys.length);
      expect(new Set(bindings.map((one) => one.print)).size).toBe(bindings.length);
      for (const key of `${wanted} ${own[store.task.value]}`.split(" ")) expect(keys).toContain(key);
      for (const one of bindings) expect(one.help).not.toBe("");
    }
  });

  it("change what they say, and ask for nothing", async () => {
    await show();
    press("g", {}, widget);
    expect(model.get("granularity")).toMatchObject({ mode: "word" });
    press("G", { shiftKey: true }, widget);
    press("G", { shiftKey: true }, widget);
    // no pattern, so that it is passed over
    expect(model.get("granularity")).toMatchObject({ mode: "paragraph" });
    press("g", {}, widget);
    expect(model.get("granularity")).toMatchObject({ mode: "token" });
    press("s", {}, widget);
    expect(model.get("show")).toBe("tint");
    press("[", {}, widget);
    expect(model.get("k")).toBe(5);
    press("[", {}, widget);
    expect(model.get("k")).toBe(3);
    press("0", { code: "Digit0" }, widget);
    expect(model.get("k")).toBe(0);
    press("x", {}, widget);
    expect(model.get("specials")).toBe(true);
    // a classifier has no matrix
    expect(press("m", {}, widget).defaultPrevented).toBe(false);
    expect(model.get("request_id")).toBe(0);
    expect(model.saves).toBe(0);
  });

  it("keep their place in the text when it is read in other units", async () => {
    await show();
    const name = () => document.activeElement?.getAttribute("aria-label") ?? "";
    const option = (start: string) => el.querySelector<HTMLElement>(`[role=option][aria-label^="${start}"]`);
    option("help")?.focus();
    press("ArrowRight", {}, "[role=option][aria-label^=help]");
    await vi.waitFor(() => expect(name()).toMatch(/^ful,/));
    press("g", {}, widget);
    await vi.waitFor(() => expect(name()).toMatch(/^unhelpful,/));
    press("G", { shiftKey: true }, widget);
    await vi.waitFor(() => expect(name()).toMatch(/^ful,/));
  });

  it("ask for classes, foils, the matrix", async () => {
    await show();
    press("f", {}, widget);
    expect((document.activeElement as HTMLElement).getAttribute("aria-label")).toBe("class to contrast with");
    press("2", { code: "Digit2", shiftKey: true }, widget);
    expect(model.get("params")).toMatchObject({ foil: 0 });
    expect(press("a", {}, widget).defaultPrevented).toBe(false);
  });

  it("of a generation go to the candidates, and attribute all of the output", async () => {
    await show({}, generateState());
    press("f", {}, widget);
    expect(document.activeElement?.textContent).toContain("London");
    document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    expect(document.activeElement?.textContent).toContain("⏎");
    press("a", {}, widget);
    expect(model.sentOf("columns")).toHaveLength(1);
    press("m", {}, widget);
    expect(model.get("view")).toBe("matrix");
  });

  it("release what is open, from the inside out", async () => {
    await show({ selection: [[0, 3]] });
    press("t", {}, widget);
    press("?", {}, widget);
    press("/", {}, widget);
    await settled();
    expect(text(".xw-help")).toContain("while the text has the focus");
    const open = () =>
      [".xw-help", ".xw-search", "[aria-label='chosen phrase']", ".xw-table"].map(
        (one) => el.querySelector(one) !== null,
      ); // prettier-ignore
    const seen = [open()];
    for (let count = 0; count < 4; count++) {
      press("Escape", {}, widget);
      await settled();
      seen.push(open());
    }
    expect(seen.map((one) => one.filter(Boolean).length)).toEqual([4, 3, 2, 1, 0]);
    expect(press("Escape", {}, widget).defaultPrevented).toBe(false);
  });
});

describe("hostile text", () => {
  it("stays text everywhere", async () => {
    await show({
      selection: [[0, lay(REVIEW).text.length]],
      error: { title: HOSTILE, detail: HOSTILE, hint: HOSTILE, code: "x" },
      whatif: {
        text: HOSTILE,
        before: [{ id: 1, name: HOSTILE, score: 1 }],
        after: [{ id: 1, name: HOSTILE, score: 0 }],
        seconds: 1,
      }, // prettier-ignore
    });
    for (const key of "tide") press(key, {}, widget);
    await settled();
    expect(el.querySelector("img")).toBeNull();
    expect(text("[aria-label='what if']")).toContain("<img");
    expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
  });
});

describe("accessibility", () => {
  const rows = { 0: [0.25, 2, 1, -0.5, 0, 0, 0], 1: [1, 1, 1, 1, -3, 0, 0] };
  it.each([
    ["ready", () => show()],
    ["partial", () => show({ status: "partial", progress: { done: 9, total: 64, unit: "evaluations" } })],
    ["error", () => show({ status: "error", error: { title: "Out of memory", detail: "x", hint: "y", code: "oom" } })],
    ["unsigned", () => show(unsigned())],
    ["pattern", () => show({ granularity: { mode: "regex", regex: "(" } })],
    ["saved", async () => void mountStatic(el, classifyState())],
    ["generation", () => show({}, generateState())],
    ["matrix", () => show({ ...matrixOf(rows), view: "matrix" }, generateState())],
  ])(
    "axe finds nothing wrong: %s",
    async (_name, open) => {
      await open();
      await settled();
      for (const key of "tide/") press(key, {}, widget);
      await settled();
      // colours need a browser that draws: tests/browser looks at them
      const { violations } = await axe.run(el, {
        rules: { "color-contrast": { enabled: false } },
        resultTypes: ["violations"],
      });
      expect(violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 160))])).toEqual([]);
    },
    20_000,
  );
});
