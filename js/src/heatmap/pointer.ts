// The pointer on a picture: hover reads, click locks, drag chooses a region, Ctrl + wheel zooms, Alt + drag pans.

import type { Point, Region } from "../lib/traits";
import type { HeatmapStore } from "./store";

/** A press that moves less than this many screen pixels is a click. */
const CLICK_SLOP = 4;

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The map pixel under a point of the screen. */
export function mapPixel(store: HeatmapStore, box: Box, clientX: number, clientY: number): Point | null {
  const map = store.map.value;
  if (!map || box.width === 0 || box.height === 0) return null;
  const { scale, left, top } = store.zoom.state.value;
  const x = Math.floor((left + (clientX - box.left) / box.width / scale) * map.width);
  const y = Math.floor((top + (clientY - box.top) / box.height / scale) * map.height);
  return { x: Math.min(Math.max(x, 0), map.width - 1), y: Math.min(Math.max(y, 0), map.height - 1) };
}

export function regionBetween(a: Point, b: Point): Region {
  return {
    x0: Math.min(a.x, b.x),
    y0: Math.min(a.y, b.y),
    x1: Math.max(a.x, b.x) + 1,
    y1: Math.max(a.y, b.y) + 1,
  };
}

function followDrag(
  element: HTMLElement,
  event: PointerEvent,
  move: (e: PointerEvent) => void,
  end: (e: PointerEvent) => void,
) {
  const over = new AbortController();
  element.setPointerCapture(event.pointerId);
  element.addEventListener("pointermove", move, { signal: over.signal });
  for (const name of ["pointerup", "pointercancel"] as const) {
    element.addEventListener(
      name,
      (last) => {
        over.abort();
        end(last);
      },
      { signal: over.signal },
    );
  }
}

function pan(store: HeatmapStore, element: HTMLElement, event: PointerEvent): void {
  let { clientX, clientY } = event;
  followDrag(
    element,
    event,
    (moved) => {
      const box = element.getBoundingClientRect();
      store.zoom.pan((clientX - moved.clientX) / box.width, (clientY - moved.clientY) / box.height);
      ({ clientX, clientY } = moved);
    },
    () => {},
  );
}

function press(store: HeatmapStore, element: HTMLElement, event: PointerEvent): void {
  const box = element.getBoundingClientRect();
  const start = mapPixel(store, box, event.clientX, event.clientY);
  if (!start) return;
  let dragged = false;
  followDrag(
    element,
    event,
    (moved) => {
      const far = Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) > CLICK_SLOP;
      dragged ||= far;
      const here = mapPixel(store, box, moved.clientX, moved.clientY);
      if (dragged && here) store.draft.value = regionBetween(start, here);
    },
    (last) => {
      if (last.type === "pointercancel") store.draft.value = null;
      else if (dragged) store.chooseRegion(store.draft.value);
      else {
        const locked = store.cursor.value;
        store.lock(locked && store.unitOf(locked) === store.unitOf(start) ? null : start);
      }
    },
  );
}

/** Attach to the visible box of one picture. */
export function attachPointer(store: HeatmapStore, element: HTMLElement, lifetime: AbortSignal): void {
  const options = { signal: lifetime };
  element.addEventListener(
    "pointerdown",
    (event) => {
      if ((event.target as Element).closest("[data-xw-handle]")) return;
      if (event.button === 1 || (event.button === 0 && event.altKey)) pan(store, element, event);
      else if (event.button === 0) press(store, element, event);
    },
    options,
  );
  element.addEventListener(
    "pointermove",
    (event) => {
      store.hover.value = mapPixel(store, element.getBoundingClientRect(), event.clientX, event.clientY);
    },
    options,
  );
  element.addEventListener(
    "pointerleave",
    () => {
      store.hover.value = null;
    },
    options,
  );
  element.addEventListener(
    "wheel",
    (event) => {
      // A bare wheel scrolls the notebook.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      const box = element.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      store.zoom.by(Math.exp(-event.deltaY / 400), x, y);
    },
    { ...options, passive: false },
  );
}
