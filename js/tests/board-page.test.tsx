import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { csvOf, formatsOf, jsonOf, latexOf, markdownOf } from "../src/board/export";
import { figureSvg } from "../src/board/export-figure";
import { BoardStore } from "../src/board/store";
import widgets, { mountStatic } from "../src/index";
import { boardState, KEYS } from "./board-state";
import { el, ended, settled, usePage } from "./page";
import { HOSTILE, KernelModel } from "./state";

usePage();

let model: KernelModel;
const [alpha = "", beta = "", gamma = "", random = ""] = KEYS;

async function show(change: Record<string, unknown> = {}): Promise<void> {
  model = new KernelModel(boardState(change));
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await settled();
}

const all = (selector: string) => [...el.querySelectorAll<HTMLElement>(selector)];
const cell = (entry: string, column: string) => {
  const found = all("[data-cell]").find((one) => one.dataset.cell === `${entry}/${column}`);
  if (!found) throw new Error(`no cell ${entry}/${column}`);
  return found;
};
const rows = () => all("tbody .xw-board-row").map((row) => row.querySelector("bdi")?.textContent);
async function press(target: HTMLElement, key: string): Promise<void> {
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  await settled();
}
async function click(target: HTMLElement | undefined): Promise<void> {
  if (!target) throw new Error("nothing to click");
  target.click();
  await settled();
}
const tab = (name: string) => all("[role=tab]").find((one) => one.textContent === name);
const button = (text: string) => all("button").find((one) => one.textContent?.startsWith(text));

describe("the table", () => {
  it("says values, intervals, ranks and what went wrong to those who do not see it", async () => {
    await show();
    expect(cell(alpha, "deletion").getAttribute("aria-label")).toBe(
      "alpha, deletion: 0.200, 95 percent interval 0.150 to 0.250, rank 1 of 3",
    );
    expect(cell(random, "deletion").getAttribute("aria-label")).not.toContain("rank");
    expect(cell(gamma, "insertion").getAttribute("aria-label")).toContain("failed");
    expect(cell(beta, "complexity").getAttribute("aria-label")).toContain("not computed");
    expect(cell(gamma, "deletion").textContent).toContain("≤");
    expect(cell(beta, "deletion").textContent).toContain("≈");
    expect(cell(alpha, "complexity").dataset.ranked).toBe("false");
    expect(el.querySelector(".xw-board-controls")?.textContent).toContain("know nothing of the model");
  });

  it("sorts by a heading, in the page", async () => {
    await show();
    const head = () => all("th[aria-sort]")[2];
    await click(all(".xw-board-sort")[2]);
    expect(head()?.getAttribute("aria-sort")).toBe("descending");
    expect(rows()).toEqual([beta, alpha, gamma, random]);
    await click(all(".xw-board-sort")[2]);
    expect(head()?.getAttribute("aria-sort")).toBe("ascending");
    expect(rows()).toEqual([alpha, beta, gamma, random]);
    expect(model.saves).toBe(0);
  });

  it("is walked by the arrow keys, from cell to cell", async () => {
    await show();
    expect(all("[data-cell]").filter((one) => one.tabIndex === 0)).toHaveLength(1);
    cell(alpha, "deletion").focus();
    await press(cell(alpha, "deletion"), "ArrowRight");
    expect(document.activeElement).toBe(cell(alpha, "insertion"));
    await press(cell(alpha, "insertion"), "ArrowDown");
    expect(document.activeElement).toBe(cell(beta, "insertion"));
    await press(cell(beta, "insertion"), "x");
    expect(model.get("selection")).toEqual([beta]);
    await press(cell(beta, "insertion"), "s");
    expect(model.get("sort")).toEqual({ by: "insertion", reverse: false });
    await press(cell(beta, "insertion"), "i");
    expect(el.querySelector("[role=note]")?.textContent).toContain("insertion cannot");
    await press(cell(beta, "insertion"), "Escape");
    expect(el.querySelector("[role=note]")).toBeNull();
  });

  it("hides rows and columns", async () => {
    await show();
    await click(button("Rows & columns"));
    await click(all(".xw-board-checks input")[0]);
    expect(rows()).toEqual([beta, gamma, random]);
    await click(button("Show everything"));
    expect(rows()).toEqual(KEYS);
  });

  it("shows what is there while the rest is computed, and can be cancelled", async () => {
    await show({ status: "partial", cells: {}, progress: { done: 3, total: 12, unit: "", eta_s: null, phase: "" } });
    expect(cell(alpha, "deletion").textContent).toBe("…");
    expect(cell(alpha, "deletion").hasAttribute("disabled")).toBe(true);
    await click(button("Cancel"));
    expect(model.sentOf("cancel")).toHaveLength(1);
  });
});

