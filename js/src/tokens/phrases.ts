// Phrases: units chosen by clicking, dragging or with Shift and the arrows. Their places in the text are what is kept.

import type { Group } from "./groups";
import { covers, without } from "./selection";
import type { TokenStore } from "./store";
import type { CharRange } from "./traits";

export function rangeBetween(one: Group, other: Group): CharRange {
  return [Math.min(one.start, other.start), Math.max(one.end, other.end)];
}

export function isChosen(store: TokenStore, group: Group): boolean {
  const ranges = store.draft.value ? [store.draft.value] : store.selection.value;
  return covers(ranges, group.start, group.end);
}

/** Choose a unit; the only chosen one again drops it. `add` keeps the others. */
export function toggle(store: TokenStore, group: Group, add = false): void {
  const { value: chosen } = store.selection;
  const own: CharRange = [group.start, group.end];
  if (own[1] <= own[0]) return;
  if (!covers(chosen, ...own)) store.select([own], add);
  else if (add) store.select(without(chosen, own));
  else {
    const [only] = chosen;
    const alone = chosen.length === 1 && only?.[0] === own[0] && only[1] === own[1];
    store.select(alone ? [] : [own]);
  }
}
