// The divider of the wipe view: photo on its left, map on its right.

import type { HeatmapStore } from "./store";

export function WipeHandle({ store }: { store: HeatmapStore }) {
  const { wipe } = store.display.value;
  const { scale, left } = store.zoom.state.value;
  const place = (next: number) => store.show({ wipe: Math.min(Math.max(next, 0), 1) });
  const drag = (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    const box = handle.parentElement?.getBoundingClientRect();
    if (!box || !handle.hasPointerCapture(event.pointerId)) return;
    place(left + (event.clientX - box.left) / box.width / scale);
  };
  return (
    <div
      class="xw-wipe"
      data-xw-handle=""
      style={{ left: `${100 * scale * (wipe - left)}%` }}
      role="slider"
      tabIndex={0}
      aria-label="divider between photo and map"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(100 * wipe)}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={drag}
      onKeyDown={(event) => {
        const step = event.key === "ArrowLeft" ? -0.05 : event.key === "ArrowRight" ? 0.05 : 0;
        if (step) place(wipe + step);
      }}
    />
  );
}
