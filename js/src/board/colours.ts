// Colours and dashes of methods in charts: the colour repeats after seven, the dashes then differ. Controls are grey.

import type { BoardStore } from "./store";
import type { Entry } from "./traits";

export const COLOURS = 7;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const CONTROL_DASHES = ["4 4", "1 4", "8 3 1 3"];

export interface Stroke {
  /** A CSS colour, made of the variables of board.css. */
  colour: string;
  dash: string;
}

export function strokeOf(store: BoardStore, entry: Entry): Stroke {
  if (entry.kind === "control") {
    const at = store.entries.value.filter(({ kind }) => kind === "control").indexOf(entry);
    return { colour: "var(--xw-quiet)", dash: CONTROL_DASHES[at % CONTROL_DASHES.length] ?? "" };
  }
  const at = Math.max(store.placeOf(entry.key), 0);
  return { colour: `var(--xw-line-${at % COLOURS})`, dash: DASHES[Math.floor(at / COLOURS) % DASHES.length] ?? "" };
}
