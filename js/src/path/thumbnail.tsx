// The picture of a baseline in its chip: its image, its one colour, or its first tokens.

import { useMemo } from "preact/hooks";
import { type Picture, SignalCanvas } from "../lib/canvas";
import { visible } from "../lib/visible";
import type { PathStore } from "./store";
import type { BaselineInfo } from "./traits";

/** As many as a chip has room for. */
const SURFACES = 12;

export function BaselinePicture({ store, baseline }: { store: PathStore; baseline: BaselineInfo }) {
  const picture = store.picture(baseline.id);
  const draw = useMemo(
    () => (): Picture | null => {
      const photo = picture.value;
      return photo && { width: photo.width, height: photo.height, rgba: photo.pixels.data as Picture["rgba"] };
    },
    [picture],
  );
  if (store.medium.value === "text") {
    return (
      <span class="xw-baseline-picture xw-baseline-text" dir="auto">
        {baseline.surfaces.slice(0, SURFACES).map(visible).join(" ")}
      </span>
    );
  }
  if (baseline.colour) return <span class="xw-baseline-picture" style={{ backgroundColor: baseline.colour }} />;
  return <SignalCanvas class="xw-baseline-picture" hard={(picture.value?.width ?? 0) < 160} draw={draw} />;
}