describe("behind the numbers", () => {
  it("a cell opens its curves: all of them, or the picked ones with the controls", async () => {
    await show();
    await click(cell(alpha, "deletion"));
    expect(tab("Curves")?.getAttribute("aria-selected")).toBe("true");
    expect(all(".xw-board-line")).toHaveLength(2);
    expect(all(".xw-board-band")).toHaveLength(1);
    expect(all(".xw-board-spread-dot")).toHaveLength(8);
    await click(all(".xw-board-pick input")[1]);
    expect(all(".xw-board-spread-name").map((one) => one.querySelector("bdi")?.textContent)).toEqual([
      alpha,
      beta,
      random,
    ]);
    await click(cell(gamma, "insertion"));
    expect(el.querySelector("[role=alert]")?.textContent).toContain("why");
  });

  it("curves are read with the arrow keys", async () => {
    await show({ tab: "curves", opened: { entry: alpha, column: "deletion" } });
    const plot = el.querySelector<HTMLElement>(".xw-board-plot");
    if (!plot) throw new Error("no plot");
    plot.focus();
    await press(plot, "Home");
    await press(plot, "End");
    expect(el.querySelector(".xw-board-axis")?.textContent).toContain("share taken away: 1.00");
    expect(el.querySelector("output[aria-live]")?.textContent).toContain("share taken away");
  });

  it("maps are picked by a click, and disagree", async () => {
    await show();
    expect(all(".xw-board-map")).toHaveLength(5);
    expect(el.querySelector(".xw-board-disagreement")).not.toBeNull();
    await click(all(".xw-board-map-pick")[2]);
    expect(model.get("selection")).toEqual([gamma]);
    expect(el.querySelector(".xw-board-scales")?.textContent).toContain("One scale for all maps");
    await click(all("input[value=own]")[0]);
    expect(el.querySelector(".xw-board-scales")?.textContent).toContain("a scale of its own");
  });

  it("two maps: side by side, wiped, in turn, and their difference", async () => {
    await show({ tab: "pair" });
    expect(all(".xw-board-large")).toHaveLength(2);
    expect(el.querySelector(".xw-board-facts")?.textContent).toContain("−.25");
    const widget = el.querySelector<HTMLElement>(".xw-widget");
    if (!widget) throw new Error("no widget");
    await press(widget, "f");
    expect(model.get("pair_view")).toBe("flicker");
    expect(el.querySelector(".xw-board-large b")?.textContent).toBe("B");
    await click(button("Show A"));
    expect(el.querySelector(".xw-board-large b")?.textContent).toBe("A");
    await click(all("input[value=wipe]")[0]);
    const handle = el.querySelector<HTMLElement>("[role=slider]");
    expect(handle?.getAttribute("aria-valuenow")).toBe("50");
    if (handle) await press(handle, "ArrowRight");
    expect(model.get("display")).toMatchObject({ wipe: 0.55 });
    await click(all("input[value=difference]")[0]);
    expect(el.querySelector(".xw-board-scale")?.textContent).toContain("more by A");
  });

  it("alternates while somebody looks", async () => {
    let hidden = false;
    vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
    const see = async (looked: boolean) => {
      hidden = !looked;
      document.dispatchEvent(new Event("visibilitychange"));
      await settled();
    };
    const letter = () => el.querySelector(".xw-board-large b")?.textContent;
    await show({ tab: "pair", pair_view: "flicker" });
    await click(button("Alternate"));
    expect(letter()).toBe("A");
    await vi.waitFor(() => expect(letter()).toBe("B"), { timeout: 3000 });
    await see(false);
    const before = letter();
    await new Promise((resolve) => setTimeout(resolve, 1600));
    expect(letter()).toBe(before);
    expect(button("Stop")).toBeDefined();
    await see(true);
    await vi.waitFor(() => expect(letter()).not.toBe(before), { timeout: 3000 });
    vi.restoreAllMocks();
  });

  it("does not alternate by itself for those who prefer stillness", async () => {
    const original = globalThis.matchMedia;
    globalThis.matchMedia = ((query: string) => ({
      ...original(query),
      matches: query.includes("reduced-motion"),
      addEventListener: () => undefined,
    })) as typeof matchMedia;
    await show({ tab: "pair", pair_view: "flicker" });
    expect(button("Alternate")?.hasAttribute("disabled")).toBe(true);
    globalThis.matchMedia = original;
  });

  it("agreement: of all inputs or of one, and a number leads to both maps", async () => {
    await show({ tab: "agreement" });
    expect(all(".xw-board-correlation")[0]?.textContent).toBe(".50");
    await click(all("input[value=one]")[0]);
    expect(all(".xw-board-correlation")[0]?.textContent).toBe("−.25");
    await press(all(".xw-board-correlation")[0] ?? el, "n");
    expect(all(".xw-board-correlation")[0]?.textContent).toBe("–");
    await click(all(".xw-board-correlation")[1]);
    expect(model.get("tab")).toBe("pair");
    expect(model.get("pair")).toEqual([alpha, gamma]);
  });
});

