import axe from "axe-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GalleryStore } from "../src/gallery/store";
import type { Verdicts } from "../src/gallery/traits";
import widgets, { mountStatic } from "../src/index";
import { examplesState, rankedTraits, TOLD } from "./examples-state";
import { KernelModel } from "./state";

let el: HTMLElement;
let ended: AbortController;
let model: KernelModel;

const settled = (ms = 60) => new Promise((resolve) => setTimeout(resolve, ms));

beforeEach(() => {
  el = document.createElement("div");
  document.body.append(el);
  ended = new AbortController();
});
afterEach(() => {
  ended.abort();
  el.remove();
});

async function mount(change: Record<string, unknown> = {}): Promise<void> {
  model = new KernelModel(examplesState(change));
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(el.querySelector("[role=gridcell]")).not.toBeNull());
  await settled();
}

async function openStore(change: Record<string, unknown> = {}): Promise<GalleryStore> {
  model = new KernelModel(examplesState(change));
  const store = new GalleryStore(model, el, ended.signal);
  await vi.waitFor(() => expect(store.candidates.value).not.toBeNull());
  await vi.waitFor(() => expect(store.columns.value).not.toBeNull());
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  return store;
}

const all = (selector: string) => [...el.querySelectorAll<HTMLElement>(selector)];
const grid = (area = "proponents") => {
  const found = el.querySelector<HTMLElement>(`[data-area=${area}]`);
  if (!found) throw new Error(`no ${area}`);
  return found;
};
const nameOf = (card: Element | null | undefined) => card?.getAttribute("aria-label") ?? "";
const cards = (area = "proponents") => [...grid(area).querySelectorAll<HTMLElement>("[role=gridcell]")];
const names = (area = "proponents") => cards(area).map((card) => Number.parseInt(nameOf(card), 10));
const active = (area = "proponents") => {
  const id = grid(area).getAttribute("aria-activedescendant");
  return id ? Number.parseInt(nameOf(document.getElementById(id)), 10) : null;
};
async function press(key: string, area = "proponents", more: KeyboardEventInit = {}): Promise<void> {
  const code = /^\d$/.test(key) ? `Digit${key}` : "";
  grid(area).dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true, cancelable: true, ...more }));
  await settled(20);
}
const click = (target: HTMLElement, more: MouseEventInit = {}) =>
  target.dispatchEvent(new MouseEvent("click", { bubbles: true, ...more }));
const ids = (ranked: readonly { id: number }[]) => ranked.map(({ id }) => id);

