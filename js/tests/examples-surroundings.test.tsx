import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { sharesOf, shortNames } from "../src/gallery/checkpoints";
import { chosenOf, exportedIds, formatsOf, galleryCsv, galleryJson } from "../src/gallery/export";
import { figureSvg } from "../src/gallery/export-figure";
import { pairRange, pictureShape, tokenLines } from "../src/gallery/pair";
import { partLines, shareBelow, weighingOf, withoutOne } from "../src/gallery/parts";
import { heights, outline, spreadOf, trimmed } from "../src/gallery/spread";
import { GalleryStore } from "../src/gallery/store";
import { tableIds } from "../src/gallery/table";
import widgets from "../src/index";
import { examplesState, packed } from "./examples-state";
import { el, ended, press, settled, text, usePage } from "./page";
import { HOSTILE, KernelModel } from "./state";

usePage();

let model: KernelModel;

async function show(change: Record<string, unknown> = {}): Promise<void> {
  model = new KernelModel(examplesState(change));
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await vi.waitFor(() => expect(el.querySelector(".xw-filters")).not.toBeNull());
  await settled();
}

async function storeOf(change: Record<string, unknown> = {}): Promise<GalleryStore> {
  model = new KernelModel(examplesState(change));
  const store = new GalleryStore(model, el, ended.signal);
  await vi.waitFor(() => expect(store.candidates.value).not.toBeNull());
  await vi.waitFor(() => expect(store.columns.value).not.toBeNull());
  return store;
}

const named = (label: string) => [...el.querySelectorAll("button")].find((one) => one.textContent?.includes(label));
const cardIds = () =>
  [...el.querySelectorAll(".xw-card")].map((card) => Number(card.getAttribute("aria-label")?.split(":")[0]));

function choose(name: string, value: string): void {
  const menu = el.querySelector<HTMLSelectElement>(`select[aria-label="${name}"]`);
  if (!menu) throw new Error(`no menu ${name}`);
  menu.value = value;
  menu.dispatchEvent(new Event("change", { bubbles: true }));
}

describe("the spread of the scores", () => {
  it("has an edge at zero, and every score in a bin", () => {
    const spread = spreadOf([-1, -0.5, 0.1, 3], 8);
    expect(spread?.edges).toContain(0);
    expect(spread?.counts.reduce((sum, one) => sum + one, 0)).toBe(4);
    expect(spreadOf([])).toBeNull();
  });

  it("loses empty bins at its ends, but not zero", () => {
    expect(trimmed({ edges: [-2, -1, 0, 1, 2, 3], counts: [0, 0, 5, 0, 0] })).toEqual({ edges: [0, 1], counts: [5] });
    expect(trimmed({ edges: [0, 1, 2, 3], counts: [0, 2, 0] })).toEqual({ edges: [0, 1, 2], counts: [0, 2] });
  });

  it("shows one example beside a hundred thousand", () => {
    const [one = 0, most] = heights([1, 100_000]);
    expect(one).toBeGreaterThan(0.05);
    expect(most).toBe(1);
    expect(outline({ edges: [0, 1, 2], counts: [1, 1] })).toBe("M0 1L0 0.000H500L500 0.000H1000L1000 1Z");
  });
});

describe("the parts of a score", () => {
  it("sum to it, with the cosine and the size at each checkpoint", async () => {
    const store = await storeOf();
    const candidates = store.candidates.value;
    if (!candidates) throw new Error("no candidates");
    const [first, second] = partLines(candidates, candidates.rowOf.get(3) ?? -1, weighingOf(store));
    expect(first).toEqual({ checkpoint: "epoch 1", on: true, part: 2, cosine: 2 / (0.1 * 8), size: 4 });
    expect((first?.part ?? 0) + (second?.part ?? 0)).toBe(store.scoreOf(3));
    // a gradient of nothing has no direction
    expect(partLines(candidates, candidates.rowOf.get(41) ?? -1, weighingOf(store))[0]?.cosine).toBeNull();
  });

  it("say how far a score hangs on one checkpoint", () => {
    const line = (part: number, on = true) => ({ checkpoint: "", on, part, cosine: null, size: null });
    expect(withoutOne([line(3), line(-1), line(9, false)], "dot")).toEqual([-1, 3]);
    // a mean over two becomes the other one
    expect(withoutOne([line(0.25), line(0.5)], "cosine")).toEqual([0.5, 1]);
    expect(withoutOne([line(3), line(1, false)], "dot")).toBeNull();
  });

  it("rank a value among all that are known", () => {
    expect(shareBelow(Float32Array.of(1, 2, Number.NaN, 3, 4), 3)).toBe(0.5);
    expect(shareBelow(new Float32Array(0), 3)).toBe(0);
  });

  it("have short names and shares", () => {
    expect(shortNames(["run2/epoch 5.pt", "run2/epoch 10.pt"])).toEqual(["5", "10"]);
    expect(shortNames(["first", "best"])).toEqual(["1", "2"]);
    expect(
      sharesOf(
        [
          [3, -1],
          [-3, 1],
        ],
        2,
      ),
    ).toEqual([0.75, 0.25]);
    expect(sharesOf([], 2)).toEqual([0, 0]);
  });
});

