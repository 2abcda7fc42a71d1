// The line under the pictures: what lies under the cursor, or how to ask.

import { formatCount, formatPercent, formatSignedPercent } from "../lib/format";
import { readPoint, valueText } from "./reading";
import type { HeatmapStore } from "./store";

export function Readout({ store }: { store: HeatmapStore }) {
  const point = store.point.value;
  const reading = point && readPoint(store, point);
  if (!reading) {
    return (
      <p class="xw-readout xw-quiet">
        Point at a picture to read it; click to lock, drag to sum a region. <kbd class="xw-key">?</kbd> lists the keys.
      </p>
    );
  }
  const signed = store.signed.value;
  const share = signed ? formatSignedPercent(reading.share) : formatPercent(reading.share);
  const locked = store.cursor.value !== null && store.hover.value === null;
  return (
    <p class="xw-readout">
      <span class="xw-place">
        {reading.place}
        {locked && (
          <span class="xw-quiet" title="Esc releases">
            {" "}
            · locked
          </span>
        )}
      </span>
      <span class="xw-reading" data-direction={signed ? Math.sign(reading.value) : 0}>
        {reading.verb} {signed && reading.value !== 0 && <bdi>{store.question.value.target_label}</bdi>}
      </span>
      <span class="xw-number">{valueText(store, reading.value)}</span>
      <span class="xw-number" title="share of the sum of all magnitudes">
        {share} of Σ|a|
      </span>
      <span class="xw-number xw-quiet" title={`of ${formatCount(reading.count)}`}>
        rank {formatCount(reading.rank)}
      </span>
    </p>
  );
}
