import { describe, expect, it, vi } from "vitest";
import { ariaSort, extentOf, inOrder, nextSort, notBeyond, ranksOf } from "../src/board/cells";
import { asShares, decodeFields, difference, disagreement, drawnOf, overlap } from "../src/board/fields";
import { curveNames, lineAt } from "../src/board/lines";
import { BoardStore } from "../src/board/store";
import type { Cells, Column, Entry, MapsInfo } from "../src/board/traits";
import { formatCorrelation, parametersText } from "../src/board/words";
import { boardState, cellOf, entryOf, KEYS } from "./board-state";
import { el, ended, settled, usePage } from "./page";
import { KernelModel } from "./state";

usePage();

const state = boardState();
const entries = state.entries as Entry[];
const columns = state.columns as Column[];
const cells = state.cells as Cells;
const [alpha = "", beta = "", gamma = "", random = ""] = KEYS;
const columnAt = (place: number): Column => {
  const found = columns[place];
  if (!found) throw new Error("no column");
  return found;
};
const field = (values: readonly number[], width = values.length) => ({
  width,
  height: values.length / width,
  values: Float32Array.from(values),
});

async function storeOf(change: Record<string, unknown> = {}): Promise<{ store: BoardStore; model: KernelModel }> {
  const model = new KernelModel(boardState(change));
  const store = new BoardStore(model, el, ended.signal);
  await vi.waitFor(() => expect(store.fields.value.size).toBe(4));
  await vi.waitFor(() => expect(store.lines.value.length).toBe(2));
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  return { store, model };
}

describe("reading the table", () => {
  it("ranks within a column, in its direction, and not where it has none", () => {
    const values = new Map(Object.entries({ a: 1, b: 3, c: 3, d: 2 }));
    expect(Object.fromEntries(ranksOf("higher", values))).toEqual({ a: 4, b: 1, c: 1, d: 3 });
    expect(Object.fromEntries(ranksOf("lower", values))).toEqual({ a: 1, b: 3, c: 3, d: 2 });
    expect(ranksOf("none", values).size).toBe(0);
  });

  it("sorts best first, then worst first, then as given; what is missing is last", () => {
    const keys = (sort: { by: string; reverse: boolean }) =>
      inOrder(entries, sort, cells, columns).map(({ key }) => key);
    expect(keys({ by: "deletion", reverse: false })).toEqual([alpha, beta, random, gamma]);
    expect(keys({ by: "insertion", reverse: false })).toEqual([beta, alpha, random, gamma]);
    expect(keys({ by: "insertion", reverse: true })).toEqual([random, alpha, beta, gamma]);
    expect(keys({ by: "seconds", reverse: false })).toEqual([random, beta, alpha, gamma]);
    expect(keys({ by: "gone", reverse: false })).toEqual(KEYS);
    let sort = { by: "", reverse: false };
    sort = nextSort(sort, "deletion");
    expect(ariaSort(sort, "deletion", "lower")).toBe("ascending");
    sort = nextSort(sort, "deletion");
    expect(sort).toEqual({ by: "deletion", reverse: true });
    expect(ariaSort(sort, "deletion", "lower")).toBe("descending");
    expect(ariaSort({ by: "insertion", reverse: false }, "insertion", "higher")).toBe("descending");
    expect(ariaSort(sort, "insertion", "higher")).toBe("none");
    expect(nextSort(sort, "deletion").by).toBe("");
  });

  it("says what does not beat a control: by value, or by an interval that overlaps", () => {
    const controls = entries.filter(({ kind }) => kind === "control");
    expect(notBeyond(cells, columnAt(0), alpha, controls)).toBeNull();
    expect(notBeyond(cells, columnAt(0), beta, controls)).toMatchObject({ worse: false });
    expect(notBeyond(cells, columnAt(0), gamma, controls)).toMatchObject({ worse: true });
    expect(notBeyond(cells, columnAt(2), alpha, controls)).toBeNull();
  });

  it("gives the bars of a column one axis that holds all intervals", () => {
    const [low = 0, high = 0] = extentOf(cells, "deletion", entries) ?? [];
    expect(low).toBeLessThan(0.15);
    expect(high).toBeGreaterThan(0.85);
    expect(extentOf(cells, "nothing", entries)).toBeNull();
    const one = { x: { deletion: cellOf([0.5], 0) } };
    const [from = 0, to = 0] = extentOf(one, "deletion", [entryOf("x")]) ?? [];
    expect(to).toBeGreaterThan(from);
  });

  it("prints correlations and settings as they are read", () => {
    expect([0.634, -0.05, 1, -0.999, 0.001, -0.001].map(formatCorrelation)).toEqual([
      ".63",
      "−.05",
      "1.0",
      "−1.0",
      ".00",
      ".00",
    ]);
    expect(parametersText({ steps: 33, fill: "blur", other: null, share: 0.25 })).toBe(
      "steps=33, fill=blur, share=0.250",
    );
  });
});

