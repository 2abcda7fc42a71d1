// Every key of the path explorer: one table for the keyboard and for the help.

import { type Binding, baseBindings, digits, testBinding, toggle, used } from "../lib/keys";
import type { PathStore } from "./store";
import { baselineName, formatAlpha } from "./words";

const FRAME_STEPS: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
};
const LEAPS: Readonly<Record<string, number>> = { PageDown: -0.1, PageUp: 0.1 };
/** Which end of the window, and where to. */
const WINDOW_STEPS: Readonly<Record<string, readonly [start: number, end: number]>> = {
  ",": [-0.02, 0],
  ".": [0.02, 0],
  "<": [0, -0.02],
  ">": [0, 0.02],
};

function moveWindow(store: PathStore, key: string): void {
  const [byStart, byEnd] = WINDOW_STEPS[key] ?? [0, 0];
  const [start, end] = store.window.value;
  const round = (value: number) => Math.round(100 * value) / 100;
  if (byStart !== 0) store.setWindow(Math.min(Math.max(round(start + byStart), 0), end), end);
  else store.setWindow(start, Math.max(Math.min(round(end + byEnd), 1), start));
  const [from, to] = store.window.value;
  store.announcer.say(`window from ${formatAlpha(from)} to ${formatAlpha(to)}`);
}

function stepBaseline(store: PathStore, step: 1 | -1): void {
  store.stepBaseline(step);
  const baseline = store.baselines.value.find(
    (one) => one.id === (store.live ? store.params.value.baseline : store.baselineId.value),
  );
  if (baseline) store.announcer.say(baselineName(baseline, store.mode.value));
}

function toggleLayer(store: PathStore, name: "blind" | "disagreement", words: string): void {
  const on = !store.display.value[name];
  store.show({ [name]: on });
  store.announcer.say(`${words} ${on ? "on" : "off"}`);
}

/** Undo the innermost thing that is open; false if nothing is. */
function release(store: PathStore): boolean {
  const open = [store.helpOpen, store.exportOpen, store.picking].find((one) => one.value);
  const [start, end] = store.window.value;
  if (open) open.value = false;
  else if (store.playing.value) store.togglePlay();
  else if (store.running.value && store.live) store.cancel();
  else if (start > 0 || end < 1) store.setWindow(0, 1);
  else if (store.tableOpen.value) store.tableOpen.value = false;
  else return false;
  return true;
}

function movement(store: PathStore): Binding[] {
  return [
    {
      keys: Object.keys(FRAME_STEPS),
      print: "← →",
      help: "one frame back or on",
      run: used((key) => store.stepAlpha(FRAME_STEPS[key] ?? 0)),
    },
    {
      keys: Object.keys(LEAPS),
      print: "PgDn PgUp",
      help: "a tenth of the path back or on",
      run: used((key) => store.setAlpha(store.alpha.value + (LEAPS[key] ?? 0))),
    },
    {
      keys: ["Home", "End"],
      print: "Home End",
      help: "start or end of the window",
      run: used((key) => store.setAlpha(key === "Home" ? 0 : 1)),
    },
    {
      keys: [",", "."],
      print: ", .",
      help: "move the start of the window",
      run: (key) => store.mode.value === "path" && used(() => moveWindow(store, key))(key),
    },
    {
      keys: ["<", ">"],
      print: "< >",
      help: "move the end of the window",
      run: (key) => store.mode.value === "path" && used(() => moveWindow(store, key))(key),
    },
    { keys: ["Space"], print: "Space", help: "play or pause", run: used(() => store.togglePlay()) },
  ];
}

export function pathBindings(store: PathStore): Binding[] {
  return [
    ...baseBindings(store),
    { keys: ["Escape"], print: "Esc", help: "close, pause, cancel or widen the window", run: () => release(store) },
    ...movement(store),
    testBinding(store),
    {
      keys: ["b", "B"],
      print: "b ⇧b",
      help: "next or previous baseline",
      run: used((key) => stepBaseline(store, key === "b" ? 1 : -1)),
    },
    { keys: ["x"], print: "x", help: "blind spot", run: used(() => toggleLayer(store, "blind", "blind spot")) },
    {
      keys: ["d"],
      print: "d",
      help: "disagreement of the baselines",
      run: used(() => toggleLayer(store, "disagreement", "disagreement")),
    },
    {
      keys: ["f"],
      print: "f",
      help: "refine where the sum misses most",
      run: () => {
        if (!store.live || store.mode.value !== "path" || !store.run.value) return false;
        store.refine();
        return true;
      },
    },
    {
      keys: ["s"],
      print: "s",
      help: "with sign, or strength alone",
      run: used(() => {
        const sign = store.display.value.sign === "both" ? "absolute" : "both";
        store.show({ sign });
        store.announcer.say(sign === "both" ? "support and opposition" : "strength without sign");
      }),
    },
    {
      keys: digits(4),
      print: "1 2 3 4",
      help: "go to that panel",
      run: (key) => {
        const panel = store.element.querySelector<HTMLElement>(`[data-xw-panel="${key.at(-1)}"]`);
        panel?.focus();
        return panel !== null;
      },
    },
    toggle("t", "the curves as a table", store.tableOpen),
    toggle("e", "export", store.exportOpen),
  ];
}
