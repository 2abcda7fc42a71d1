// Every key of the heatmap: one table for the keyboard and for the help.

import { type Binding, baseBindings, classBindings, next, testBinding, toggle, usable, used } from "../lib/keys";
import type { Display, Sign, View } from "../lib/traits";
import { moveCursor, moveToRank, moveToRowEnd, toggleRegion } from "./movement";
import type { HeatmapStore } from "./store";

const SIGNS: readonly Sign[] = ["both", "positive", "negative", "absolute"];
const VIEWS: readonly View[] = ["overlay", "side", "wipe", "mask"];
const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const PANS: Record<string, [number, number]> = { h: [-0.2, 0], l: [0.2, 0], k: [0, -0.2], j: [0, 0.2] };

function show(store: HeatmapStore, patch: Partial<Display>, spoken: string): void {
  store.show(patch);
  store.announcer.say(spoken);
}

/** Undo the innermost thing that is open; false if nothing is. */
function release(store: HeatmapStore): boolean {
  const open = [store.helpOpen, store.exportOpen].find((one) => one.value);
  if (open) open.value = false;
  else if (store.anchor.value || store.draft.value) {
    store.anchor.value = null;
    store.draft.value = null;
  } else if (store.running.value && store.live) store.cancel();
  else if (store.cursor.value) store.lock(null);
  else if (store.region.value) store.chooseRegion(null);
  else if (store.tableOpen.value) store.tableOpen.value = false;
  else return false;
  return true;
}

function fadeOpacity(store: HeatmapStore, step: number): void {
  const opacity = Math.min(Math.max(Math.round((store.display.value.opacity + step) * 20) / 20, 0), 1);
  show(store, { opacity }, `opacity ${Math.round(100 * opacity)} percent`);
}

function displayBindings(store: HeatmapStore): Binding[] {
  return [
    {
      keys: ["v"],
      print: "v",
      help: "next view: overlay, map, wipe, mask",
      run: used(() => {
        if (!store.hasPhoto.value) return;
        const view = next(VIEWS, store.display.value.view);
        show(store, { view }, `view: ${view}`);
      }),
    },
    {
      keys: ["s"],
      print: "s",
      help: "next sign: both, supports, opposes, strength",
      run: used(() => {
        const sign = next(SIGNS, store.display.value.sign);
        show(store, { sign }, `sign: ${sign}`);
      }),
    },
    {
      keys: ["[", "]"],
      print: "[ ]",
      help: "less or more opacity",
      run: used((key) => fadeOpacity(store, key === "[" ? -0.05 : 0.05)),
    },
    toggle("f", "hide or show the map", store.mapHidden),
    toggle("t", "table of the strongest units", store.tableOpen),
    toggle("d", "more display controls", store.moreOpen),
    toggle("e", "export", store.exportOpen),
    { keys: ["0", "Digit0"], print: "0", help: "whole picture, no zoom", run: used(() => store.zoom.reset()) },
    ...classBindings(store),
  ];
}

function mapBindings(store: HeatmapStore): Binding[] {
  const arrow = (key: string) => {
    const [dx, dy] = ARROWS[key.replace("Shift+", "")] ?? [0, 0];
    moveCursor(store, dx, dy, key.startsWith("Shift+"));
  };
  const pan = (key: string) => {
    const [x, y] = PANS[key] ?? [0, 0];
    store.zoom.pan(x, y);
  };
  return [
    { keys: Object.keys(ARROWS), print: "← ↑ → ↓", help: "move the reading cursor", onMap: true, run: used(arrow) },
    {
      keys: Object.keys(ARROWS).map((key) => `Shift+${key}`),
      print: "⇧ ←↑→↓",
      help: "in larger steps",
      onMap: true,
      run: used(arrow),
    },
    {
      keys: ["Home", "End"],
      print: "Home End",
      help: "ends of the row",
      onMap: true,
      run: used((key) => moveToRowEnd(store, key === "End")),
    },
    {
      keys: ["n", "p"],
      print: "n p",
      help: "next weaker, next stronger unit",
      onMap: true,
      run: used((key) => moveToRank(store, key === "n")),
    },
    {
      keys: ["Space"],
      print: "Space",
      help: "lock or release the reading",
      onMap: true,
      run: used(() => store.lock(store.hover.value ?? (store.cursor.value ? null : store.point.value))),
    },
    { keys: ["r"], print: "r", help: "begin and end a region", onMap: true, run: used(() => toggleRegion(store)) },
    { keys: ["w"], print: "w", help: "blur the region and ask again", asks: true, run: used(() => store.askWhatIf()) },
    {
      keys: ["+", "=", "-"],
      print: "+ −",
      help: "zoom",
      onMap: true,
      run: used((key) => store.zoom.by(key === "-" ? 1 / 1.5 : 1.5)),
    },
    { keys: Object.keys(PANS), print: "h j k l", help: "move the zoomed picture", onMap: true, run: used(pan) },
  ];
}

export function heatmapBindings(store: HeatmapStore): Binding[] {
  return usable(store, [
    ...baseBindings(store),
    { keys: ["Escape"], print: "Esc", help: "close, release or cancel", run: () => release(store) },
    ...displayBindings(store),
    testBinding(store),
    ...mapBindings(store),
  ]);
}
