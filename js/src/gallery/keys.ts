// Every key of the gallery: one table for the keyboard and for the help.

import { type Binding, baseBindings, digits, listKeys, next, toggle, used } from "../lib/keys";
import type { GalleryStore } from "./store";
import type { ScoreMode, Tab } from "./traits";
import { VERDICTS } from "./verdicts";
import { MODE_TITLES } from "./words";

const TABS: readonly Tab[] = ["influence", "triage", "map"];

const CARDS: readonly Binding[] = [
  listKeys("← → ↑ ↓", ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], "from card to card"),
  listKeys("⇧ arrows", ["Shift+ArrowLeft"], "select a range; on the data map, draw a box"),
  listKeys("Home End", ["Home", "End"], "first or last card"),
  listKeys("+ −", ["+", "-"], "data map: zoom to the box, and back"),
  listKeys("PgUp PgDn", ["PageUp", "PageDown"], "previous or next cards"),
];

/** Judge what is meant; after a single one, go on to the next. */
function judge(store: GalleryStore, key: string): boolean {
  const verdict = VERDICTS[Number(key.at(-1)) - 1];
  const targets = store.targets.value;
  if (!verdict || targets.length === 0) return false;
  store.judge(verdict);
  const cursor = store.cursor.value;
  if (cursor && targets.length === 1) {
    const place = store.placeOf(cursor);
    if (place + 1 < store.countIn(cursor.area)) store.moveTo(cursor.area, place + 1);
  }
  return true;
}

/** Close the innermost thing that is open; false if nothing is. */
function release(store: GalleryStore): boolean {
  const open = [store.helpOpen, store.exportOpen].find((one) => one.value);
  const panel = [store.tableOpen, store.moreOpen].find((one) => one.value);
  if (open) open.value = false;
  else if (store.detail.value !== null) store.showDetail(null);
  else if (store.running.value && store.live) store.cancel();
  else if (store.selection.value.length > 0) store.select([]);
  else if (panel) panel.value = false;
  else return false;
  return true;
}

function withFocused(store: GalleryStore, act: (id: number) => void): () => boolean {
  return () => {
    const id = store.focused.value;
    if (id !== null) act(id);
    return id !== null;
  };
}

function cards(store: GalleryStore): Binding[] {
  return [
    {
      keys: ["Enter", "o"],
      print: "⏎ o",
      help: "open the example beside the query",
      onMap: true,
      run: withFocused(store, (id) => store.openPair(id)),
    },
    {
      keys: ["x", "Space"],
      print: "x Space",
      help: "select the card",
      onMap: true,
      run: withFocused(store, (id) => store.toggle(id)),
    },
    {
      keys: digits(4),
      print: "1 2 3 4",
      help: "keep, relabel, drop, unsure; then the next card",
      run: (key) => judge(store, key),
    },
    {
      keys: ["0", "Digit0"],
      print: "0",
      help: "take the verdict away",
      run: () => {
        if (store.targets.value.length === 0) return false;
        store.judge(null);
        return true;
      },
    },
    { keys: ["u"], print: "u", help: "undo the last verdict", run: () => store.undo() },
    { keys: ["a"], print: "a", help: "select all that the filters let through", run: used(() => store.selectAll()) },
  ];
}

function views(store: GalleryStore): Binding[] {
  return [
    {
      keys: ["s"],
      print: "s",
      help: "next score: dot, cosine, relative",
      run: () => {
        const modes = store.modes.value;
        if (modes.length < 2) return false;
        const mode: ScoreMode = next(modes, store.mode.value);
        store.setMode(mode);
        store.announcer.say(`in order of ${MODE_TITLES[mode]}`);
        return true;
      },
    },
    {
      keys: ["m"],
      print: "m",
      help: "next view: influence, triage, data map",
      run: used(() => {
        store.setTab(next(TABS, store.tab.value));
        store.announcer.say(store.tab.value);
      }),
    },
    {
      keys: ["c"],
      print: "c",
      help: "go to the class filter",
      run: () => {
        const control = store.element.querySelector<HTMLElement>(".xw-filters select:not(:disabled)");
        control?.focus();
        return control !== null;
      },
    },
    {
      keys: ["w"],
      print: "w",
      help: "only where label and prediction differ",
      run: used(() => {
        store.setFilters({ wrong: !store.filters.value.wrong });
        store.announcer.say(store.filters.value.wrong ? "only where they differ" : "wherever");
      }),
    },
  ];
}

export function galleryBindings(store: GalleryStore): Binding[] {
  return [
    ...CARDS,
    ...cards(store),
    ...baseBindings(store),
    { keys: ["Escape"], print: "Esc", help: "close, release or cancel", run: () => release(store) },
    ...views(store),
    toggle("d", "settings of the method", store.moreOpen),
    toggle("t", "the values as a table", store.tableOpen),
    toggle("e", "export", store.exportOpen),
  ];
}
