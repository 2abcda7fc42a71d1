import axe from "axe-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widgets, { mountStatic } from "../src/index";
import { bitsOf, layOut } from "../src/tokens/layout";
import { spanAfterClick } from "../src/tokens/outputs";
import { TokenStore } from "../src/tokens/store";
import type { StretchTuple, TokenParams } from "../src/tokens/traits";
import { KernelModel } from "./state";
import { classifyState, entry, generateState, lay, matrixOf, REVIEW, type Spelled } from "./tokens-state";

let el: HTMLElement;
let ended: AbortController;
let model: KernelModel;

const settled = () => new Promise((resolve) => setTimeout(resolve, 60));

beforeEach(() => {
  el = document.createElement("div");
  document.body.append(el);
  ended = new AbortController();
});
afterEach(() => {
  ended.abort();
  el.remove();
});

async function mount(state: Record<string, unknown> = classifyState()): Promise<void> {
  model = new KernelModel(state);
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await vi.waitFor(() => expect(el.querySelector(".xw-token-legend, .xw-matrix-panel")).not.toBeNull(), 4000);
  await settled();
}

async function openStore(state: Record<string, unknown>): Promise<TokenStore> {
  model = new KernelModel(state);
  const store = new TokenStore(model, el, ended.signal);
  await vi.waitFor(() => expect(store.result.value).not.toBeNull());
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  return store;
}

const heard = () => ({ saves: model.saves, sent: model.sent.length });
const all = (selector: string) => [...el.querySelectorAll<HTMLElement>(selector)];
const options = (list = "prompt") => all(`[data-list=${list}] [role=option]`);
const option = (name: string) => {
  const found = all("[role=option]").find((one) => one.getAttribute("aria-label")?.startsWith(name));
  if (!found) throw new Error(`no option ${name}`);
  return found;
};
const selected = () => all("[role=option][aria-selected=true]").map((one) => one.textContent);
const key = (target: HTMLElement, name: string, more: KeyboardEventInit = {}) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));
const click = (target: HTMLElement, more: MouseEventInit = {}) =>
  target.dispatchEvent(new MouseEvent("click", { bubbles: true, ...more }));
const pointer = (target: HTMLElement, type: string, more: PointerEventInit = {}) =>
  target.dispatchEvent(new PointerEvent(type, { bubbles: true, button: 0, buttons: 1, ...more }));
/** What the strip would give to the clipboard: the text in the page. */
const joined = () =>
  all(".xw-lines")
    .map((list) => list.textContent)
    .join("");

