// The checkpoints as small bars: how much each says about the candidates, and a switch for each. The cards' bars stand in
// the same order.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatNumber, formatPercent } from "../lib/format";
import type { GalleryStore } from "./store";

/** The last number in each name, where that tells them apart: "epoch 5.pt" is 5. Else they are counted. */
export function shortNames(names: readonly string[]): string[] {
  const numbers = names.map((name) => /\d+(?!.*\d)/.exec(name)?.[0] ?? "");
  const usable = new Set(numbers).size === names.length && numbers.every((one) => one !== "" && one.length < 7);
  return usable ? numbers : names.map((_, place) => String(place + 1));
}

/** Share of each checkpoint in the magnitude of all stored candidates, in this mode. */
export function sharesOf(parts: readonly (readonly number[])[], width: number): number[] {
  const sums = new Array<number>(width).fill(0);
  for (const one of parts) {
    one.forEach((part, column) => {
      if (column < width) sums[column] = (sums[column] as number) + Math.abs(part);
    });
  }
  const total = sums.reduce((sum, one) => sum + one, 0);
  return sums.map((sum) => (total > 0 ? sum / total : 0));
}

export function CheckpointMask({ store }: { store: GalleryStore }) {
  const shares = useMemo(
    () =>
      computed(() => {
        const { proponents, opponents } = store.ranking.value;
        const parts = [...proponents, ...opponents].map(({ id }) => store.partsOf(id) ?? []);
        return sharesOf(parts, store.ckpts.value.length);
      }),
    [store],
  );
  const ckpts = store.ckpts.value;
  if (ckpts.length < 2 || store.candidates.value?.width !== ckpts.length) return null;
  const mask = store.mask.value;
  const names = shortNames(ckpts.map(({ name }) => name));
  const most = Math.max(...shares.value, 1e-9);
  const partial = mask.some((on) => !on);
  return (
    <div class="xw-ckpts" role="group" aria-label="checkpoints that count">
      <span class="xw-label" title="bars: each checkpoint's share in the size of the stored scores">
        Checkpoints
      </span>
      <span class="xw-ckpt-list">
        {ckpts.map(({ name, learning_rate: rate, loss }, place) => {
          const on = mask[place] ?? true;
          const share = shares.value[place] ?? 0;
          const facts = `${name}: ${formatPercent(share)} of the scores' size, learning rate ${formatNumber(rate)}${
            loss == null ? "" : `, mean training loss ${formatNumber(loss)}`
          }`;
          return (
            <button
              key={place}
              type="button"
              class="xw-ckpt"
              aria-pressed={on}
              aria-label={facts}
              title={`${facts}. ⇧ click takes it alone.`}
              onClick={(event) =>
                event.shiftKey ? store.setMask(mask.map((_, other) => other === place)) : store.toggleCheckpoint(place)
              }
            >
              <span class="xw-ckpt-track" aria-hidden="true">
                <span class="xw-ckpt-bar" style={{ height: `${Math.max((100 * share) / most, 4)}%` }} />
              </span>
              <bdi class="xw-ckpt-name">{names[place]}</bdi>
            </button>
          );
        })}
      </span>
      {partial && (
        <button type="button" class="xw-link" onClick={() => store.setMask(mask.map(() => true))}>
          all
        </button>
      )}
    </div>
  );
}
