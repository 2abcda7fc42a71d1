// Moving the reading cursor with the keyboard, unit by unit.

import type { Point } from "../lib/traits";
import { unitAt, unitPoint } from "../lib/units";
import { regionBetween } from "./pointer";
import { readPoint, spokenReading } from "./reading";
import type { HeatmapStore } from "./store";

/** Larger steps for Shift: four units, or a fourteenth of a map of single pixels. */
function strideOf(store: HeatmapStore, large: boolean): number {
  const units = store.units.value;
  if (!units || units.kind === "superpixel") return large ? 4 : 1;
  if (units.kind === "pixel" && large) return Math.max(4, Math.round(Math.max(units.width, units.height) / 14));
  return units.size * (large ? 4 : 1);
}

export function placeCursor(store: HeatmapStore, point: Point): void {
  const units = store.units.value;
  if (!units) return;
  store.hover.value = null;
  store.lock(point);
  store.zoom.reveal((point.x + 0.5) / units.width, (point.y + 0.5) / units.height);
  if (store.anchor.value) store.draft.value = regionBetween(store.anchor.value, point);
  const reading = readPoint(store, point);
  if (reading) store.announcer.say(spokenReading(reading));
}

/** The next superpixel in a direction; other units lie on a grid. */
function step(store: HeatmapStore, from: Point, dx: number, dy: number): Point {
  const units = store.units.value;
  if (!units) return from;
  const inside = (point: Point) => point.x >= 0 && point.y >= 0 && point.x < units.width && point.y < units.height;
  if (units.kind !== "superpixel") {
    const next = { x: from.x + dx * units.size, y: from.y + dy * units.size };
    return inside(next) ? next : from;
  }
  const start = unitAt(units, from.x, from.y);
  for (let at = { x: from.x + dx, y: from.y + dy }; inside(at); at = { x: at.x + dx, y: at.y + dy }) {
    if (unitAt(units, at.x, at.y) !== start) return unitPoint(units, unitAt(units, at.x, at.y));
  }
  return from;
}

function middle(store: HeatmapStore): Point {
  const units = store.units.value;
  return { x: Math.floor((units?.width ?? 1) / 2), y: Math.floor((units?.height ?? 1) / 2) };
}

export function moveCursor(store: HeatmapStore, dx: number, dy: number, large: boolean): void {
  const units = store.units.value;
  if (!units) return;
  let point = store.point.value;
  if (!point) {
    placeCursor(store, middle(store));
    return;
  }
  const steps = Math.max(1, Math.round(strideOf(store, large) / Math.max(units.size, 1)));
  for (let i = 0; i < steps; i++) point = step(store, point, dx, dy);
  placeCursor(store, point);
}

export function moveToRowEnd(store: HeatmapStore, last: boolean): void {
  const units = store.units.value;
  const point = store.point.value ?? middle(store);
  if (units) placeCursor(store, { x: last ? units.width - 1 : 0, y: point.y });
}

/** The next stronger or weaker unit; from nowhere, the strongest. */
export function moveToRank(store: HeatmapStore, forward: boolean): void {
  const { units, ranking } = { units: store.units.value, ranking: store.ranking.value };
  if (!units || !ranking) return;
  const point = store.cursor.value;
  let place = 0;
  if (point) {
    const unit = store.unitOf(point);
    const order = ranking.strongest(ranking.rank(unit) + 64);
    const here = order.indexOf(unit);
    place = here < 0 ? 0 : Math.max(0, here + (forward ? 1 : -1));
  }
  const next = ranking.strongest(place + 1)[place];
  if (next !== undefined) placeCursor(store, unitPoint(units, next));
}

/** First press: begin a region at the cursor. Second press: choose it. */
export function toggleRegion(store: HeatmapStore): void {
  const point = store.point.value ?? middle(store);
  if (store.anchor.value) {
    store.chooseRegion(regionBetween(store.anchor.value, point));
    store.announcer.say("region chosen");
    return;
  }
  store.lock(point);
  store.anchor.value = point;
  store.draft.value = regionBetween(point, point);
  store.announcer.say("region begun: move with the arrows, press r again to finish");
}
