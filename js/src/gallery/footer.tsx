// The last line: how far the ranking can be trusted, and what else can be done with it.

import { useMemo } from "preact/hooks";
import { ExportMenu } from "../components/export-menu";
import { Toggle } from "../components/toggle";
import { formatCount, formatPercent, formatSeconds } from "../lib/format";
import { HUB_SHARE } from "./candidate-store";
import { copiesOf, formatsOf } from "./export";
import type { GalleryStore } from "./store";

const PYTHON_LINES = [
  { text: "w.selected_indices", means: "what is selected" },
  { text: "w.verdicts_frame()", means: "the verdicts as a table" },
  { text: "w.subset(dataset)", means: "the data set after the verdicts" },
];

function Trust({ store }: { store: GalleryStore }) {
  const { scanned, approximations, hub_sample: sample, hub_leading: leading, seconds, stored } = store.rank.value;
  return (
    <details class="xw-trust">
      <summary>Trust</summary>
      <div class="xw-trust-text">
        <p>
          {formatCount(scanned)} examples scored{seconds > 0 && ` in ${formatSeconds(seconds)}`}, the strongest{" "}
          {formatCount(stored)} are here. {approximations.length === 0 && "Nothing is approximate."}
        </p>
        {approximations.map((one) => (
          <p key={one}>Approximate: {one}.</p>
        ))}
        {sample > 0 && (
          <p>
            ⚑ marks those among the leading {leading} of more than {formatPercent(HUB_SHARE, 0)} of{" "}
            {formatCount(sample)} training examples taken as queries.
          </p>
        )}
        <p class="xw-quiet">A score is no verdict. Train again without the suspects before dropping many.</p>
      </div>
    </details>
  );
}

export function GalleryFooter({ store }: { store: GalleryStore }) {
  const formats = useMemo(() => formatsOf(store), [store]);
  const copies = useMemo(() => copiesOf(store), [store]);
  return (
    <div class="xw-footer">
      <Trust store={store} />
      <span class="xw-footer-tools">
        <Toggle open={store.moreOpen} title="settings of the method (d)" text="Settings" />
        <Toggle open={store.tableOpen} title="the examples as a table (t)" text="Table" />
        <ExportMenu
          open={store.exportOpen}
          formats={formats}
          copies={copies}
          pythonLines={PYTHON_LINES}
          ready={store.candidates.value !== null}
          offReason={store.offReason.value}
        />
        <Toggle open={store.helpOpen} title="keys (?)" text="?" label="keys" />
      </span>
    </div>
  );
}
