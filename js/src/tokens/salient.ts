// From one strong unit to the next, past those that matter little.

import type { Unit } from "./groups";
import type { TokenStore } from "./store";

/** Strong enough to be stepped to: the strongest k, or a tenth of all. */
function isSalient(store: TokenStore, unit: Unit): boolean {
  const most = store.k.value || Math.max(5, Math.ceil(store.units.value.ranked / 10));
  return unit.rank > 0 && unit.rank <= most && unit.value !== 0;
}

/** The next or previous strong unit from the keyboard's place. */
export function salientFrom(store: TokenStore, step: 1 | -1): Unit | null {
  const { all } = store.units.value;
  const cursor = store.cursor.value;
  const here = cursor ? (store.unitOf(cursor.token)?.index ?? -1) : step === 1 ? -1 : all.length;
  for (let index = here + step; index >= 0 && index < all.length; index += step) {
    const unit = all[index] as Unit;
    if (isSalient(store, unit) && store.isShown(unit)) return unit;
  }
  return null;
}
