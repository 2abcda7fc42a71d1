// Every key of the token strip: one table for the keyboard and for the help.

import {
  type Binding,
  baseBindings,
  classBindings,
  listKeys,
  next,
  testBinding,
  toggle,
  usable,
  used,
} from "../lib/keys";
import { endSearch } from "./search";
import type { TokenStore } from "./store";
import type { GroupMode, Show, Task } from "./traits";
import { countOfUnits, shareText, unitWord, valueText } from "./words";

const MODES: readonly GroupMode[] = ["token", "word", "sentence", "line", "paragraph", "regex"];
const SHOWS: readonly Show[] = ["bars", "tint", "underline"];
/** How many of the strongest stand out, from step to step. */
const LADDER = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1200, 2000, 3000];

/** Some only make sense for one task. */
interface TokenBinding extends Binding {
  task?: Task;
}

/** Change what the list is made of. If the keyboard is in it, it stays at the same place of the text. */
function regroup(store: TokenStore, change: () => void): void {
  const { activeElement } = store.element.getRootNode() as Document | ShadowRoot;
  const inside = activeElement?.closest("[data-xw-map]") && store.element.contains(activeElement);
  change();
  const token = store.cursor.value?.token;
  const here = token === undefined ? null : store.unitOf(token);
  if (!inside || !here) return;
  const after = store.units.value.all.slice(here.index);
  const shown = [...after, here].find((unit) => store.isShown(unit)) ?? here;
  store.goTo(shown.index === here.index ? (token ?? 0) : (shown.members[0] ?? 0));
}

/** The next unit; a pattern only where there is one. */
function stepGranularity(store: TokenStore, step: 1 | -1): void {
  const { mode, regex } = store.granularity.value;
  const modes = MODES.filter((one) => one !== "regex" || regex !== "" || mode === "regex");
  const chosen = next(modes, mode, step);
  regroup(store, () => store.setGranularity({ mode: chosen }));
  store.announcer.say(`by ${unitWord(chosen)}: ${countOfUnits(store.units.value.ranked, chosen)}`);
}

function stepTop(store: TokenStore, step: 1 | -1): void {
  const count = store.units.value.ranked;
  const steps = LADDER.filter((one) => one < count);
  const k = store.k.value === 0 || store.k.value >= count ? Number.POSITIVE_INFINITY : store.k.value;
  const chosen = step === 1 ? steps.find((one) => one > k) : steps.findLast((one) => one < k);
  store.local("k", chosen ?? (step === 1 ? 0 : (steps[0] ?? 0)));
  const now = store.k.value;
  store.announcer.say(now === 0 ? "all stand out" : `the strongest ${now} stand out`);
}

/** Undo the innermost thing that is open; false if nothing is. */
function release(store: TokenStore): boolean {
  const open = [store.helpOpen, store.exportOpen].find((one) => one.value);
  const panel = [store.editOpen, store.tableOpen, store.moreOpen].find((one) => one.value);
  if (open) open.value = false;
  else if (store.draft.value) store.draft.value = null;
  else if (store.searchOpen.value) endSearch(store);
  else if (store.running.value && store.live) store.cancel();
  else if (store.selection.value.length > 0) store.select([]);
  else if (panel) panel.value = false;
  else return false;
  return true;
}

const LIST: readonly Binding[] = [
  listKeys("← →", ["ArrowLeft", "ArrowRight"], "previous or next token"),
  listKeys("↑ ↓", ["ArrowUp", "ArrowDown"], "line above or below"),
  listKeys("Ctrl ← →", ["Ctrl+ArrowLeft", "Ctrl+ArrowRight"], "previous or next of the strongest"),
  listKeys("⇧ ← →", ["Shift+ArrowLeft", "Shift+ArrowRight"], "extend the phrase, or the span of output tokens"),
  listKeys("Home End", ["Home", "End"], "first or last token"),
  listKeys("PgUp PgDn", ["PageUp", "PageDown"], "a screen back or on"),
  listKeys("Space", ["Space"], "choose a phrase; explain an output token"),
  listKeys("⇧ Space", ["Shift+Space"], "add to the phrases; extend the span"),
];

