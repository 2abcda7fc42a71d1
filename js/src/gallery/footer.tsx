// The last line: how far the ranking can be trusted, and what else can be done with it.

import { useMemo } from "preact/hooks";
import { ExportMenu } from "../components/export-menu";
import { Toggle } from "../components/toggle";
import { formatCount, formatPercent, formatSeconds } from "../lib/format";
import { copiesOf, formatsOf } from "./export";
import type { GalleryStore } from "./store";

const PYTHON_LINES = [
  { text: "w.selected_indices", means: "what is selected" },
  { text: "w.verdicts_frame()", means: "the verdicts as a table" },
  { text: "w.subset(dataset)", means: "the data set after the verdicts" },
  { text: 'w.to_html("examples.html")', means: "a page that works without a kernel" },
];

const CAVEAT =
  "Influence is an estimate of what training without an example would change, not a verdict on it: proponents may be ordinary, opponents may be right. Look at neighbours of the same class, and retrain without the suspects before dropping many.";

function Trust({ store }: { store: GalleryStore }) {
  const {
    scanned,
    total,
    final,
    exact,
    approximations,
    missing,
    hub_sample: sample,
    seconds,
    stored,
  } = store.rank.value;
  return (
    <details class="xw-trust">
      <summary>Trust</summary>
      <div class="xw-trust-text">
        <p>
          {final
            ? `${formatCount(scanned)} examples were scored`
            : `${formatCount(scanned)} of ${formatCount(total)} examples are scored so far`}
          {seconds > 0 && ` in ${formatSeconds(seconds)}`}; the strongest {formatCount(stored)} are here.{" "}
          {exact ? "Their scores are exact gradients' products." : "Their scores are estimates."}
        </p>
        {approximations.length > 0 && (
          <ul class="xw-trust-list">
            {approximations.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        )}
        {missing.length > 0 && (
          <p>
            Left out:{" "}
            {missing.map(([name, why], place) => (
              <span key={name}>
                {place > 0 && ", "}
                <bdi>{name}</bdi> (<bdi>{why}</bdi>)
              </span>
            ))}
            .
          </p>
        )}
        {sample > 0 && (
          <p>
            ⚑ marks examples that lead for more than {formatPercent(0.3, 0)} of {formatCount(sample)} training examples
            taken as queries.
          </p>
        )}
        <p class="xw-quiet">{CAVEAT}</p>
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
