// What is drawn over both pictures: the unit being read, the locked one, and the region. The view box is the visible
// part, so lines keep their width when zoomed.

import type { Point, Region } from "../lib/traits";
import { unitOutline } from "../lib/units";
import type { HeatmapStore } from "./store";

/** Units at least this large on screen are outlined; smaller ones get a ring around them. */
const OUTLINE_FROM = 1 / 60;

function regionPath({ x0, y0, x1, y1 }: Region): string {
  return `M${x0} ${y0}H${x1}V${y1}H${x0}Z`;
}

function Outline({ path, kind }: { path: string; kind: string }) {
  return (
    <>
      <path d={path} class="xw-mark-halo" />
      <path d={path} class={`xw-mark-line ${kind}`} />
    </>
  );
}

export function Marks({ store }: { store: HeatmapStore }) {
  const units = store.units.value;
  const point = store.point.value;
  const locked = store.cursor.value;
  const region = store.draft.value ?? store.region.value;
  const { scale, left, top } = store.zoom.state.value;
  if (!units) return null;
  const { width, height } = units;
  const large = units.kind === "superpixel" || (units.size * scale) / width >= OUTLINE_FROM;
  const ring = (at: Point, kind: string) => (
    <span
      class={`xw-ring ${kind}`}
      style={{
        left: `${100 * scale * ((at.x + 0.5) / width - left)}%`,
        top: `${100 * scale * ((at.y + 0.5) / height - top)}%`,
      }}
    />
  );
  return (
    <div class="xw-marks" aria-hidden="true">
      <svg
        class="xw-marks-lines"
        viewBox={`${left * width} ${top * height} ${width / scale} ${height / scale}`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        {region && <Outline path={regionPath(region)} kind="xw-mark-region" />}
        {large && locked && <Outline path={unitOutline(units, store.unitOf(locked))} kind="xw-mark-locked" />}
        {large && point && <Outline path={unitOutline(units, store.unitOf(point))} kind="xw-mark-cursor" />}
      </svg>
      {!large && locked && ring(locked, "xw-ring-locked")}
      {!large && point && ring(point, "xw-ring-cursor")}
    </div>
  );
}
