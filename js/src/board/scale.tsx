// The scale is part of the claim: colours, numbers, what the ends mean, and whether all maps share it.

import { useMemo } from "preact/hooks";
import { EndWords } from "../components/end-words";
import { SignalCanvas } from "../lib/canvas";
import { formatNumber, formatPercent } from "../lib/format";
import { asDrawn, paintMap } from "./map-picture";
import type { BoardStore } from "./store";

interface StripProps {
  store: BoardStore;
  signed: boolean;
}

function Strip({ store, signed }: StripProps) {
  const draw = useMemo(
    () => () => {
      const values = Float32Array.from({ length: 256 }, (_, i) => (signed ? (2 * i) / 255 - 1 : i / 255));
      return paintMap(store, asDrawn({ width: 256, height: 1, values }, 1, signed), false);
    },
    [store, signed],
  );
  return <SignalCanvas class="xw-board-strip" draw={draw} />;
}

interface ScaleBarProps extends StripProps {
  /** 0: no number fits all that it is about. */
  range: number;
  share: boolean;
  /** What the two ends mean, where that is not for and against. */
  ends?: readonly [low: string, high: string];
}

export function ScaleBar({ store, signed, range, share, ends }: ScaleBarProps) {
  const target = store.inputs.value[store.input.value]?.target_label || "the answer";
  const text = (value: number) => (share ? formatPercent(value) : formatNumber(value));
  return (
    <div class="xw-board-scale">
      {ends ? (
        <div class="xw-legend-words">
          <span>{ends[0]}</span>
          <span>{ends[1]}</span>
        </div>
      ) : (
        <EndWords target={target} signed={signed} />
      )}
      {store.medium.value === "image" && <Strip store={store} signed={signed} />}
      {range > 0 && (
        <div class="xw-board-scale-numbers xw-number">
          <span>{signed ? text(-range) : "0"}</span>
          {signed && <span>0</span>}
          <span>
            {signed && "+"}
            {text(range)}
          </span>
        </div>
      )}
    </div>
  );
}

/** The scales of the maps on show: one for those with signs, one for those without. */
export function Scales({ store }: { store: BoardStore }) {
  const maps = [...store.drawn.value.values()];
  const { scale } = store.display.value;
  const { pool } = store.maps.value;
  if (maps.length === 0) return null;
  const range = scale === "own" ? 0 : (maps[0]?.range ?? 0);
  return (
    <div class="xw-board-scales">
      {[true, false]
        .filter((signed) => maps.some((map) => map.signed === signed))
        .map((signed) => (
          <ScaleBar key={String(signed)} store={store} signed={signed} range={range} share={scale === "share"} />
        ))}
      <p class="xw-legend-note">
        {scale === "share" && "One scale for all maps: shares of each map's own Σ|a|"}
        {scale === "value" && "One scale for all maps, values as they are: only the same units compare"}
        {scale === "own" && "Each map has a scale of its own: colours do not compare between maps"}
        {pool > 1 && ` · sums over ${pool} × ${pool} pixels`}
        {" · at most "}
        {Number((100 - store.display.value.clip).toPrecision(2))} % beyond it.
      </p>
    </div>
  );
}
