// The layers of a picture: the photo, its faded copy, and the map or the mask over it.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { type Picture, SignalCanvas } from "../lib/canvas";
import { renderMap, renderMask, renderUnderlay } from "../lib/render";
import { pageBackground } from "../lib/theme";
import type { HeatmapStore } from "./store";

/** Maps this small are drawn with hard pixels: interpolation would invent detail. */
const PIXELATED_BELOW = 160;

export function drawPhoto(store: HeatmapStore): Picture | null {
  const photo = store.photo.value;
  return photo && { width: photo.width, height: photo.height, rgba: photo.pixels.data as Picture["rgba"] };
}

export function drawUnderlay(store: HeatmapStore, fade: number): Picture | null {
  const photo = store.photo.value;
  if (!photo) return null;
  return { width: photo.width, height: photo.height, rgba: renderUnderlay(photo.pixels.data, fade, store.shade.value) };
}

export function drawMap(store: HeatmapStore): Picture | null {
  const units = store.units.value;
  const ranking = store.ranking.value;
  if (!units || !ranking) return null;
  const { width, height, values, labels } = units;
  const display = store.drawn.value;
  const options = { ranking, labels, polarity: store.polarity.value, sharedRange: store.sharedRange };
  if (display.view === "mask") {
    const page = pageBackground(store.element, store.shade.value);
    return { width, height, rgba: renderMask(values, width, height, display, page, options) };
  }
  const { rgba } = renderMap(values, width, height, display, store.table.value, store.signed.value, options);
  return { width, height, rgba };
}

export function PhotoLayer({ store }: { store: HeatmapStore }) {
  const draw = useMemo(() => () => drawPhoto(store), [store]);
  return <SignalCanvas class="xw-layer" draw={draw} />;
}

function UnderlayLayer({ store }: { store: HeatmapStore }) {
  const draw = useMemo(() => {
    // Computed, so that a new clip or sign does not draw the photo again.
    const fade = computed(() => (store.drawn.value.view === "mask" ? 0 : store.drawn.value.underlay));
    return () => drawUnderlay(store, fade.value);
  }, [store]);
  return <SignalCanvas class="xw-layer" draw={draw} />;
}

/** The faded photo and the map over it; the wipe cuts both, so that the photo itself shows on the left. */
export function ResultLayers({ store }: { store: HeatmapStore }) {
  const draw = useMemo(() => () => drawMap(store), [store]);
  const map = store.map.value;
  const hard = map !== null && Math.max(map.width, map.height) < PIXELATED_BELOW;
  const { view, opacity, wipe } = store.display.value;
  return (
    <div class="xw-result" style={{ clipPath: view === "wipe" ? `inset(0 0 0 ${100 * wipe}%)` : "none" }}>
      {view !== "side" && <UnderlayLayer store={store} />}
      <div
        class="xw-map-layer"
        data-hard={hard}
        style={{
          opacity: view === "overlay" || view === "wipe" ? opacity : 1,
          visibility: store.mapHidden.value ? "hidden" : "visible",
        }}
      >
        <SignalCanvas class="xw-layer" draw={draw} />
      </div>
    </div>
  );
}
