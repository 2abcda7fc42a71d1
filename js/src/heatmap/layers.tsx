// The layers of a picture: the photo, its faded copy, and the map or the mask over it.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { type Picture, SignalCanvas } from "../lib/canvas";
import { renderMap, renderMask, renderUnderlay } from "../lib/render";
import { pageBackground } from "../lib/theme";
import type { HeatmapStore } from "./store";

/** Pictures this small, or zoomed this far, are drawn with hard pixels: interpolation would invent detail. */
const PIXELATED_BELOW = 160;
const PIXELATED_FROM_ZOOM = 3;

function hasHardPixels(store: HeatmapStore, picture: { width: number; height: number } | null): boolean {
  if (!picture) return false;
  return (
    Math.max(picture.width, picture.height) < PIXELATED_BELOW || store.zoom.state.value.scale >= PIXELATED_FROM_ZOOM
  );
}

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
  const { width, height } = units;
  const codes = units.kind === "pixel" ? store.map.value?.codes : null;
  const values = codes ? codes.levels : units.values;
  const labels = codes ? codes.bytes : units.labels;
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
  return <SignalCanvas class="xw-layer" hard={hasHardPixels(store, store.photo.value)} draw={draw} />;
}

function UnderlayLayer({ store }: { store: HeatmapStore }) {
  const draw = useMemo(() => {
    // Computed, so that a new clip or sign does not draw the photo again.
    const fade = computed(() => (store.display.value.view === "mask" ? 0 : store.display.value.underlay));
    return () => drawUnderlay(store, fade.value);
  }, [store]);
  return <SignalCanvas class="xw-layer" hard={hasHardPixels(store, store.photo.value)} draw={draw} />;
}

/** The faded photo and the map over it; the wipe cuts both, so that the photo itself shows on the left. */
export function ResultLayers({ store }: { store: HeatmapStore }) {
  const draw = useMemo(() => () => drawMap(store), [store]);
  const { view, opacity, wipe } = store.display.value;
  return (
    <div class="xw-result" style={{ clipPath: view === "wipe" ? `inset(0 0 0 ${100 * wipe}%)` : "none" }}>
      {view !== "side" && <UnderlayLayer store={store} />}
      <div
        class="xw-map-layer"
        style={{
          opacity: view === "overlay" || view === "wipe" ? opacity : 1,
          visibility: store.mapHidden.value ? "hidden" : "visible",
        }}
      >
        <SignalCanvas class="xw-layer" hard={hasHardPixels(store, store.map.value)} draw={draw} />
      </div>
    </div>
  );
}