describe("what the page works out itself", () => {
  it("asks nobody for another score, other checkpoints, filters, pages or tabs", async () => {
    const store = await openStore({ k: 2 });
    const before = { saves: model.saves, sent: model.sent.length };
    store.setMode("relative");
    expect(ids(store.shown.value.proponents)).toEqual([7, 3]);
    store.toggleCheckpoint(0);
    store.toggleCheckpoint(1); // the last one stays on
    expect(store.mask.value).toEqual([false, true]);
    store.setMode("dot");
    expect(ids(store.shown.value.proponents)).toEqual([20, 7]);
    store.setFilters({ given: 0 });
    expect(ids(store.shown.value.proponents)).toEqual([7, 3]);
    store.clearFilters();
    expect(store.setPage(1)).toBe(true);
    expect(ids(store.shown.value.proponents)).toEqual([3, 12]);
    expect(store.setPage(2)).toBe(false);
    store.setTab("triage");
    store.setSort("conf");
    store.setK(4);
    await settled(200);
    expect({ saves: model.saves, sent: model.sent.length }).toEqual(before);
    expect(model.get("ckpt_mask")).toEqual([false, true]);
    expect(model.get("sort")).toBe("conf");
  });

  it("says when the order is one of the stored candidates only", async () => {
    const store = await openStore();
    expect(store.reranked.value).toBe(false);
    expect(store.coverage.value?.share).toBeCloseTo(8.25 / 20);
    store.setMode("cosine");
    expect(store.reranked.value).toBe(true);
    expect(store.coverage.value).toBeNull();
    model.set("rank", { ...(model.get("rank") as object), modes_complete: true });
    expect(store.reranked.value).toBe(false);
    store.toggleCheckpoint(0);
    expect(store.reranked.value).toBe(true);
  });

  it("forgets a cut-off with the score it was about", async () => {
    const store = await openStore();
    store.setFilters({ cut: 2.2, given: 0 });
    expect(ids(store.shown.value.proponents)).toEqual([3, 7]);
    expect(store.shown.value.opponents).toEqual([]);
    store.setMode("cosine");
    expect(store.filters.value).toMatchObject({ cut: null, given: 0 });
  });

  it("keeps the query out of both sides, and flags what leads for most", async () => {
    const store = await openStore({
      query: { key: "q0", y: 0, yhat: 0, conf: 1, loss: 0, training_id: 3 },
    });
    expect(ids(store.shown.value.proponents)).toEqual([7, 20, 12]);
    expect([7, 20].map((id) => store.isHub(id))).toEqual([true, false]);
  });

  it("orders and filters the whole training set", async () => {
    const store = await openStore();
    const leading = () => Array.from(store.triage.value.subarray(0, 3));
    expect(leading()).toEqual([49, 48, 47]);
    store.setFilters({ wrong: true });
    expect(store.triage.value).toHaveLength(10);
    expect(leading()).toEqual([45, 40, 35]);
    store.setFilters({ given: 0 });
    expect(leading()).toEqual([45, 30, 15]);
    store.setSort("aum"); // not there: as in the data set
    expect(leading()).toEqual([0, 15, 30]);
    expect(store.example(45)).toMatchObject({ y: 0, yhat: 1, conf: expect.closeTo(0.45) });
  });

  it("shows a damaged result as damaged, and the last good one beside it", async () => {
    const store = await openStore();
    model.set("items", (model.get("items") as object[]).slice(0, 4));
    await vi.waitFor(() => expect(store.decodeError.value).toContain("14 scores do not belong to 4 examples"));
    expect(store.shown.value.proponents).toHaveLength(4);
  });
});

describe("a scan that goes on", () => {
  const newcomer = [55, 0, 0, [9, 9], [1, 1]] as const;

  async function more(): Promise<void> {
    for (const [name, value] of Object.entries(rankedTraits([newcomer, ...TOLD]))) model.set(name, value);
    model.set("seq", 2);
    await settled();
  }

  it("inserts cards without moving the one the keyboard is at", async () => {
    await mount();
    grid().focus();
    await press("ArrowRight");
    expect(active()).toBe(7);
    const card = cards()[1];
    await more();
    expect(names()).toEqual([55, 7, 3, 20, 12]);
    expect(active()).toBe(7);
    expect(cards()[1]).toBe(card);
    expect(document.activeElement).toBe(grid());
  });

  it("puts everything in order once the keyboard is elsewhere", async () => {
    await mount();
    grid().focus();
    await press("ArrowRight");
    await more();
    grid().blur();
    await settled();
    expect(names()).toEqual([55, 3, 7, 20, 12]);
  });

  it("lets the order through at once where it was asked for", async () => {
    await mount();
    grid().focus();
    await press("ArrowRight");
    await press("s");
    expect(model.get("score_mode")).toBe("cosine");
    expect(names()).toEqual([7, 3, 12]);
    expect(active()).toBe(7);
  });
});