describe("the strip", () => {
  it("is the text, exactly, and nothing in it is markup", async () => {
    await mount();
    expect(joined()).toBe(model.get("text"));
    expect(el.querySelector(".xw-list img")).toBeNull();
    expect("hacked" in globalThis).toBe(false);
  });

  it("is the text in every unit and with special tokens", async () => {
    const tricky: readonly Spelled[] = [
      ["[[CLS]]", 0],
      ["def", 1],
      [" \u00a0add", 1],
      ["\n\t", 1],
      ["  ", Number.NaN],
      ["這", 1],
      ["電影", -1],
      [" \u202eعربي", 1],
      ["\r\n\n", 1],
      [" ", 1],
    ];
    await mount(classifyState(tricky));
    for (const mode of ["token", "word", "sentence", "line"]) {
      for (const specials of [true, false]) {
        model.set("granularity", { mode, regex: "" });
        model.set("specials", specials);
        await settled();
        expect(joined()).toBe(model.get("text"));
      }
    }
  });

  it("names its tokens with word, direction, value and rank", async () => {
    await mount();
    const list = el.querySelector("[role=listbox]");
    expect(list?.getAttribute("aria-multiselectable")).toBe("true");
    expect(option("not").getAttribute("aria-label")).toBe("not, opposes target 1, −2.00, rank 1 of 6");
    expect(option("help").getAttribute("aria-posinset")).toBe("3");
    expect(options().every((one) => one.getAttribute("aria-setsize") === "6")).toBe(true);
    expect(options().filter((one) => one.tabIndex === 0)).toHaveLength(1);
    expect(all(".xw-unit").map((one) => one.style.getPropertyValue("--v"))[0]).toBe("1.000");
  });

  it("hides special tokens unless asked, and they take part in nothing", async () => {
    await mount();
    expect(joined()).not.toContain("CLS");
    model.set("specials", true);
    await settled();
    expect(options()).toHaveLength(8);
    expect(option("[CLS]")).toBeTruthy();
  });

  it("groups by word without asking, one option for each", async () => {
    await mount();
    const before = heard();
    model.set("granularity", { mode: "word", regex: "" });
    await settled();
    expect(option("unhelpful").getAttribute("aria-label")).toBe("unhelpful, supports target 1, +3.50, rank 1 of 4");
    expect(heard()).toEqual(before);
  });

  it("strengths without a direction are neither for nor against", async () => {
    const laid = lay(REVIEW);
    const sizes = laid.values.map(Math.abs);
    await mount({ ...classifyState(), ...entry(sizes, { target: 1 }, { unsigned: true }), archive: {} });
    expect(option("not").getAttribute("aria-label")).toBe("not, influence, 2.00, rank 1 of 6");
    expect(el.querySelector(".xw-scroll")?.getAttribute("data-unsigned")).toBe("true");
    expect(all("[data-direction='-1'].xw-unit")).toHaveLength(0);
  });

  it("passes the accessibility rules", async () => {
    await mount(generateState());
    const { violations } = await axe.run(el, {
      rules: { "color-contrast": { enabled: false }, region: { enabled: false } },
    });
    expect(violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`)).toEqual([]);
  });
});

describe("lines", () => {
  const measure = (text: string) => 10 * [...text].length;
  const lines = (spelled: readonly Spelled[], available: number) => {
    const { text, strip } = lay(spelled);
    const { lines: found, ...rest } = layOut({
      text,
      strip,
      from: 0,
      to: strip.length,
      unitOf: (stretch) => ((strip[stretch] as StretchTuple).length > 2 ? stretch : -1),
      surfaceOf: () => "",
      measure,
      available,
    });
    return {
      ...rest,
      found,
      texts: found.map((line) => line.fragments.map((one) => text.slice(one.start, one.end)).join("")),
    };
  };

  it("keep the pieces of a word together where they fit, and end at line breaks", () => {
    const words: readonly Spelled[] = [
      ["aa", 1],
      [" ", Number.NaN],
      ["bb", 1],
      ["cc", 1],
      ["dd\n", 1],
      ["e", 1],
    ];
    expect(lines(words, 100).texts).toEqual(["aa ", "bbccdd\n", "e"]);
    expect(lines(words, 50).texts.join("")).toBe("aa bbccdd\ne");
  });

  it("turn what runs against the text's direction together", () => {
    const mixed: readonly Spelled[] = [
      ["שלום", 1],
      [" ", Number.NaN],
      ["Citizen", 1],
      [" ", Number.NaN],
      ["Kane", 1],
      [" ", Number.NaN],
      ["עולם", 1],
    ];
    const { found, rightToLeft } = lines(mixed, 1000);
    expect(rightToLeft).toBe(true);
    expect(found[0]?.runs.map((run) => [run.rightToLeft, run.fragments.length])).toEqual([
      [true, 2],
      [false, 3],
      [true, 2],
    ]);
  });

  it("show whitespace that is a token, and marks nobody can see", () => {
    const shown = (text: string) =>
      bitsOf(text, true)
        .map((bit) => bit.shown)
        .join("");
    expect(shown("\n\t")).toBe("⏎⇥");
    expect(shown("  ")).toBe("␣␣");
    expect(shown(" a\u202eb")).toBe(" a⟨202E⟩b");
    expect(bitsOf(" ", false)).toEqual([{ kind: "text", raw: " ", shown: " " }]);
    expect(bitsOf(" Paris", true)[0]?.kind).toBe("lead");
  });
});

describe("long texts", () => {
  const long = (count: number): Spelled[] =>
    Array.from({ length: count }, (_, token) => [
      `${token % 7 === 0 ? "unhelpful" : "word"}${token} `,
      Math.sin(token),
    ]);

  it("keep only the lines in view in the page", async () => {
    await mount(classifyState(long(4000)));
    expect(options().length).toBeGreaterThan(20);
    expect(options().length).toBeLessThan(250);
    expect(all(".xw-list *").length).toBeLessThan(1200);
    expect(options()[0]?.getAttribute("aria-setsize")).toBe("4000");
  });

  it("scroll without a message, with their places in the whole", async () => {
    await mount(classifyState(long(4000)));
    const before = heard();
    const scroll = el.querySelector<HTMLElement>(".xw-scroll");
    if (!scroll) throw new Error("no list");
    scroll.scrollTop = 9000;
    scroll.dispatchEvent(new Event("scroll"));
    await settled();
    const places = options().map((one) => Number(one.getAttribute("aria-posinset")));
    expect(places.at(-1)).toBeGreaterThan(800);
    expect(options().length).toBeLessThan(250);
    // Tab still finds the list
    expect(options().filter((one) => one.tabIndex === 0)).toHaveLength(1);
    expect(heard()).toEqual(before);
  });

  it("go where the keyboard and the search go", async () => {
    await mount(classifyState(long(1000)));
    options()[0]?.focus();
    key(options()[0] as HTMLElement, "End");
    await settled();
    expect(document.activeElement?.getAttribute("aria-posinset")).toBe("1000");
    key(document.activeElement as HTMLElement, "ArrowRight", { ctrlKey: true });
    key(document.activeElement as HTMLElement, "ArrowLeft", { ctrlKey: true });
    await settled();
    const rank = Number(document.activeElement?.getAttribute("aria-label")?.match(/rank (\d+)/)?.[1]);
    expect(rank).toBeLessThanOrEqual(100);
  });
});

describe("phrases", () => {
  it("are chosen by click, Shift, Ctrl and keys, summed, and nothing is sent", async () => {
    await mount();
    const before = heard();
    click(option("un"));
    await settled();
    expect(selected()).toEqual(["un"]);
    click(option("ful"), { shiftKey: true });
    await settled();
    expect(selected()).toEqual(["un", "help", "ful"]);
    expect(model.get("selection_sum")).toMatchObject({ sum: 3.5, tokens: 3, text: "unhelpful" });
    click(option("not"), { ctrlKey: true });
    await settled();
    expect(model.get("selection")).toEqual([
      [0, 3],
      [4, 13],
    ]);
    key(option("not"), " ");
    await settled();
    expect(model.get("selection")).toEqual([[0, 3]]);
    key(option("not"), "ArrowRight", { shiftKey: true });
    await settled();
    expect(model.get("selection")).toEqual([[0, 6]]);
    expect(heard()).toEqual(before);
  });

  it("are drawn with the pointer", async () => {
    await mount();
    pointer(option("not"), "pointerdown");
    pointer(option("help"), "pointermove");
    await settled();
    expect(selected()).toEqual(["not", "un", "help"]);
    expect(model.get("selection")).toEqual([]);
    pointer(option("help"), "pointerup");
    await settled();
    expect(model.get("selection")).toEqual([[0, 10]]);
  });
});

describe("answers", () => {
  it("going back to a finished one asks nobody, and rides along with the next question", async () => {
    const store = await openStore(classifyState());
    const before = heard();
    store.explain(0);
    expect(store.result.value?.caption).toBe("caption of 0");
    expect(store.units.value.all[1]?.value).toBe(2);
    expect(heard()).toEqual(before);
    store.explain(1);
    expect(store.result.value?.caption).toBe("caption of 1");
    expect(heard()).toEqual(before);
    store.change({ parameters: { steps: 99 } });
    expect(heard().saves).toBe(before.saves + 1);
    expect(model.get("params")).toMatchObject({ target: 1, parameters: { steps: 99 } });
  });

  it("a new result takes the place of one the reader went back to", async () => {
    const store = await openStore(classifyState());
    store.explain(0);
    store.change({ parameters: { steps: 99 } });
    const fresh = entry(lay(REVIEW).values, { target: 0, parameters: { steps: 99 } });
    for (const [name, value] of Object.entries({ ...fresh, caption: "fresh", seq: 2 })) model.set(name, value);
    await vi.waitFor(() => expect(store.about.value.caption).toBe("fresh"));
  });

  it("also without a kernel: a saved strip goes to what it holds, and stays at the rest", async () => {
    const end = mountStatic(el, classifyState());
    await vi.waitFor(() => expect(options()).toHaveLength(6));
    await settled();
    expect(option("not").getAttribute("aria-label")).toContain("target 1");
    end();
    expect(el.textContent).toBe("");
  });

  it("leave no listener behind", async () => {
    await mount(generateState());
    expect(model.listenerCount).toBeGreaterThan(0);
    ended.abort();
    expect(model.listenerCount).toBe(0);
    expect(el.childElementCount).toBe(0);
  });
});

describe("output tokens", () => {
  it("a span grows with Shift and shrinks at its edges", () => {
    expect(spanAfterClick([2, 2], [4, 4], true)).toEqual([2, 4]);
    expect(spanAfterClick([2, 4], [0, 0], true)).toEqual([0, 4]);
    expect(spanAfterClick([2, 4], [2, 2], false)).toEqual([3, 4]);
    expect(spanAfterClick([2, 4], [4, 4], false)).toEqual([2, 3]);
    expect(spanAfterClick([2, 4], [3, 3], false)).toEqual([3, 3]);
    expect(spanAfterClick([3, 3], [3, 3], false)).toEqual([3, 3]);
  });

  it("a click explains one: what the page holds without asking, the rest by asking", async () => {
    await mount(generateState());
    const before = heard();
    click(option(",")); // held in the archive
    await settled();
    expect(option("The").getAttribute("aria-label")).toContain("+1.00");
    expect(selected()).toEqual([","]);
    expect(heard()).toEqual(before);
    click(option("is"));
    await settled();
    expect((model.get("params") as TokenParams).span).toEqual([2, 2]);
    expect(model.saves).toBe(before.saves + 1);
    click(option("Paris"), { shiftKey: true });
    await vi.waitFor(() => expect((model.get("params") as TokenParams).span).toEqual([0, 2]), 2000);
  });

  it("hovering previews what the page holds, and asks for nothing", async () => {
    await mount(generateState());
    const before = heard();
    expect(all("[data-open]").map((one) => one.textContent)).toEqual([" is"]);
    pointer(option(","), "pointermove", { buttons: 0 });
    await settled();
    expect(option("The").getAttribute("aria-label")).toContain("+1.00");
    expect(selected()).toEqual([" Paris"]);
    pointer(option("is"), "pointermove", { buttons: 0 });
    await settled();
    expect(option("The").getAttribute("aria-label")).toContain("+0.25");
    expect(heard()).toEqual(before);
  });

  it("Enter explains the token at the keyboard", async () => {
    await mount(generateState());
    key(option("is"), "Enter");
    await settled();
    expect((model.get("params") as TokenParams).span).toEqual([2, 2]);
    expect(model.sentOf("run")).toHaveLength(0);
    key(option("is"), "Enter");
    expect(model.sentOf("run")).toHaveLength(1);
  });

  it("a foil is a choice of the last token, and goes with the span", async () => {
    const store = await openStore(generateState());
    store.setFoilToken(1);
    expect(model.get("params")).toMatchObject({ span: [0, 0], foil_token: 1 });
    store.setSpan([1, 1]);
    expect(store.foilToken.value).toBeNull();
  });
});

describe("the matrix", () => {
  it("fills row by row, and its rows are answers", async () => {
    const store = await openStore({ ...generateState(), archive: {}, ...matrixOf({ 0: [1, 2, 3, 4, 0, 0, 0] }) });
    await vi.waitFor(() => expect(store.currentMatrix.value?.have.size).toBe(1));
    expect(store.matrixComplete).toBe(false);
    for (const [name, value] of Object.entries(matrixOf({ 0: [1, 2, 3, 4, 0, 0, 0], 2: [-1, 0, 0, 0, 1, 2, 0] })))
      model.set(name, value);
    await vi.waitFor(() => expect(store.currentMatrix.value?.have.size).toBe(2));
    const before = heard();
    store.setSpan([2, 2]);
    expect(store.result.value?.source).toBe("matrix");
    expect([...(store.result.value?.values ?? [])]).toEqual([-2, 0, 0, 0, 2, 4, 0]);
    expect(heard()).toEqual(before);
  });

  it("of another method says nothing about this one", async () => {
    const other = matrixOf({ 0: [1, 2, 3, 4, 0, 0, 0] }, { method: "norm", parameters: {} });
    const store = await openStore({ ...generateState(), archive: {}, ...other });
    await vi.waitFor(() => expect(store.matrix.value).not.toBeNull());
    expect(store.currentMatrix.value).toBeNull();
    expect([...store.answered.value]).toEqual([0]);
  });

  it("is a grid for the keyboard", async () => {
    const rows = { 0: [1, 2, 3, 4, 0, 0, 0], 1: [1, -2, 3, 4, 1, 0, 0] };
    await mount({ ...generateState(), view: "matrix", ...matrixOf(rows) });
    const grid = el.querySelector<HTMLElement>("[role=grid]");
    if (!grid) throw new Error("no grid");
    expect(grid.getAttribute("aria-rowcount")).toBe("3");
    expect(grid.getAttribute("aria-colcount")).toBe("6");
    const cell = () => el.querySelector(`#${grid.getAttribute("aria-activedescendant")}`)?.textContent;
    expect(cell()).toBe("The supports Paris, +2.00");
    key(grid, "ArrowDown");
    key(grid, "ArrowRight");
    await settled();
    expect(cell()).toBe("Eiffel opposes ,, −4.00");
    key(grid, "ArrowDown");
    await settled();
    expect(cell()).toBe("Eiffel for is: not computed");
    key(grid, "ArrowUp");
    await settled();
    const before = heard();
    key(grid, "Enter");
    await settled();
    expect(el.querySelector("[data-target].xw-matrix-row")?.textContent).toBe(",");
    expect(heard()).toEqual(before);
  });

  it("is asked for by a message that names what is on show", async () => {
    const store = await openStore(generateState());
    store.setSpan([1, 1]);
    store.askColumns();
    expect(model.get("params")).toMatchObject({ span: [1, 1] });
    expect(model.saves).toBe(1);
    expect(model.sentOf("columns")).toHaveLength(1);
  });
});
