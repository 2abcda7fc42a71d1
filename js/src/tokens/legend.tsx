// What a full bar is worth, in numbers and in words; up and down only where the method tells support from opposition.

import { EndWords } from "../components/end-words";
import { formatCount, formatNumber } from "../lib/format";
import type { TokenStore } from "./store";
import type { Show } from "./traits";
import { countOfUnits } from "./words";

/** From one end of the scale to the other. */
const SAMPLES = Array.from({ length: 21 }, (_, place) => place / 10 - 1);

const FULL: Readonly<Record<Show, string>> = { bars: "full bar", tint: "full colour", underline: "thickest line" };
const SCALE_WORDS = { target: "", all: "one scale for all answers", fixed: "scale held fixed" } as const;

function notes(store: TokenStore): string[] {
  const { mode } = store.granularity.value;
  const { all, ranked } = store.units.value;
  const range = store.range.value;
  const unit = store.unit.value;
  const k = store.k.value;
  const cut = all.filter((one) => one.rank > 0 && Math.abs(one.value) > range * (1 + 1e-6)).length;
  return [
    `${FULL[store.show.value]} = ${formatNumber(range)}${unit ? ` ${unit}` : ""}`,
    store.unsigned.value ? "unsigned: how much, not in which direction" : "",
    k > 0 && k < ranked ? `the strongest ${formatCount(k)} of ${countOfUnits(ranked, mode)}` : "",
    cut > 0 ? `${formatCount(cut)} beyond the scale` : "",
    SCALE_WORDS[store.scaleMode.value],
  ].filter(Boolean);
}

export function TokenLegend({ store }: { store: TokenStore }) {
  if (!store.result.value) return null;
  const range = store.range.value;
  if (range === 0) {
    return (
      <p class="xw-legend-note">
        Every value is zero: nothing to draw. Check the target, and that the model is in eval mode.
      </p>
    );
  }
  const signed = !store.unsigned.value;
  const ticks = signed ? [formatNumber(-range), "0", `+${formatNumber(range)}`] : ["0", formatNumber(range)];
  return (
    <div class="xw-legend xw-token-legend">
      <EndWords target={store.about.value.question.target_label} signed={signed} />
      <div class="xw-token-scale" data-show={store.show.value} data-signed={signed} aria-hidden="true">
        {SAMPLES.map((share) => (
          <span
            key={share}
            class="xw-token-sample"
            data-direction={signed ? Math.sign(share) : 1}
            style={{ "--v": signed ? Math.abs(share) : (1 + share) / 2 }}
          />
        ))}
      </div>
      <div class="xw-token-ticks">
        {ticks.map((tick) => (
          <span key={tick} class="xw-number">
            {tick}
          </span>
        ))}
      </div>
      <p class="xw-legend-note">{notes(store).join(" · ")}</p>
    </div>
  );
}
