// The figure of a path: the three panels with their scales, the curves, the question, caption and provenance.

import { add, addPicture, type Figure, pngOf, provenanceText, shortened, startFigure, wrap } from "../lib/figure";
import { formatNumber } from "../lib/format";
import type { PanelMap } from "./maps";
import { blend, paintField, paintScale } from "./picture";
import { type Run, spanOf } from "./run";
import type { PathStore } from "./store";
import { visible } from "./tokens";
import { formatPlace, panelCaptions, questionOf } from "./words";

const SIDE = 240;
const GAP = 16;
const WIDTH = 3 * SIDE + 4 * GAP;
const CHART = 150;

function addText(svg: Element, x: number, y: number, text: string, size = 11, more: Record<string, string> = {}): void {
  add(svg, "text", { x, y, "font-size": size, ...more }, text);
}

function addScale(svg: Element, store: PathStore, { range }: PanelMap, x: number, y: number): void {
  const signed = store.display.value.sign === "both";
  const target = shortened(store.question.value.target_label);
  addPicture(svg, paintScale(store, signed), { x, y, width: SIDE, height: 8 }, false);
  addText(svg, x, y + 21, signed ? formatNumber(-range) : "0");
  addText(svg, x + SIDE, y + 21, `${signed ? "+" : ""}${formatNumber(range)}`, 11, { "text-anchor": "end" });
  if (!signed) return;
  addText(svg, x + SIDE / 2, y + 21, "0", 11, { "text-anchor": "middle" });
  addText(svg, x, y + 35, `◂ opposes ${target}`, 10);
  addText(svg, x + SIDE, y + 35, `supports ${target} ▸`, 10, { "text-anchor": "end" });
}

/** The point on the path as a picture: of a distribution, there is no single one. */
function pointPicture(store: PathStore) {
  const photo = store.photo.value;
  const from = store.picture(store.baselineId.value).value;
  if (!photo) return null;
  const own = { width: photo.width, height: photo.height, rgba: photo.pixels.data as Uint8ClampedArray<ArrayBuffer> };
  return from && store.mode.value === "path" ? blend(from, photo, store.shownAlpha.value) : own;
}

function addPictures(svg: Element, store: PathStore, top: number): number {
  const photo = store.photo.value;
  const height = photo ? (SIDE * photo.height) / photo.width : SIDE;
  const place = (panel: number) => ({ x: GAP + panel * (SIDE + GAP), y: top, width: SIDE, height });
  addPicture(svg, pointPicture(store), place(0), (photo?.width ?? 0) < 160);
  [store.maps.rate.value, store.maps.accumulated.value].forEach((map, index) => {
    if (!map) return;
    const at = place(index + 1);
    addPicture(svg, paintField(store, map, map.range, store.display.value.sign === "both"), at, map.width < 160);
    if (map.range > 0) addScale(svg, store, map, at.x, top + height + 22);
  });
  return height;
}

/** Bars over the tokens, one row for each of the two maps. */
function addTokens(svg: Element, store: PathStore, top: number): number {
  const tokens = store.tokens.value.map(visible);
  const step = (WIDTH - 2 * GAP) / Math.max(tokens.length, 1);
  const bars = 44;
  [store.maps.rate.value, store.maps.accumulated.value].forEach((map, row) => {
    const middle = top + bars + row * (2 * bars + 12);
    add(svg, "line", { x1: GAP, x2: WIDTH - GAP, y1: middle, y2: middle, stroke: "currentColor", opacity: 0.3 });
    tokens.forEach((_, index) => {
      const value = map?.values[index] ?? 0;
      const height = map && map.range > 0 ? bars * Math.min(Math.abs(value) / map.range, 1) : 0;
      add(svg, "rect", {
        x: GAP + index * step + 0.15 * step,
        y: value > 0 ? middle - height : middle,
        width: 0.7 * step,
        height,
        fill: value > 0 === (store.polarity.value === "warm") ? "#c44e00" : "#0b62b0",
      });
    });
  });
  const foot = top + 4 * bars + 24;
  tokens.forEach((token, index) => {
    const x = GAP + (index + 0.5) * step;
    addText(svg, x, foot, shortened(token), Math.min(11, Math.max(step, 5)), {
      transform: `rotate(60 ${x} ${foot})`,
    });
  });
  return 4 * bars + 100;
}