function focusFoils(store: TokenStore): boolean {
  const control = store.element.querySelector<HTMLElement>(
    '[data-xw-foil]:not(:disabled), select[aria-label="class to contrast with"]:not(:disabled)',
  );
  control?.focus();
  return control !== null;
}

function askForMask(store: TokenStore): boolean {
  const [first] = store.selection.value;
  if (!first || !store.live) return false;
  store.askWhatIf({ mask: [...first] });
  return true;
}

function reading(store: TokenStore): TokenBinding[] {
  const salient = (key: string) => (key === "." ? store.nextSalient() : store.previousSalient());
  return [
    {
      keys: ["g", "G"],
      print: "g ⇧g",
      help: "next or previous unit: token, word, sentence, line, paragraph, pattern",
      run: used((key) => stepGranularity(store, key === "g" ? 1 : -1)),
    },
    {
      keys: ["s"],
      print: "s",
      help: "next drawing: bars, tint, underline",
      run: used(() => {
        regroup(store, () => store.local("show", next(SHOWS, store.show.value)));
        store.announcer.say(store.show.value);
      }),
    },
    {
      keys: ["[", "]"],
      print: "[ ]",
      help: "let fewer or more of the strongest stand out",
      run: used((key) => stepTop(store, key === "[" ? -1 : 1)),
    },
    { keys: [",", "."], print: ", .", help: "previous or next of the strongest", run: used(salient) },
    {
      keys: ["x"],
      print: "x",
      help: "special tokens",
      run: used(() => {
        regroup(store, () => store.local("specials", !store.specials.value));
        store.announcer.say(`special tokens ${store.specials.value ? "shown" : "hidden"}`);
      }),
    },
    {
      keys: ["0", "Digit0"],
      print: "0",
      help: "everything stands out, own scale",
      run: used(() => {
        store.local("k", 0);
        store.setScaleMode("target");
      }),
    },
    {
      keys: ["m"],
      print: "m",
      help: "strip or matrix",
      task: "generate",
      run: used(() => {
        store.local("view", store.view.value === "strip" ? "matrix" : "strip");
        store.announcer.say(store.view.value);
      }),
    },
    {
      keys: ["/"],
      print: "/",
      help: "find in the text",
      run: used(() => {
        store.searchOpen.value = true;
      }),
    },
    {
      keys: ["n", "N"],
      print: "n ⇧n",
      help: "next or previous match",
      run: (key) => {
        if (store.search.value.hits.length === 0) return false;
        store.stepHit(key === "n" ? 1 : -1, true);
        return true;
      },
    },
    {
      keys: ["v"],
      print: "v",
      help: "say what the phrase adds up to",
      run: () => {
        const sum = store.selectionSum.value;
        if (!sum) return false;
        store.announcer.say(`${valueText(sum.sum, store.unsigned.value)}, ${shareText(sum.share)}`);
        return true;
      },
    },
  ];
}

function asking(store: TokenStore): TokenBinding[] {
  return [
    { keys: ["f"], print: "f", help: "go to what could be contrasted with", asks: true, run: () => focusFoils(store) },
    { keys: ["w"], print: "w", help: "mask the phrase and ask again", asks: true, run: () => askForMask(store) },
    {
      keys: ["a"],
      print: "a",
      help: "attribute every output token",
      asks: true,
      task: "generate",
      run: () => {
        if (!store.live || store.matrixComplete) return false;
        store.askColumns();
        return true;
      },
    },
    ...classBindings(store).map((binding) => ({ ...binding, task: "classify" as const })),
  ];
}

export function tokenBindings(store: TokenStore): Binding[] {
  const all: TokenBinding[] = [
    ...baseBindings(store),
    { keys: ["Escape"], print: "Esc", help: "close, release or cancel", run: () => release(store) },
    ...reading(store),
    ...asking(store),
    toggle("i", "edit the text", store.editOpen, true),
    toggle("d", "more display controls", store.moreOpen),
    toggle("t", "the values as a table", store.tableOpen),
    toggle("e", "export", store.exportOpen),
    testBinding(store),
    ...LIST,
  ];
  return usable(store, all).filter(({ task }) => task === undefined || task === store.task.value);
}