describe("maps", () => {
  it("are compared as shares of their own total magnitude", () => {
    expect([...asShares(field([3, -1, 0, 0])).values]).toEqual([0.75, -0.25, 0, 0]);
    expect([...asShares(field([0, 0])).values]).toEqual([0, 0]);
    const both = new Map([
      ["small", field([1, -1])],
      ["large", field([300, 100])],
    ]);
    const shares = drawnOf(both, "share", 100, () => true);
    expect(shares.get("small")?.range).toBe(0.75);
    expect(shares.get("large")?.range).toBe(0.75);
    const own = drawnOf(both, "own", 100, () => true);
    expect([own.get("small")?.range, own.get("large")?.range]).toEqual([1, 300]);
    const values = drawnOf(both, "value", 100, () => false);
    expect(values.get("small")).toMatchObject({ range: 300, signed: false });
  });

  it("disagree by the standard deviation of shares", () => {
    const found = disagreement([field([1, 0]), field([0, 5])], false);
    expect([...(found?.values ?? [])]).toEqual([0.5, 0.5]);
    expect([...(disagreement([field([2, -2]), field([-1, 1])], true)?.values ?? [])]).toEqual([0, 0]);
    expect(disagreement([field([1, 0])], false)).toBeNull();
  });

  it("differ place by place, and share their strongest places", () => {
    expect([...difference(field([3, 1]), field([1, 1]), false).values]).toEqual([0.25, -0.25]);
    const a = field([9, 8, 1, 0, 0, 0, 0, 0, 0, 0]);
    const b = field([9, 0, 1, -8, 0, 0, 0, 0, 0, 0]);
    expect(overlap(a, b, 0.2)).toBe(0.5);
    expect(overlap(a, field(new Array(10).fill(0)), 0.2)).toBeNull();
  });

  it("must fit into their bytes", async () => {
    const { maps, map_data: data } = boardState();
    const fields = await decodeFields(maps as MapsInfo, data);
    expect([...(fields.get(alpha)?.[0]?.values ?? [])]).toEqual([63.5, -63.5, 0, 0]);
    expect([...(fields.get(random)?.[1]?.values ?? [])]).toEqual([40, 30, 20, 10]);
    const wrong = { ...(maps as MapsInfo), shapes: [[1, 400]] as [number, number][] };
    await expect(decodeFields(wrong, data)).rejects.toThrow("does not fit");
    expect((await decodeFields(maps as MapsInfo, null)).size).toBe(0);
  });
});

describe("curves", () => {
  it("are read between their points", () => {
    expect(lineAt([0, 1, 3], [0, 10, 30], 2)).toBe(20);
    expect(lineAt([0, 1], [5, 6], -1)).toBe(5);
    expect(lineAt([0, 1], [5, 6], 9)).toBe(6);
  });

  it("have a mean and one of each input", async () => {
    const { store } = await storeOf();
    const [line] = store.lines.value;
    expect([...(line?.mean ?? [])]).toEqual([1, 0.5, 0]);
    expect(line?.each.map((one) => [...one])).toEqual([
      [1, 0.25, 0],
      [1, 0.75, 0],
    ]);
    expect(curveNames(store.lines.value, "insertion")).toEqual(["deletion"]);
    expect(curveNames(store.lines.value, "complexity")).toEqual([]);
  });
});

describe("the reader's choices", () => {
  it("ask nobody, but for what Python reads", async () => {
    const { store, model } = await storeOf();
    const before = { saves: model.saves, sent: model.sent.length };
    store.sortBy("deletion");
    store.setInput(1);
    store.setInput(2);
    store.setTab("pair");
    store.setDisplay({ scale: "own" });
    store.toggleHidden("columns", "complexity");
    store.setPair(1, gamma);
    store.openCell(alpha, "deletion");
    await settled();
    expect({ saves: model.saves, sent: model.sent.length }).toEqual(before);
    expect(model.get("input")).toBe(0);
    expect(model.get("opened")).toEqual({ entry: alpha, column: "deletion" });
    expect(store.shownColumns.value.map(({ name }) => name)).toEqual(["deletion", "insertion"]);
    store.toggle(beta);
    await vi.waitFor(() => expect(model.saves).toBe(before.saves + 1));
    expect(model.get("selection")).toEqual([beta]);
    store.toggle(beta);
    expect(model.get("selection")).toEqual([]);
  });

  it("leave a row and a column at least", async () => {
    const { store } = await storeOf();
    for (const { name } of columns) store.toggleHidden("columns", name);
    expect(store.shownColumns.value).toHaveLength(1);
    store.showEverything();
    expect(store.shownColumns.value).toHaveLength(3);
  });

  it("rank only what is on show, and never controls", async () => {
    const { store } = await storeOf();
    expect(store.ranks.value.get("deletion")?.get(beta)).toBe(2);
    expect(store.ranks.value.get("deletion")?.has(random)).toBe(false);
    store.toggleHidden("entries", alpha);
    expect(store.ranks.value.get("deletion")?.get(beta)).toBe(1);
  });

  it("compare the picked ones; the same twice swaps them", async () => {
    const { store } = await storeOf({ selection: [gamma, alpha] });
    const keys = () => store.pair.value?.map(({ key }) => key);
    expect(keys()).toEqual([gamma, alpha]);
    store.setPair(0, alpha);
    expect(keys()).toEqual([alpha, gamma]);
    store.setPair(1, beta);
    expect(keys()).toEqual([alpha, beta]);
  });
});
