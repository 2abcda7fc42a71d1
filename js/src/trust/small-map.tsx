// A small map: pixels of a picture, or words with a bar under each.

import { useMemo } from "preact/hooks";
import { type Picture, SignalCanvas } from "../lib/canvas";
import { cssColour } from "../lib/palettes";
import { renderMap } from "../lib/render";
import { DEFAULT_DISPLAY } from "../lib/traits";
import { visible } from "../lib/visible";
import type { SmallMap } from "./decode";
import type { TrustStore } from "./store";

/** Fewer pixels than this are drawn as squares. */
const HARD_BELOW = 160;

export function paintSmall(store: TrustStore, map: SmallMap): Picture {
  const { width, height, values, signed } = map;
  const range = store.rangeOf(map) || Number.POSITIVE_INFINITY;
  const lut = store.tables[signed ? "diverging" : "sequential"].value;
  const display = { ...DEFAULT_DISPLAY, view: "side", scale_mode: "fixed", range } as const;
  return {
    width,
    height,
    ...renderMap(values, width, height, display, lut, signed, { polarity: store.polarity.value }),
  };
}

function Words({ store, map, tokens }: { store: TrustStore; map: SmallMap; tokens: readonly string[] }) {
  const range = store.rangeOf(map);
  const lut = store.tables[map.signed ? "diverging" : "sequential"].value;
  const flip = store.polarity.value === "cool" ? -1 : 1;
  const colour = (value: number) => {
    const strength = range > 0 ? Math.min(Math.max(value / range, -1), 1) : 0;
    return cssColour(lut, map.signed ? 127.5 + 127.5 * flip * strength : 255 * Math.abs(strength));
  };
  return (
    <span class="xw-small-words" dir="auto">
      {tokens.map((token, index) => (
        <span key={index} style={{ borderBottomColor: colour(map.values[index] ?? 0) }}>
          {visible(token.trim())}
        </span>
      ))}
    </span>
  );
}

export function Small({ store, map }: { store: TrustStore; map: SmallMap | null | undefined }) {
  const draw = useMemo(() => () => (map ? paintSmall(store, map) : null), [store, map]);
  const { about, frames } = store.trust.value;
  if (about.medium === "text") {
    return map && frames.tokens ? <Words store={store} map={map} tokens={frames.tokens} /> : null;
  }
  const ratio = about.width && about.height ? `${about.width} / ${about.height}` : "1";
  return (
    <span class="xw-small" style={{ aspectRatio: ratio }}>
      {map && <SignalCanvas class="xw-layer" hard={Math.max(map.width, map.height) < HARD_BELOW} draw={draw} />}
    </span>
  );
}
