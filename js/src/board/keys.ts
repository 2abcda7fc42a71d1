// Every key of the scoreboard: one table for the keyboard and for the help.

import { type Binding, baseBindings, next, toggle, used } from "../lib/keys";
import type { BoardStore } from "./store";
import { TABS } from "./tabs";
import type { Scale } from "./traits";
import { SCALE_TITLES } from "./words";

const SCALES: readonly Scale[] = ["share", "own", "value"];

/** Close the innermost thing that is open; false if nothing is. */
function release(store: BoardStore): boolean {
  const open = [store.helpOpen, store.exportOpen].find((one) => one.value);
  if (open) open.value = false;
  else if (store.flickering.value) store.flickering.value = false;
  else if (store.explained.value !== null) store.explained.value = null;
  else if (store.running.value && store.live) store.cancel();
  else if (store.columnsOpen.value) store.columnsOpen.value = false;
  else if (store.selection.value.length > 0) store.clearSelection();
  else return false;
  return true;
}

const MOVES: Readonly<Record<string, readonly [down: number, right: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, Number.NEGATIVE_INFINITY],
  End: [0, Number.POSITIVE_INFINITY],
};

/** From cell to cell, over those that have a value. */
function move(store: BoardStore, key: string): boolean {
  const step = MOVES[key];
  const at = store.cursor.value;
  const root = store.element.getRootNode() as Document | ShadowRoot;
  // only from a cell: elsewhere in the table the arrows scroll
  if (!step || !at || !root.activeElement?.hasAttribute("data-cell")) return false;
  const rows = store.shown.value.map(({ key: name }) => name);
  const columns = store.shownColumns.value.map(({ name }) => name);
  const clamp = (value: number, count: number) => Math.min(Math.max(value, 0), count - 1);
  const entry = rows[clamp(rows.indexOf(at.entry) + step[0], rows.length)];
  const column = columns[clamp(columns.indexOf(at.column) + step[1], columns.length)];
  if (entry === undefined || column === undefined) return false;
  const cells = [...store.element.querySelectorAll<HTMLElement>("[data-cell]")];
  const found = cells.find((one) => one.dataset.cell === `${entry}/${column}`);
  found?.focus();
  return true;
}

function table(store: BoardStore): Binding[] {
  return [
    {
      keys: Object.keys(MOVES),
      print: "← → ↑ ↓",
      help: "from cell to cell; ⏎ opens what stands behind it",
      onMap: true,
      run: (key) => move(store, key),
    },
    {
      keys: ["x"],
      print: "x",
      help: "pick the row, or drop it",
      onMap: true,
      run: () => {
        const at = store.cursor.value;
        if (at) store.toggle(at.entry);
        return at !== null;
      },
    },
    {
      keys: ["s"],
      print: "s",
      help: "sort by the column: best first, worst first, as given",
      onMap: true,
      run: () => {
        const at = store.cursor.value;
        if (at) store.sortBy(at.column);
        return at !== null;
      },
    },
    {
      keys: ["i"],
      print: "i",
      help: "what the column tells and what it cannot",
      onMap: true,
      run: () => {
        const name = store.cursor.value?.column ?? null;
        store.explained.value = store.explained.value === name ? null : name;
        return name !== null;
      },
    },
  ];
}

function views(store: BoardStore): Binding[] {
  return [
    { keys: ["n"], print: "n", help: "next input", run: used(() => store.setInput(store.input.value + 1)) },
    { keys: ["p"], print: "p", help: "previous input", run: used(() => store.setInput(store.input.value - 1)) },
    {
      keys: ["m"],
      print: "m",
      help: "next view: maps, two maps, curves, agreement",
      run: used(() => {
        const tabs = TABS.map(([tab]) => tab);
        store.setTab(next(tabs, store.tab.value));
        store.announcer.say(TABS.find(([tab]) => tab === store.tab.value)?.[1] ?? "");
      }),
    },
    {
      keys: ["a"],
      print: "a",
      help: "next scale: shares, each its own, values",
      run: used(() => {
        store.setDisplay({ scale: next(SCALES, store.display.value.scale) });
        store.announcer.say(SCALE_TITLES[store.display.value.scale]);
      }),
    },
    {
      keys: ["v"],
      print: "v",
      help: "with signs, or sizes only",
      run: used(() => store.setDisplay({ sign: store.display.value.sign === "both" ? "absolute" : "both" })),
    },
    {
      keys: ["o"],
      print: "o",
      help: "picture below the maps",
      run: used(() => store.setDisplay({ underlay: !store.display.value.underlay })),
    },
    {
      keys: ["f"],
      print: "f",
      help: "show the other of two maps",
      run: () => {
        if (store.tab.value !== "pair") return false;
        if (store.pairView.value !== "flicker") store.setPairView("flicker");
        store.flipped.value = !store.flipped.value;
        const [a, b] = store.pair.value ?? [];
        store.announcer.say((store.flipped.value ? b : a)?.title ?? "");
        return true;
      },
    },
  ];
}

export function boardBindings(store: BoardStore): Binding[] {
  return [
    ...table(store),
    ...baseBindings(store),
    { keys: ["Escape"], print: "Esc", help: "close, release or cancel", run: () => release(store) },
    ...views(store),
    toggle("d", "which rows and columns are shown", store.columnsOpen),
    toggle("e", "export", store.exportOpen),
  ];
}
