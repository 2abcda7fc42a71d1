// The divider of the wipe view: photo on its left, map on its right.

import { Handle } from "../components/handle";
import type { HeatmapStore } from "./store";

export function WipeHandle({ store }: { store: HeatmapStore }) {
  const { wipe } = store.display.value;
  const { scale, left } = store.zoom.state.value;
  const move = (next: number) => store.show({ wipe: Math.min(Math.max(next, 0), 1) });
  return (
    <Handle
      class="xw-wipe"
      place={scale * (wipe - left)}
      label="divider between photo and map"
      now={Math.round(100 * wipe)}
      low={0}
      high={100}
      text={`${Math.round(100 * wipe)} percent photo`}
      onDrag={(place) => move(left + place / scale)}
      onStep={(step) => move(wipe + 0.05 * step)}
    />
  );
}
