// The figure of a path: the three panels with their scales, the curves, the question, caption and provenance.

import { add, addPicture, type Figure, pngOf, provenanceText, shortened, startFigure, wrap } from "../lib/figure";
import { formatNumber } from "../lib/format";
import { visible } from "../lib/visible";
import { spreadOf } from "./disagreement";
import type { PanelMap } from "./maps";
import { paintField, paintPoint, paintScale } from "./picture";
import { type Run, spanOf } from "./run";
import type { PathStore } from "./store";
import { formatPlace, panelCaptions, questionOf } from "./words";

const SIDE = 240;
const GAP = 16;
const WIDTH = 3 * SIDE + 4 * GAP;
const CHART = 150;

function addText(svg: Element, x: number, y: number, text: string, size = 11, more: Record<string, string> = {}): void {
  add(svg, "text", { x, y, "font-size": size, ...more }, text);
}

type Captions = [string, string, string];

interface Shown {
  map: PanelMap;
  signed: boolean;
  caption: string;
}

/** What panels 2 and 3 show, with their captions. */
function shownMaps(store: PathStore, [, rateCaption, sumCaption]: Captions): Shown[] {
  const signed = store.display.value.sign === "both";
  const rate = store.maps.rate.value;
  const sum = store.maps.accumulated.value;
  const spread = spreadOf(store);
  const shown = rate ? [{ map: rate, signed, caption: rateCaption }] : [];
  if (spread) {
    shown.push({ map: spread, signed: false, caption: `standard deviation over ${spread.count} baselines` });
  } else if (sum) shown.push({ map: sum, signed, caption: sumCaption });
  return shown;
}

function addScale(svg: Element, store: PathStore, { map: { range }, signed }: Shown, x: number, y: number): void {
  addPicture(svg, paintScale(store, signed), { x, y, width: SIDE, height: 8 }, false);
  addText(svg, x, y + 21, signed ? formatNumber(-range) : "0");
  addText(svg, x + SIDE, y + 21, `${signed ? "+" : ""}${formatNumber(range)}`, 11, { "text-anchor": "end" });
  if (!signed) return;
  addText(svg, x + SIDE / 2, y + 21, "0", 11, { "text-anchor": "middle" });
  addText(svg, x, y + 35, "◂ opposes", 10);
  addText(svg, x + SIDE, y + 35, "supports ▸", 10, { "text-anchor": "end" });
}

function addPictures(svg: Element, store: PathStore, top: number, words: Captions): void {
  const height = pictureHeight(store);
  const place = (panel: number) => ({ x: GAP + panel * (SIDE + GAP), y: top, width: SIDE, height });
  addPicture(svg, paintPoint(store), place(0), (store.photo.value?.width ?? 0) < 160);
  addText(svg, GAP, top + height + 15, words[0]);
  shownMaps(store, words).forEach((one, index) => {
    const at = place(index + 1);
    addPicture(svg, paintField(store, one.map, one.map.range, one.signed), at, one.map.width < 160);
    addText(svg, at.x, top + height + 15, one.caption);
    if (one.map.range > 0) addScale(svg, store, one, at.x, top + height + 22);
  });
}

function pictureHeight(store: PathStore): number {
  const photo = store.photo.value;
  return photo ? (SIDE * photo.height) / photo.width : SIDE;
}

/** Half the height of a row of bars. */
const BAR = 40;
const BAR_ROW = 2 * BAR + 30;

/** Bars over the tokens, one row for each of the two maps. */
function addTokens(svg: Element, store: PathStore, top: number, words: Captions): void {
  const tokens = store.tokens.value.map(visible);
  const step = (WIDTH - 2 * GAP) / Math.max(tokens.length, 1);
  shownMaps(store, words).forEach(({ map, signed, caption }, row) => {
    const y = top + 14 + row * BAR_ROW;
    const zero = signed ? y + BAR + 6 : y + 2 * BAR + 6;
    const full = signed ? BAR : 2 * BAR;
    addText(svg, GAP, y, map.range > 0 ? `${caption} · full bar ${formatNumber(map.range)}` : caption);
    add(svg, "line", { x1: GAP, x2: WIDTH - GAP, y1: zero, y2: zero, stroke: "currentColor", opacity: 0.3 });
    tokens.forEach((_, index) => {
      const value = map.values[index] ?? 0;
      const height = map.range > 0 ? full * Math.min(Math.abs(value) / map.range, 1) : 0;
      const fill = !signed ? "#66788a" : value > 0 === (store.polarity.value === "warm") ? "#c44e00" : "#0b62b0";
      const x = GAP + (index + 0.15) * step;
      add(svg, "rect", { x, y: value > 0 || !signed ? zero - height : zero, width: 0.7 * step, height, fill });
    });
  });
  const foot = top + 2 * BAR_ROW + 8;
  tokens.forEach((token, index) => {
    const x = GAP + (index + 0.5) * step;
    addText(svg, x, foot, shortened(token), Math.min(11, Math.max(step, 5)), { transform: `rotate(60 ${x} ${foot})` });
  });
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
    const left = x(0) + 240 * index;
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
  const text = store.medium.value === "text";
  const words = captions(store, run);
  const panels = text ? 2 * BAR_ROW + 90 : pictureHeight(store) + 66;
  const chart = top + panels + 16;
  const height = chart + CHART + 56 + 15 * notes.length;
  const svg = startFigure(WIDTH, height, store.shade.value);
  svg.setAttribute("color", store.shade.value === "dark" ? "#e6e6e6" : "#222");
  titleLines.forEach((line, index) => {
    addText(svg, GAP, 24 + 20 * index, line, 15, { "font-weight": "600" });
  });
  (text ? addTokens : addPictures)(svg, store, top, words);
  addChart(svg, store, run, chart);
  notes.forEach((line, index) => {
    addText(svg, GAP, chart + CHART + 58 + 15 * index, line, 11, { opacity: "0.75" });
  });
  return { markup: new XMLSerializer().serializeToString(svg), width: WIDTH, height };
}

function captions(store: PathStore, run: Run): Captions {
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
