// The line under the strip: what is under the pointer or the keyboard, in words and numbers.

import { formatCount, formatPercent } from "../lib/format";
import { readable, visible } from "../lib/visible";
import { abridged } from "./phrase";
import type { TokenStore } from "./store";
import { valueText, verbOf } from "./words";

/** The tokens of a longer unit, as the model has them. */
function piecesOf(store: TokenStore, members: readonly number[]): string {
  const most = 8;
  const surfaces = members.slice(0, most).map((member) => visible(store.tokens.value[member]?.[3] ?? ""));
  return surfaces.join(" · ") + (members.length > most ? " …" : "");
}

export function TokenReading({ store }: { store: TokenStore }) {
  const place = store.hover.value ?? store.cursor.value;
  const unit = place && store.unitOf(place.token);
  if (!unit) {
    return (
      <p class="xw-readout xw-quiet">
        {store.task.value === "generate"
          ? "Click an output token to explain it, with Shift for several; drag over the prompt to sum a phrase."
          : "Point at a word to read it; click or drag to sum a phrase."}{" "}
        <kbd class="xw-key">?</kbd> lists the keys.
      </p>
    );
  }
  const unsigned = store.unsigned.value;
  const verb = verbOf(unit.value, unsigned);
  const towards = verb === "supports" || verb === "opposes";
  return (
    <p class="xw-readout">
      <span class="xw-place">
        <bdi>{abridged(readable(store.textOf(unit)), 60)}</bdi>
        {unit.members.length > 1 && <span class="xw-quiet"> = {piecesOf(store, unit.members)}</span>}
      </span>
      <span class="xw-reading" data-direction={unsigned ? 0 : Math.sign(unit.value) || 0}>
        {verb} {towards && <bdi>{store.about.value.question.target_label}</bdi>}
      </span>
      <span class="xw-number">{valueText(unit.value, unsigned)}</span>
      {unit.rank > 0 && (
        <>
          <span class="xw-number" title="share of the sum of all magnitudes">
            {formatPercent(unit.share)} of Σ|a|
          </span>
          <span class="xw-number xw-quiet">
            rank {formatCount(unit.rank)} of {formatCount(store.units.value.ranked)}
          </span>
        </>
      )}
    </p>
  );
}
