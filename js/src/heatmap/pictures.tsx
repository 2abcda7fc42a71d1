// Input and explanation side by side; in the wipe view, one picture with a divider.

import { PhotoLayer, ResultLayers } from "./layers";
import { Pane } from "./pane";
import type { HeatmapStore } from "./store";
import { WipeHandle } from "./wipe-handle";

function EmptyState({ store }: { store: HeatmapStore }) {
  return (
    <div class="xw-empty">
      {store.running.value ? (
        <p>The first picture is on its way…</p>
      ) : (
        <>
          <p>Nothing to show yet. Give the widget a model and a picture:</p>
          <pre class="xw-pre">xw.explain(model, images)</pre>
        </>
      )}
    </div>
  );
}

function resultCaption(store: HeatmapStore) {
  const { view, sign, top_p: top } = store.display.value;
  if (view === "mask") return `the strongest ${top} % of the picture`;
  if (view === "wipe") return "photo | map";
  if (store.ranking.value?.largest === 0) return "every value is zero";
  if (sign === "negative" && !hasSide(store, -1)) return "nothing opposes";
  if (sign === "positive" && !hasSide(store, 1)) return "nothing supports";
  return store.map.value?.info.label ?? "";
}

function hasSide(store: HeatmapStore, side: 1 | -1): boolean {
  return store.ranking.value?.values.some((value) => value * side > 0) ?? false;
}

function ZoomTools({ store }: { store: HeatmapStore }) {
  const { scale } = store.zoom.state.value;
  return (
    <div class="xw-zoom-tools" data-xw-handle="">
      <button
        type="button"
        class="xw-button xw-button-icon"
        aria-label="zoom out"
        title="zoom out (−)"
        disabled={scale === 1}
        onClick={() => store.zoom.by(1 / 1.5)}
      >
        −
      </button>
      <button
        type="button"
        class="xw-button xw-button-icon"
        aria-label="zoom in"
        title="zoom in (+)"
        onClick={() => store.zoom.by(1.5)}
      >
        +
      </button>
      {scale > 1 && (
        <button
          type="button"
          class="xw-button xw-button-icon"
          title="whole picture (0)"
          onClick={() => store.zoom.reset()}
        >
          {scale.toFixed(1)}×
        </button>
      )}
    </div>
  );
}

export function Pictures({ store }: { store: HeatmapStore }) {
  if (!store.photo.value && !store.map.value) return <EmptyState store={store} />;
  const { view } = store.display.value;
  const label = store.inputs.value[store.params.value.input]?.label;
  const zoomTools = <ZoomTools store={store} />;
  return (
    <div
      class="xw-pictures"
      data-xw-map=""
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys read the map from here, as the role description says
      tabIndex={0}
      role="group"
      aria-roledescription="heatmap"
      aria-label="pictures: arrow keys read the map, question mark lists the keys"
    >
      {view !== "wipe" && store.hasPhoto.value && (
        <Pane store={store} caption={<bdi>{label || "input"}</bdi>}>
          <PhotoLayer store={store} />
        </Pane>
      )}
      <Pane
        store={store}
        caption={resultCaption(store)}
        over={
          <>
            {view === "wipe" && <WipeHandle store={store} />}
            {zoomTools}
          </>
        }
      >
        {view === "wipe" && <PhotoLayer store={store} />}
        <ResultLayers store={store} />
      </Pane>
      {store.decodeError.value && <p class="xw-readout">The picture could not be decoded: {store.decodeError.value}</p>}
    </div>
  );
}
