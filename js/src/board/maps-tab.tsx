// The maps of all methods about one input, on one scale; and where they disagree.

import { useMemo } from "preact/hooks";
import { Segmented } from "../components/segmented";
import { largestOf } from "../lib/percentile";
import { disagreement, rangeOfAll } from "./fields";
import { asDrawn, MapBox, PhotoCanvas } from "./map-picture";
import { ScaleBar, Scales } from "./scale";
import type { BoardStore } from "./store";
import type { BoardDisplay, Entry } from "./traits";
import { SCALE_TITLES } from "./words";

export function MapControls({ store }: { store: BoardStore }) {
  const { scale, sign, underlay } = store.display.value;
  return (
    <div class="xw-controls xw-board-display">
      <Segmented<BoardDisplay["scale"]>
        label="Scale"
        name={`${store.uid}-scale`}
        value={scale}
        segments={[
          { value: "share", text: "one, shares", title: SCALE_TITLES.share },
          { value: "own", text: "each its own", title: SCALE_TITLES.own },
          { value: "value", text: "one, values", title: SCALE_TITLES.value },
        ]}
        onChoose={(next) => store.setDisplay({ scale: next })}
      />
      <Segmented<BoardDisplay["sign"]>
        label="Sign"
        name={`${store.uid}-sign`}
        value={sign}
        segments={[
          { value: "both", text: "±", title: "with signs, where a method has them" },
          { value: "absolute", text: "|a|", title: "sizes only" },
        ]}
        onChoose={(next) => store.setDisplay({ sign: next })}
      />
      {store.medium.value === "image" && (
        <label class="xw-field" title="show the picture below the maps (o)">
          <input
            type="checkbox"
            class="xw-checkbox"
            checked={underlay}
            onChange={() => store.setDisplay({ underlay: !underlay })}
          />
          picture below
        </label>
      )}
    </div>
  );
}

function MapFigure({ store, entry }: { store: BoardStore; entry: Entry }) {
  const map = store.drawn.value.get(entry.key);
  const picked = store.selection.value.includes(entry.key);
  if (!map) {
    return (
      <figure class="xw-board-map">
        <div class="xw-board-none">{entry.error.title ? "failed" : store.running.value ? "…" : "no map"}</div>
        <figcaption class="xw-pane-caption">
          <bdi>{entry.title}</bdi>
        </figcaption>
      </figure>
    );
  }
  const zero = largestOf(map.values) === 0;
  return (
    <figure class="xw-board-map" data-picked={picked} data-control={entry.kind === "control"}>
      <button
        type="button"
        class="xw-board-map-pick"
        aria-pressed={picked}
        aria-label={`map by ${entry.title}${zero ? ", zero everywhere" : ""}`}
        title={picked ? "picked: click drops it" : "click picks it for the other views"}
        onClick={() => store.toggle(entry.key)}
      >
        <MapBox store={store} map={map} />
      </button>
      <figcaption class="xw-pane-caption" title={entry.title}>
        <bdi>{entry.title}</bdi>
        {zero && " · zero everywhere"}
      </figcaption>
    </figure>
  );
}

function DisagreementFigure({ store }: { store: BoardStore }) {
  const absolute = store.display.value.sign === "absolute";
  const methods = store.shownMethods.value;
  const input = store.input.value;
  const known = store.fields.value;
  const found = useMemo(() => {
    const fields = methods.map(({ key }) => known.get(key)?.[input]).filter((one) => one !== undefined);
    const field = disagreement(fields, absolute);
    return field && { map: asDrawn(field, rangeOfAll([field], 99.5), false), count: fields.length };
  }, [methods, known, input, absolute]);
  if (!found) return null;
  return (
    <figure class="xw-board-map xw-board-disagreement">
      <MapBox store={store} map={found.map} />
      <figcaption
        class="xw-pane-caption"
        title={`standard deviation over the maps of ${found.count} methods, each as a share of its own Σ|a|`}
      >
        <strong>disagreement</strong>
      </figcaption>
      <ScaleBar store={store} signed={false} range={found.map.range} share ends={["agree", "differ"]} />
    </figure>
  );
}

export function MapsTab({ store }: { store: BoardStore }) {
  const input = store.inputs.value[store.input.value];
  const isText = store.medium.value === "text";
  return (
    <>
      <MapControls store={store} />
      <div class="xw-board-maps" data-text={isText}>
        {!isText && store.photos.value[store.input.value] && (
          <figure class="xw-board-map">
            <div
              class="xw-board-picture"
              style={{
                aspectRatio: `${store.photos.value[store.input.value]?.width} / ${store.photos.value[store.input.value]?.height}`,
              }}
            >
              <PhotoCanvas store={store} />
            </div>
            <figcaption class="xw-pane-caption">
              <bdi>{input?.label}</bdi>
            </figcaption>
          </figure>
        )}
        {store.shown.value.map((entry) => (
          <MapFigure key={entry.key} store={store} entry={entry} />
        ))}
        <DisagreementFigure store={store} />
      </div>
      <Scales store={store} />
    </>
  );
}
