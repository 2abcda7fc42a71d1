// The map beside maps that know nothing of the model.

import { Segmented } from "../components/segmented";
import { formatNumber } from "../lib/format";
import { Small } from "./small-map";
import type { TrustStore } from "./store";
import type { Control } from "./traits";
import { formatLikeness } from "./words";

const likeness = ({ rank, rank_absolute, ssim }: Control) =>
  `likeness to this map: rank correlation ${formatLikeness(rank)}, of the magnitudes ${formatLikeness(rank_absolute)}, structure (SSIM) ${formatLikeness(ssim)}`;

export function Controls({ store }: { store: TrustStore }) {
  const { controls, about } = store.trust.value;
  if (controls.length === 0) return null;
  const range = store.range.value;
  return (
    <section class="xw-trust-controls" aria-label="controls">
      <div class="xw-trust-head">
        <h4 class="xw-heading">Does it differ from maps that know less?</h4>
        <Segmented
          label="scale"
          name={`${store.uid}-scale`}
          value={store.scale.value}
          segments={[
            { value: "one", text: "one", title: "one scale for all: strengths can be compared" },
            { value: "each", text: "each its own", title: "each map on a scale of its own: patterns can be compared" },
          ]}
          onChoose={(value) => {
            store.scale.value = value;
          }}
        />
      </div>
      <ul class="xw-smalls" data-medium={about.medium}>
        {controls.map((one, index) => (
          <li key={one.key} title={index > 0 ? likeness(one) : ""}>
            <Small store={store} map={store.controls.value[index]} />
            <span class="xw-small-title">
              <bdi>{one.title}</bdi>
            </span>
            {index > 0 && (
              <span class="xw-quiet">
                rank corr. {formatLikeness(one.rank)}
                <span class="xw-visually-hidden">; {likeness(one)}</span>
              </span>
            )}
          </li>
        ))}
      </ul>
      <p class="xw-method-note">
        {store.scale.value === "one"
          ? `All have the same total strength and one scale: full colour at ${formatNumber(range)}.`
          : "Each has a scale of its own: compare patterns, not strengths."}
      </p>
    </section>
  );
}