describe("what leaves the page", () => {
  async function storeOf(): Promise<BoardStore> {
    const store = new BoardStore(
      new KernelModel(boardState({ sort: { by: "insertion", reverse: false } })),
      el,
      ended.signal,
    );
    await vi.waitFor(() => expect(store.lines.value).toHaveLength(2));
    await vi.waitFor(() => expect(store.fields.value.size).toBe(4));
    return store;
  }

  it("is the table as it is shown", async () => {
    const store = await storeOf();
    const csv = csvOf(store).trim().split("\n");
    expect(csv[1]).toBe(
      "method,kind,deletion,deletion_low,deletion_high,insertion,insertion_low,insertion_high,complexity,complexity_low,complexity_high,seconds",
    );
    expect(csv).toHaveLength(6);
    expect(csv[3]?.startsWith('"alpha",method,0.2,')).toBe(true);
    const markdown = markdownOf(store);
    expect(markdown).toContain("| alpha | **0.200** | 0.500 | 3.00 |");
    expect(markdown).not.toContain("<img");
    const latex = latexOf(store);
    expect(latex).toContain("deletion $\\downarrow$ & insertion $\\uparrow$");
    expect(latex).toContain("alpha & \\textbf{$0.200$} & $0.500$ & $3.00$ \\\\");
    expect(latex).toContain("\\textless{}img");
    expect(latex.split("\\midrule")).toHaveLength(3);
    const json = JSON.parse(jsonOf(store));
    expect(json.cells[alpha].deletion.value).toBeCloseTo(0.2);
    expect(json.curves[0].mean).toEqual([1, 0.5, 0]);
  });

  it("is a figure with every number, escaped", async () => {
    const { markup } = figureSvg(await storeOf());
    expect(markup).toContain("0.200");
    expect(markup).not.toContain("<img");
    expect(markup).toContain("caption");
    expect(formatsOf(await storeOf()).map(({ name }) => name)).toEqual([
      "png",
      "svg",
      "csv",
      "md",
      "tex",
      "json",
      "html",
    ]);
  });
});

describe("the page", () => {
  it.each(["maps", "pair", "curves", "agreement"])("is accessible: %s", async (which) => {
    await show({ tab: which });
    const { violations } = await axe.run(el, { rules: { "color-contrast": { enabled: false } } });
    expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
  });

  it("takes no markup from names, and works without a kernel", async () => {
    const end = mountStatic(el, boardState({ tab: "curves" }));
    await settled();
    expect("hacked" in globalThis).toBe(false);
    expect(el.querySelector("img")).toBeNull();
    expect(el.textContent).toContain(HOSTILE.slice(0, 8));
    await click(all(".xw-board-sort")[1]);
    expect(rows()).toEqual([alpha, beta, gamma, random]);
    end();
    expect(el.querySelector(".xw-widget")).toBeNull();
  });

  it("says how to begin where nothing was computed", async () => {
    mountStatic(el, boardState({ entries: [], columns: [], cells: {}, maps: undefined, status: "empty" }));
    await settled();
    expect(el.querySelector(".xw-empty")?.textContent).toContain("xw.compare(");
  });
});
