// Keys work while the focus is inside the widget. The same table dispatches them and fills the help.

import type { Signal } from "@preact/signals";
import type { BaseStore } from "./base-store";

export interface Binding {
  /** As made by keyName. */
  keys: string[];
  /** How the keys are printed in the help. */
  print: string;
  help: string;
  /** Only while the pictures have the focus. */
  onMap?: boolean;
  /** Only where there is a model to ask. */
  asks?: boolean;
  /** Returns false where the key does nothing now, so that the host may use it. */
  run(key: string): boolean | undefined;
}

/** "Shift+ArrowUp", "Digit1", "?": letters and signs as typed, digits by their place on the keyboard. */
export function keyName(event: KeyboardEvent): string {
  if (/^Digit\d$/.test(event.code)) return (event.shiftKey ? "Shift+" : "") + event.code;
  const named = event.key === " " ? "Space" : event.key;
  return named.length > 1 && event.shiftKey ? `Shift+${named}` : named;
}

type NativeUse = "none" | "text" | "select" | "range" | "button";

function nativeUse(target: Element): NativeUse {
  if (target instanceof HTMLInputElement) {
    if (target.type === "range" || target.type === "radio") return "range";
    return target.type === "checkbox" ? "button" : "text";
  }
  if (target instanceof HTMLTextAreaElement) return "text";
  if (target instanceof HTMLSelectElement) return "select";
  if (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement || target.tagName === "SUMMARY")
    return "button";
  return target.getAttribute("role") === "slider" ? "range" : "none";
}

/** Whether the focused control needs the key itself. */
function takenByControl(use: NativeUse, key: string): boolean {
  if (key === "Escape") return false;
  if (use === "text" || use === "select") return true;
  if (use === "range") return /Arrow|Home|End|Page|Space/.test(key);
  return use === "button" && /^(Shift\+)?(Enter|Space)$/.test(key);
}

export function handleKey(event: KeyboardEvent, bindings: readonly Binding[]): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return;
  const key = keyName(event);
  if (takenByControl(nativeUse(target), key)) {
    // The notebook must not act on it as well.
    event.stopPropagation();
    return;
  }
  const onMap = target.closest("[data-xw-map]") !== null;
  const binding = bindings.find((one) => one.keys.includes(key) && (onMap || !one.onMap));
  const done = binding !== undefined && binding.run(key) !== false;
  if (done) event.preventDefault();
  // A letter that means something here must not mean something else to the notebook, whose x cuts the cell.
  if (done || (event.key.length === 1 && bindings.some((one) => one.keys.includes(key)))) event.stopPropagation();
}

/** Run, then report the key as used. */
export const used =
  (act: (key: string) => unknown) =>
  (key: string): boolean => {
    act(key);
    return true;
  };

/** What follows in a list that begins again at its end. */
export function next<T>(list: readonly T[], current: T, step = 1): T {
  return list[(list.indexOf(current) + step + list.length) % list.length] ?? current;
}

/** The digits from 1 to `count`. */
export const digits = (count: number): string[] => Array.from({ length: count }, (_, place) => `Digit${place + 1}`);

/** Keys that a list of cards or tokens takes itself: here for the help. */
export const listKeys = (print: string, keys: string[], help: string): Binding => ({
  keys,
  print,
  help,
  onMap: true,
  run: () => false,
});

/** A letter that opens and closes something. */
export const toggle = (key: string, help: string, open: Signal<boolean>, asks = false): Binding => ({
  keys: [key],
  print: key,
  help,
  asks,
  run: used(() => {
    open.value = !open.value;
  }),
});

/** Digits choose among the classes that are listed. */
export function classBindings(store: BaseStore): Binding[] {
  const byClass = (act: (id: number) => void) => (key: string) => {
    const chosen = store.classes.value[Number(key.at(-1)) - 1];
    if (chosen) act(chosen.id);
    return chosen !== undefined;
  };
  const keys = digits(9);
  return [
    { keys, print: "1 … 9", help: "explain that class", asks: true, run: byClass((id) => store.explain(id)) },
    {
      keys: keys.map((key) => `Shift+${key}`),
      print: "⇧ 1 … 9",
      help: "contrast with that class",
      asks: true,
      run: byClass((id) => store.contrast(id)),
    },
  ];
}

/** The keys of every widget. */
export function baseBindings(store: BaseStore): Binding[] {
  return [
    toggle("?", "show or hide this help", store.helpOpen),
    {
      keys: ["Enter"],
      print: "⏎",
      help: "run with the current settings",
      asks: true,
      run: () => {
        store.start();
        return true;
      },
    },
  ];
}

/** Those that can do something: values that came without a model leave nothing to ask. */
export function usable<B extends Binding>(store: BaseStore, bindings: readonly B[]): B[] {
  return bindings.filter((one) => !one.asks || store.noModel.value === "");
}

/** Of widgets whose map can be tested. */
export const testBinding = (store: BaseStore): Binding => ({
  keys: ["y"],
  print: "y",
  help: "test the map, or show and hide what was found",
  asks: true,
  run: () => store.toggleTests(),
});
