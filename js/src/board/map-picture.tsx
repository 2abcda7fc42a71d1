// A map: over its picture for images, as bars over the words for texts.

import { useMemo } from "preact/hooks";
import { type Picture, SignalCanvas } from "../lib/canvas";
import { formatSigned } from "../lib/format";
import type { Photo } from "../lib/photo";
import { renderMap, renderUnderlay } from "../lib/render";
import type { Display } from "../lib/traits";
import { DEFAULT_DISPLAY } from "../lib/traits";
import { readable } from "../lib/visible";
import type { Drawn, Field } from "./fields";
import type { BoardStore } from "./store";

/** Pictures this small are drawn with hard pixels: interpolation would invent detail. */
const PIXELATED_BELOW = 160;

export function paintMap(store: BoardStore, map: Drawn, over: boolean): Picture {
  const { width, height, values, range, signed } = map;
  const display: Display = {
    ...DEFAULT_DISPLAY,
    view: over ? "overlay" : "side",
    sign: signed ? "both" : "absolute",
    scale_mode: "fixed",
    range: range > 0 ? range : Number.POSITIVE_INFINITY,
  };
  const lut = store.luts[signed ? "diverging" : "sequential"].value;
  const { rgba } = renderMap(values, width, height, display, lut, signed, { polarity: store.polarity.value });
  return { width, height, rgba };
}

export function photoPicture(photo: Photo | null | undefined): Picture | null {
  return photo ? { width: photo.width, height: photo.height, rgba: photo.pixels.data as Picture["rgba"] } : null;
}

export function PhotoCanvas({ store }: { store: BoardStore }) {
  const draw = useMemo(() => () => photoPicture(store.photos.value[store.input.value]), [store]);
  const photo = store.photos.value[store.input.value];
  return <SignalCanvas class="xw-layer" hard={(photo?.width ?? 0) < PIXELATED_BELOW} draw={draw} />;
}

function Underlay({ store }: { store: BoardStore }) {
  const draw = useMemo(
    () => () => {
      const photo = store.photos.value[store.input.value];
      return photo
        ? { width: photo.width, height: photo.height, rgba: renderUnderlay(photo.pixels.data, 1, store.shade.value) }
        : null;
    },
    [store],
  );
  const photo = store.photos.value[store.input.value];
  return <SignalCanvas class="xw-layer" hard={(photo?.width ?? 0) < PIXELATED_BELOW} draw={draw} />;
}

interface MapPictureProps {
  store: BoardStore;
  map: Drawn;
  /** Without the picture below it. */
  bare?: boolean;
}

export function MapPicture({ store, map, bare = false }: MapPictureProps) {
  const over = !bare && store.display.value.underlay && store.photos.value[store.input.value] !== null;
  const draw = useMemo(() => () => paintMap(store, map, over), [store, map, over]);
  return (
    <>
      {over && <Underlay store={store} />}
      <SignalCanvas class="xw-layer" hard={map.width < PIXELATED_BELOW} draw={draw} />
    </>
  );
}

/** Up supports, down opposes; without signs only up. */
export function TokenBars({ tokens, map, target }: { tokens: readonly string[]; map: Drawn; target: string }) {
  const { range, signed } = map;
  return (
    <ol class="xw-board-tokens" dir="auto" data-signed={signed}>
      {tokens.map((surface, place) => {
        const value = map.values[place] ?? 0;
        const shown = readable(surface);
        const height = range > 0 ? Math.min(Math.abs(value) / range, 1) : 0;
        const says = value === 0 ? "no influence" : value > 0 || !signed ? `supports ${target}` : `opposes ${target}`;
        return (
          <li key={place} class="xw-board-token" title={`${shown}: ${formatSigned(value)}`}>
            <span class="xw-visually-hidden">{`${shown}, ${signed ? says : formatSigned(value)}`}</span>
            <span class="xw-board-token-track" aria-hidden="true">
              <span
                class="xw-board-token-bar"
                data-direction={signed ? Math.sign(value) : 0}
                style={{ height: `${(signed ? 50 : 100) * height}%` }}
              />
            </span>
            <bdi aria-hidden="true">{shown}</bdi>
          </li>
        );
      })}
    </ol>
  );
}

/** A map of the chosen input in a frame of its own. */
export function MapBox({ store, map, bare = false }: MapPictureProps) {
  const { value: at } = store.input;
  if (store.medium.value === "text") {
    return (
      <TokenBars
        tokens={store.tokens.value[at] ?? []}
        map={map}
        target={store.inputs.value[at]?.target_label || "the answer"}
      />
    );
  }
  return (
    <div class="xw-board-picture" style={{ aspectRatio: `${map.width} / ${map.height}` }}>
      <MapPicture store={store} map={map} bare={bare} />
    </div>
  );
}

/** A field that is no method's: disagreement, difference. */
export function asDrawn(field: Field, range: number, signed: boolean): Drawn {
  return { ...field, range, signed };
}
