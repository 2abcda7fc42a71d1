// The chosen region: its sum, and what the model says when it is blurred.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Changes } from "../components/changes";
import { Sums } from "../components/sums";
import { formatSeconds } from "../lib/format";
import type { WhatIf } from "../lib/traits";
import { sumRegion } from "../lib/units";
import type { HeatmapStore } from "./store";

function WhatIfResult({ result }: { result: WhatIf }) {
  return (
    <div class="xw-whatif">
      <p class="xw-quiet">With the region blurred ({formatSeconds(result.seconds)}):</p>
      <Changes before={result.before} after={result.after} />
    </div>
  );
}

export function RegionCard({ store }: { store: HeatmapStore }) {
  const summed = useMemo(
    () =>
      computed(() => {
        const map = store.map.value;
        const region = store.draft.value ?? store.region.value;
        return map && region ? { region, ...sumRegion(map.values, map.width, region) } : null;
      }),
    [store],
  );
  const sum = summed.value;
  if (!sum) return null;
  const { region } = sum;
  const whatIf = store.whatIf.value;
  const answered = whatIf && JSON.stringify(whatIf.region) === JSON.stringify(region);
  const offReason = store.offReason.value;
  return (
    <div class="xw-region" role="group" aria-label="chosen region">
      <h3 class="xw-heading">
        Region{" "}
        <span class="xw-hint">
          {region.x1 - region.x0} × {region.y1 - region.y0} px
        </span>
        <button
          type="button"
          class="xw-button xw-button-bare"
          title="drop the region (Esc)"
          onClick={() => store.chooseRegion(null)}
        >
          <span aria-hidden="true">×</span>
          <span class="xw-visually-hidden">drop the region</span>
        </button>
      </h3>
      <Sums {...sum} signed={store.signed.value} />
      {!store.noModel.value && (
        <button
          type="button"
          class="xw-button xw-button-block"
          disabled={offReason !== "" || store.draft.value !== null || store.askingWhatIf.value}
          title={offReason || "blur this region in the input and run the model once more (w)"}
          onClick={() => store.askWhatIf()}
        >
          {store.askingWhatIf.value ? "asking…" : "Blur this region and ask again"}
        </button>
      )}
      {answered && <WhatIfResult result={whatIf} />}
    </div>
  );
}