describe("cards", () => {
  it("say everything in words, and nothing in them is markup", async () => {
    await mount();
    expect(names()).toEqual([3, 7, 20, 12]);
    expect(names("opponents")).toEqual([31, 41, 40]);
    expect(nameOf(cards()[1])).toBe(
      "7: cat, predicted dog 75 percent; influence plus 2.50; rank 2; strongest at checkpoint epoch 2; " +
        "label and prediction differ; leads for 60 percent of all queries",
    );
    expect(el.querySelector("img")).toBeNull();
    expect("hacked" in globalThis).toBe(false);
    expect(el.querySelector(".xw-query-text")?.textContent).toContain("<img src=x");
    expect(el.querySelector(".xw-query-text")?.textContent).toContain("⟨202E⟩");
  });

  it.each(["influence", "triage", "map"])("pass an accessibility check in the tab %s", async (tab) => {
    await mount({ k: 3, verdicts: { 7: { verdict: "relabel", label: 1, time: "t" } }, selection: [3] });
    model.set("tab", tab);
    await settled(100);
    const { violations } = await axe.run(el, { rules: { "color-contrast": { enabled: false } } });
    expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html.slice(0, 160)])).toEqual([]);
  });

  it("are reached, selected and judged by keys alone", async () => {
    await mount();
    grid().focus();
    await press("ArrowRight");
    await press("x");
    await press("End");
    await press("x");
    expect(model.get("selection")).toEqual([7, 12]);
    expect(cards().map((card) => card.getAttribute("aria-selected"))).toEqual(["false", "true", "false", "true"]);
    await press("Home");
    await press("3"); // not selected itself: for this one alone, and on to the next
    expect(active()).toBe(7);
    await press("2"); // selected: for all that are
    const verdicts = model.get("verdicts") as Verdicts;
    expect(Object.entries(verdicts).map(([id, { verdict, label }]) => [id, verdict, label])).toEqual([
      ["3", "drop", null],
      ["7", "relabel", 2],
      ["12", "relabel", null],
    ]);
    await press("u");
    expect(Object.keys(model.get("verdicts") as object)).toEqual(["3"]);
    await press("u");
    expect(model.get("verdicts")).toEqual({});
    await settled(120);
    expect(model.saves).toBeGreaterThan(0);
  });

  it("are selected by ranges and all at once", async () => {
    await mount();
    grid().focus();
    await press("ArrowRight");
    await press("ArrowRight", "proponents", { shiftKey: true });
    await press("ArrowRight", "proponents", { shiftKey: true });
    expect(model.get("selection")).toEqual([7, 20, 12]);
    await press("ArrowLeft", "proponents", { shiftKey: true });
    expect(model.get("selection")).toEqual([7, 20]);
    await press("Escape");
    expect(model.get("selection")).toEqual([]);
    model.set("filters", { given: 0 });
    await settled();
    await press("a");
    expect(model.get("selection")).toEqual([3, 7]);
  });

  it("open beside the query when they are clicked, and close with Escape", async () => {
    await mount();
    click(cards()[1] as HTMLElement);
    await settled();
    expect(model.sentOf("open")).toEqual([{ type: "open", id: 7 }]);
    expect(cards()[1]?.dataset.open).toBe("true");
    click(cards()[2] as HTMLElement, { ctrlKey: true });
    click(cards()[0] as HTMLElement, { shiftKey: true });
    expect(model.get("selection")).toEqual([20, 3, 7]);
    await press("Escape");
    expect(cards()[1]?.dataset.open).toBe("false");
  });

  it("keep their letters from the notebook, also where they do nothing yet", async () => {
    await mount({ modes: ["dot"] });
    const heard = vi.fn();
    document.body.addEventListener("keydown", heard);
    for (const key of ["s", "u", "x", "Escape", "y"]) await press(key);
    document.body.removeEventListener("keydown", heard);
    expect(heard.mock.calls.map(([event]) => event.key)).toEqual(["Escape", "y"]);
  });
});