describe("the header", () => {
  it("names the label that Python was given, where that is not the predicted one", async () => {
    await show({ query: { ...(examplesState().query as object), label: 2, usual: 2 } });
    const menu = el.querySelector<HTMLSelectElement>('select[aria-label="label whose loss is asked about"]');
    const titles = [...(menu?.options ?? [])].map((one) => one.text);
    expect(titles[0]).toBe("dog");
    expect(menu?.value).toBe("");
    expect(titles).toContain("cat");
  });

  it("asks about the predicted label, or another; the query's own label is always listed", async () => {
    await show();
    const menu = el.querySelector<HTMLSelectElement>('select[aria-label="label whose loss is asked about"]');
    const titles = [...(menu?.options ?? [])].map((one) => one.text);
    expect(titles[0]).toBe("cat (predicted)");
    expect(titles).toContain("dog (its label)");
    expect(titles).toContain(HOSTILE);
    choose("label whose loss is asked about", "2");
    expect(model.get("params")).toMatchObject({ target: 2 });
    expect(model.saves).toBe(1);
    expect(el.querySelector(".xw-widget")?.getAttribute("aria-label")).toBe(
      "Which training examples pushed this prediction towards cat, by TracIn?",
    );
  });

  it("goes from query to query", async () => {
    await show({ inputs: [{ label: "a" }, { label: HOSTILE }] });
    choose("query to ask about", "1");
    expect(model.get("params")).toMatchObject({ input: 1 });
    await show();
    expect(el.querySelector('[aria-label="queries"]')).toBeNull();
  });
});

describe("controls", () => {
  it("put the stored candidates in another order without asking the kernel", async () => {
    await show();
    expect(el.querySelector(".xw-coverage-line")?.textContent).not.toContain("re-ranked");
    el.querySelector<HTMLInputElement>('input[value="cosine"]')?.click();
    await settled();
    expect(text(".xw-coverage-line")).toContain("re-ranked among the stored 7");
    expect(model.get("score_mode")).toBe("cosine");
    expect(model.saves).toBe(0);
  });

  it("switch checkpoints, the last one never; with Shift one is taken alone", async () => {
    await show();
    const [first, second] = el.querySelectorAll<HTMLButtonElement>(".xw-ckpt");
    first?.click();
    expect(model.get("ckpt_mask")).toEqual([false, true]);
    second?.click();
    expect(model.get("ckpt_mask")).toEqual([false, true]);
    first?.dispatchEvent(new MouseEvent("click", { shiftKey: true, bubbles: true }));
    expect(model.get("ckpt_mask")).toEqual([true, false]);
    await settled();
    named("all")?.click();
    expect(model.get("ckpt_mask")).toEqual([true, true]);
  });

  it("filter by label, prediction, disagreement and text, and clear", async () => {
    await show();
    choose("only examples labelled", "2");
    await settled();
    expect(cardIds()).toEqual([20, 31]);
    el.querySelector<HTMLInputElement>('[aria-label="only wrong predictions"]')?.click();
    await settled();
    expect(cardIds()).toEqual([31]);
    named("Clear")?.click();
    await settled();
    expect(cardIds()).toHaveLength(7);
    const field = el.querySelector<HTMLInputElement>(".xw-filter-text");
    if (!field) throw new Error("no field");
    field.value = "#40";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await vi.waitFor(() => expect(cardIds()).toEqual([40]));
    expect(field.value).toBe("#40");
  });

  it("cut off small scores at a handle", async () => {
    await show();
    const handle = el.querySelector<HTMLElement>(".xw-cut-handle");
    expect(handle?.getAttribute("aria-valuetext")).toBe("no cut-off");
    for (let i = 0; i < 12; i++) {
      handle?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    }
    await settled();
    expect(model.get("filters")).toMatchObject({ cut: 1.2 });
    expect(cardIds()).toEqual([3, 7, 20, 31]);
    expect(text(".xw-spread")).toContain("at least 1.20: 3 proponents, 1 opponents");
    for (let i = 0; i < 20; i++) {
      handle?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
    }
    expect(model.get("filters")).toMatchObject({ cut: null });
  });

  it("say how much of everything is on show, and what is approximate", async () => {
    await show({ rank: { ...(examplesState().rank as object), exact: false, approximations: [HOSTILE] } });
    expect(text(".xw-coverage")).toContain("41.3 % of all positive influence");
    expect(text(".xw-coverage")).toContain("57.5 % of the negative");
    expect(el.querySelector<HTMLElement>(".xw-coverage-line .xw-chip")?.title).toBe(HOSTILE);
    expect(text(".xw-trust")).toContain(HOSTILE);
    expect(el.querySelector("img")).toBeNull();
  });
});