const LINES = [
  { name: "F", title: "change of the output F", stroke: "currentColor", dash: "" },
  { name: "C", title: "accumulated C", stroke: "#b5651d", dash: "5 3" },
] as const;

function addChart(svg: Element, store: PathStore, run: Run, top: number): void {
  const span = run.alphas.at(-1) || 1;
  const all = [...run.F, ...run.C, 0];
  const low = Math.min(...all);
  const high = Math.max(...all);
  const width = WIDTH - 2 * GAP - 50;
  const x = (alpha: number) => GAP + 50 + (width * alpha) / span;
  const y = (value: number) => top + CHART * (1 - (value - low) / (high - low || 1));
  for (const value of [low, 0, high]) {
    add(svg, "line", { x1: x(0), x2: x(span), y1: y(value), y2: y(value), stroke: "currentColor", opacity: 0.18 });
    if (value === 0 || Math.abs(y(value) - y(0)) > 14) {
      addText(svg, x(0) - 6, y(value) + 4, formatNumber(value), 10.5, { "text-anchor": "end" });
    }
  }
  LINES.forEach(({ name, title, stroke, dash }, index) => {
    const points = run.alphas.map((alpha, i) => `${x(alpha).toFixed(1)},${y(run[name][i] ?? 0).toFixed(1)}`).join(" ");
    add(svg, "polyline", { points, fill: "none", stroke, "stroke-width": 1.8, "stroke-dasharray": dash });
    const left = x(0) + 190 * index;
    const key = top + CHART + 32;
    add(svg, "line", {
      x1: left,
      x2: left + 22,
      y1: key,
      y2: key,
      stroke,
      "stroke-width": 1.8,
      "stroke-dasharray": dash,
    });
    addText(svg, left + 28, key + 4, `${title}${run.facts.unit ? ` (${run.facts.unit})` : ""}`);
  });
  const place = store.shownAlpha.value * spanOf(run);
  add(svg, "line", { x1: x(place), x2: x(place), y1: top, y2: top + CHART, stroke: "currentColor", opacity: 0.5 });
  for (const at of [0, 0.5, 1]) {
    const anchor = at === 0 ? "start" : at === 1 ? "end" : "middle";
    const name = run.mode === "path" && at === 0.5 ? "α = 0.50" : formatPlace(run.mode, at * span);
    addText(svg, x(at * span), top + CHART + 15, name, 10.5, { "text-anchor": anchor });
  }
}

export function figureSvg(store: PathStore, run: Run): Figure {
  const titleLines = wrap(questionOf(store), 88);
  const notes = [...wrap(run.caption, 124), ...wrap(provenanceText(store.provenance.value), 124)];
  const top = 16 + 20 * titleLines.length;
  const photo = store.photo.value;
  const text = store.medium.value === "text";
  const panels = text ? 4 * 44 + 100 : (photo ? (SIDE * photo.height) / photo.width : SIDE) + 66;
  const chart = top + panels + 16;
  const height = chart + CHART + 56 + 15 * notes.length;
  const svg = startFigure(WIDTH, height, store.shade.value);
  svg.setAttribute("color", store.shade.value === "dark" ? "#e6e6e6" : "#222");
  titleLines.forEach((line, index) => {
    addText(svg, GAP, 24 + 20 * index, line, 15, { "font-weight": "600" });
  });
  if (text) addTokens(svg, store, top);
  else {
    const pictures = addPictures(svg, store, top);
    captions(store, run).forEach((caption, panel) => {
      addText(svg, GAP + panel * (SIDE + GAP), top + pictures + 15, caption);
    });
  }
  addChart(svg, store, run, chart);
  notes.forEach((line, index) => {
    addText(svg, GAP, chart + CHART + 58 + 15 * index, line, 11, { opacity: "0.75" });
  });
  return { markup: new XMLSerializer().serializeToString(svg), width: WIDTH, height };
}

export function captions(store: PathStore, run: Run): [string, string, string] {
  return panelCaptions({
    mode: run.mode,
    at: store.shownAlpha.value * spanOf(run),
    window: store.window.value,
    cumulative: store.cumulative.value,
    baseline: store.baseline.value?.title ?? "the baseline",
    text: store.medium.value === "text",
  });
}

export function figurePng(store: PathStore, run: Run): Promise<Blob> {
  return pngOf(figureSvg(store, run));
}