describe("what comes when it is wanted", () => {
  const asked = () => (model.sentOf("texts") as { ids: number[] }[]).map(({ ids: some }) => some);

  it("is asked for once, for what is in view, and shown when it is there", async () => {
    await mount({ tab: "triage" });
    await settled(80);
    expect(asked()).toHaveLength(1);
    expect(asked()[0]?.slice(0, 3)).toEqual([49, 48, 47]);
    const [first = []] = asked();
    model.emit("msg:custom", { type: "texts", texts: Object.fromEntries(first.map((id) => [id, `text ${id}`])) });
    await settled(80);
    expect(cards("triage")[0]?.textContent).toContain("text 49");
    model.set("sort", "id");
    model.set("sort", "self");
    await settled(80);
    expect(
      asked()
        .flat()
        .filter((id) => id === 49),
    ).toHaveLength(1);
  });

  it("may come in parts, and what fails is not asked for again", async () => {
    const store = await openStore();
    store.want([1, 2, 4]);
    await settled(80);
    expect(asked()).toEqual([[1, 2, 4]]);
    model.emit("msg:custom", { type: "texts", texts: { 1: "one" } });
    store.want([5]);
    await settled(80);
    expect(asked()).toHaveLength(1); // two are still to come
    model.emit("msg:custom", { type: "texts", texts: { 2: "two" }, failed: { 4: "broken" } });
    await settled(80);
    expect(asked()[1]).toEqual([5]);
    store.want([1, 2, 4]);
    await settled(80);
    expect(asked()).toHaveLength(2);
    expect(store.example(2).text).toBe("two");
  });

  it("asks for what was wanted last, first, a few at a time", async () => {
    const store = await openStore();
    store.want(Array.from({ length: 100 }, (_, id) => id + 100));
    store.want([500, 501]);
    await settled(80);
    expect(asked()[0]?.slice(0, 3)).toEqual([500, 501, 100]);
    expect(asked()[0]).toHaveLength(48);
  });

  it("draws squares of a strip, and gives back what it no longer shows", async () => {
    const made = vi.spyOn(URL, "createObjectURL").mockImplementation(() => `blob:${made.mock.calls.length}`);
    const dropped = vi.spyOn(URL, "revokeObjectURL").mockImplementation(() => {});
    const store = await openStore({ medium: "image", sprites: { q0: new DataView(new ArrayBuffer(4)) } });
    expect(store.pictureOf("q0")).toMatchObject({ count: 1 });
    expect(store.pictureOf(3)).toBeNull();
    model.emit("msg:custom", { type: "thumbs", ids: [3, 7], side: 64 }, [new DataView(new ArrayBuffer(8))]);
    expect(store.pictureOf(7)).toMatchObject({ index: 1, count: 2 });
    for (let strip = 0; strip < 70; strip++) {
      store.want([7]); // in view all the time
      model.emit("msg:custom", { type: "thumbs", ids: [1000 + strip], side: 64 }, [new DataView(new ArrayBuffer(8))]);
    }
    expect(store.pictureOf(7)).toMatchObject({ index: 1 });
    expect(store.pictureOf(1000)).toBeNull();
    ended.abort();
    expect(dropped.mock.calls.length).toBe(made.mock.calls.length);
    vi.restoreAllMocks();
  });
});

describe("a saved gallery", () => {
  it("ranks, filters and judges without a kernel", async () => {
    const end = mountStatic(el, examplesState({ texts: { 49: "kept" } }));
    await vi.waitFor(() => expect(cards()).toHaveLength(4));
    grid().focus();
    await press("s");
    expect(names()).toEqual([7, 3, 12]);
    await press("m");
    await vi.waitFor(() => expect(cards("triage")[0]?.textContent).toContain("kept"));
    expect(cards("triage")[1]?.textContent).toContain("no text here");
    end();
  });

  it("leaves no listener behind", async () => {
    await mount();
    ended.abort();
    expect(model.listenerCount).toBe(0);
  });
});

it("says what is computed and what is not yet there", async () => {
  model = new KernelModel(examplesState({ ...rankedTraits([]), columns: null, columns_meta: {}, status: "empty" }));
  widgets.render({ model, el, signal: ended.signal });
  await settled();
  expect(el.textContent).toContain("xw.TrainingIndex.build");
  expect(all("[role=grid]")).toHaveLength(0);
});
