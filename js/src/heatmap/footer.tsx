// The last line: how good the numbers are, and what else can be done with them.

import { GapBadge, TestButton, Trust } from "../components/trust";
import { ExportMenu } from "./export-menu";
import type { HeatmapStore } from "./store";

const CAVEAT =
  "A picture that looks right may still not describe the model: compare methods and baselines, and blur what it points at.";

export function Footer({ store }: { store: HeatmapStore }) {
  return (
    <div class="xw-footer">
      <GapBadge quality={store.quality.value} />
      <Trust quality={store.quality.value} caveat={CAVEAT} noModel={store.noModel.value} />
      <TestButton store={store} />
      <span class="xw-footer-tools">
        <button
          type="button"
          class="xw-button xw-disclosure"
          title="fading, clip, gamma, colours, channels, scale (d)"
          aria-expanded={store.moreOpen.value}
          onClick={() => {
            store.moreOpen.value = !store.moreOpen.value;
          }}
        >
          Display
        </button>
        <button
          type="button"
          class="xw-button"
          title="table of the strongest units (t)"
          aria-expanded={store.tableOpen.value}
          onClick={() => {
            store.tableOpen.value = !store.tableOpen.value;
          }}
        >
          Table
        </button>
        <ExportMenu store={store} />
        <button
          type="button"
          class="xw-button"
          title="keys (?)"
          aria-label="keys"
          aria-expanded={store.helpOpen.value}
          onClick={() => {
            store.helpOpen.value = !store.helpOpen.value;
          }}
        >
          ?
        </button>
      </span>
    </div>
  );
}