describe("one example in full", () => {
  const pairBytes = packed(new Uint8Array(Int8Array.of(100, -50, 10, 20, -30).buffer));
  const pair = {
    id: 3,
    method_title: "Integrated gradients",
    unit: "logit",
    gap: [0.01, null],
    shapes: [[2], [3]],
    scale: 0.01,
    tokens: [
      ["not", HOSTILE],
      ["a", "b", "c"],
    ],
    predicted: [0.7, 0.9],
    label: { id: 0, name: "cat" },
  };

  it("says who it is and what its score is made of", async () => {
    await show();
    el.querySelector<HTMLElement>(".xw-card")?.click();
    await settled();
    expect(model.sentOf("open")).toEqual([{ type: "open", id: 3 }]);
    expect(text(".xw-detail")).toContain("+3.00");
    expect(text(".xw-detail")).toContain("rank 1 of 4 proponents");
    expect(text(".xw-parts")).toContain("Without any one checkpoint: +1.00 to +2.00.");
    expect(text(".xw-part-table tfoot")).toContain("+3.00");
    press("Escape", {}, ".xw-detail button");
    await settled();
    expect(el.querySelector(".xw-detail")).toBeNull();
  });

  it("shows two lines of tokens on one scale", async () => {
    await show({ pair, pair_maps: pairBytes });
    el.querySelector<HTMLElement>(".xw-card")?.click();
    await settled();
    const tokens = [...el.querySelectorAll(".xw-pair-token")].map((one) => one.getAttribute("title"));
    expect(tokens).toHaveLength(5);
    expect(tokens[0]).toBe("not: +1.00");
    expect(text(".xw-pair")).toContain("one scale for both, in logit");
    expect(text(".xw-pair")).toContain("supports cat");
    expect(text(".xw-pair figcaption")).toContain("cat .70 · gap 1.0 %");
    expect(el.querySelector("img")).toBeNull();
    const [strongest] = el.querySelectorAll<HTMLElement>(".xw-pair-bar");
    expect(strongest?.style.height).toBe("50%");
    // it is here: nothing is asked
    expect(model.sentOf("open")).toHaveLength(0);
  });

  it("says why there is none", async () => {
    await show({ pair: { id: 3, error: { code: "E", title: "no gradients", detail: HOSTILE, hint: "" } } });
    el.querySelector<HTMLElement>(".xw-card")?.click();
    await settled();
    expect(text(".xw-detail .xw-error")).toContain("no gradients");
  });

  it("reads pairs of every medium", () => {
    const maps = [Float32Array.of(1, -0.5), Float32Array.of(0.1, 0.2, -0.3)] as const;
    const read = { ...pair, gap: null } as unknown as Parameters<typeof tokenLines>[0];
    expect(pairRange(maps)).toBe(1);
    expect(pictureShape(read)).toBeNull();
    expect(pictureShape({ id: 1, method_title: "", unit: "", scale: 1, label: read.label, shape: [2, 3] })).toEqual([
      2, 3,
    ]);
    const [query, example] = tokenLines(read, maps);
    expect(query[1]?.surface).toBe(HOSTILE);
    expect(example.map(({ value }) => Math.fround(value))).toEqual([...maps[1]]);
  });
});

describe("table and files", () => {
  it("have both sides in order, or the triage", async () => {
    const store = await storeOf();
    expect(tableIds(store)).toEqual([3, 7, 20, 12, 31, 41, 40]);
    store.setTab("triage");
    expect(tableIds(store).slice(0, 2)).toEqual([49, 48]);
  });

  it("are about the selected, the judged, or what is on show", async () => {
    const store = await storeOf();
    expect(chosenOf(store).what).toBe("shown");
    expect(exportedIds(store)).toHaveLength(7);
    store.judge("drop", [31]);
    expect(chosenOf(store)).toEqual({ what: "judged", ids: [31] });
    store.select([7, 12]);
    expect(chosenOf(store)).toEqual({ what: "selected", ids: [7, 12] });
    const lines = galleryCsv(store).trim().split("\n");
    expect(lines[0]).toContain("Which training examples");
    expect(lines[1]).toMatch(/^id,given,predicted,/);
    expect(lines).toHaveLength(4);
  });

  it("JSON has the parts, the verdicts and where it comes from", async () => {
    const store = await storeOf({ provenance: { model: "m" } });
    store.judge("relabel", [7], 2);
    const data = JSON.parse(galleryJson(store));
    expect(data.examples[0]).toMatchObject({ id: 7, verdict: "relabel", per_checkpoint: [1, 1.5] });
    expect(data.verdicts[7]).toMatchObject({ verdict: "relabel", label: 2 });
    expect(data.provenance).toEqual({ model: "m" });
    expect(data.score.checkpoints[1]).toMatchObject({ name: "epoch 2", counts: true });
  });

  it("the figure escapes what is anyone's, and has both sides", async () => {
    const store = await storeOf();
    const { markup, height } = await figureSvg(store);
    const parsed = new DOMParser().parseFromString(markup, "image/svg+xml");
    expect(parsed.querySelector("parsererror")).toBeNull();
    expect(parsed.querySelector("img")).toBeNull();
    expect(markup).toContain("PROPONENTS: lower the loss");
    expect(markup).toContain("+3.00");
    expect(markup).toContain("−4.00");
    expect(height).toBeGreaterThan(150);
  });

  it("the kernel's own are off in a saved page", async () => {
    const store = await storeOf();
    expect(formatsOf(store).map(({ name }) => name)).toEqual(["html", "svg", "png", "csv", "json", "npy"]);
    expect(
      formatsOf(store)
        .filter(({ live }) => live)
        .map(({ name }) => name),
    ).toEqual(["html", "npy"]);
  });

  it("positions are copied as a Python list", async () => {
    const write = vi.fn(async (_: string) => {});
    vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText: write } });
    await show({ selection: [31, 3] });
    named("Export")?.click();
    await settled();
    named("Copy the 2 selected")?.click();
    await settled();
    expect(write).toHaveBeenCalledWith("[31, 3]");
    vi.unstubAllGlobals();
  });
});

describe("everything", () => {
  it.each(["influence", "map"])(
    "opens with keys and is free of the barriers that axe knows: %s",
    async (tab) => {
      await show({ tab, selection: [3], k: 2, filters: { given: 1 } });
      for (const key of "tde") press(key, {}, ".xw-tabs");
      el.querySelector<HTMLElement>(".xw-card")?.click();
      await settled();
      expect(el.querySelector(".xw-table")).not.toBeNull();
      // colours need a browser that draws
      const { violations } = await axe.run(el, {
        rules: { "color-contrast": { enabled: false } },
        resultTypes: ["violations"],
      });
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))])).toEqual([]);
    },
    20_000,
  );

  it("says where there is no map", async () => {
    await show({ tab: "map", columns: null, columns_meta: {} });
    expect(text(".xw-empty")).toContain("No map");
  });
});
