// The tests as files: figure, numbers, everything.

import type { Format } from "../components/export-menu";
import { quoted } from "../lib/csv";
import { add, addPicture, type Figure, pngOf, provenanceText, startFigure, wrap } from "../lib/figure";
import { niceTicks } from "../lib/ticks";
import { namedLines } from "./curves";
import { likenessLines } from "./layers";
import { heightsOf } from "./line";
import { paintSmall } from "./small-map";
import type { TrustStore } from "./store";
import type { Trust } from "./traits";
import { formatHeight, lineTitle, percentOf, REMOVAL_WORDS, REMOVALS, subject, TEST_TITLES } from "./words";

/** One line a computed point: nothing is interpolated. */
export function csvOf(trust: Trust): string {
  const rows: (string | number | null | undefined)[][] = [["test", "line", "at", "value", "low", "high"]];
  for (const removal of REMOVALS) {
    for (const [key, { x, y, low, high }] of namedLines(trust.curves[removal] ?? {})) {
      x.forEach((at, i) => {
        rows.push([removal, key, at, y[i], low[i], high[i]]);
      });
    }
  }
  for (const { key, rank, rank_absolute, ssim } of trust.controls.slice(1)) {
    for (const [line, value] of Object.entries({ rank, rank_absolute, ssim })) {
      rows.push(["controls", line, key, value, null, null]);
    }
  }
  const { names = [], rank = [], rank_absolute = [], ssim = [], output = [] } = trust.layers;
  for (const [line, values] of Object.entries({ rank, rank_absolute, ssim, output })) {
    values.forEach((value, i) => {
      rows.push(["randomisation", line, names[i], value, null, null]);
    });
  }
  const cell = (value: string | number | null | undefined) =>
    typeof value === "string" ? quoted(value) : String(value ?? "");
  const head = `# ${quoted(`${subject(trust.about)}: ${trust.unit}`)}`;
  return `${[head, ...rows.map((row) => row.map(cell).join())].join("\n")}\n`;
}

export function jsonOf(store: TrustStore): string {
  const { key: _key, status, progress: _progress, error: _error, choices: _choices, ...found } = store.trust.value;
  return JSON.stringify({ ...found, status, provenance: store.provenance.value }, null, 1);
}

const WIDTH = 760;
const PLOT = { width: 310, height: 180 };
const STROKES: Readonly<Record<string, readonly [width: number, dash: string]>> = {
  map: [2.6, ""],
  random: [1.2, "5 3"],
  edges: [1.2, ""],
  lengths: [1.2, ""],
  rank: [2.6, ""],
  rank_absolute: [1.2, "5 3"],
};

interface Chart {
  title: string;
  unit: string;
  lines: { key: string; title: string; x: number[]; y: (number | null)[]; low?: number[]; high?: number[] }[];
  low: number;
  high: number;
  span: number;
  below: string[];
}

function chartsOf({ curves, layers, unit }: Trust): Chart[] {
  const all = REMOVALS.map((removal) => namedLines(curves[removal] ?? {}));
  const [low, high] = heightsOf(all.flat().map(([, line]) => line));
  const charts = REMOVALS.map((removal, i): Chart => {
    const { title, done } = REMOVAL_WORDS[removal];
    const lines = (all[i] ?? []).map(([key, line]) => {
      const area = line.areas ? line.areas.map(formatHeight).join(" … ") : formatHeight(line.area);
      return { ...line, key, title: `${lineTitle(key, line.tries)}: mean ${area}` };
    });
    return { title, unit, lines, low, high, span: 1, below: [0, 0.5, 1].map((at) => `${percentOf(at)} ${done}`) };
  });
  if ((layers.rank ?? []).length > 0) {
    const lines = likenessLines(layers);
    const least = Math.min(0, ...lines.flatMap(({ y }) => y).filter((y) => y !== null));
    const below = ["trained", "", `all ${layers.names?.length} layers random`];
    const title = "Random weights, from the output down";
    charts.push({
      title,
      unit: "likeness to this map",
      lines,
      low: least,
      high: 1,
      span: layers.names?.length ?? 1,
      below,
    });
  }
  return charts.filter(({ lines }) => lines.length > 0);
}

function addChart(svg: Element, chart: Chart, left: number, top: number): void {
  const { low, high, span, lines } = chart;
  const x = (at: number) => left + 40 + (PLOT.width * at) / span;
  const y = (value: number) => top + 40 + (PLOT.height * (high - value)) / (high - low || 1);
  const text = (at: number, height: number, words: string, more: Record<string, string | number> = {}) =>
    add(svg, "text", { x: at, y: height, "font-size": 10.5, ...more }, words);
  text(left, top + 12, chart.title, { "font-size": 13, "font-weight": 600 });
  text(left + 40, top + 30, chart.unit, { opacity: 0.75 });
  for (const tick of niceTicks(low, high, 4)) {
    add(svg, "line", { x1: x(0), x2: x(span), y1: y(tick), y2: y(tick), stroke: "currentColor", opacity: 0.18 });
    text(x(0) - 6, y(tick) + 4, formatHeight(tick), { "text-anchor": "end" });
  }
  chart.below.forEach((words, i) => {
    const anchor = ["start", "middle", "end"][i] ?? "middle";
    text(x((span * i) / 2), y(low) + 15, words, { "text-anchor": anchor });
  });
  lines.forEach(({ key, title, x: xs, y: ys, low: least = [], high: most = [] }, i) => {
    const [width, dash] = STROKES[key] ?? [1, ""];
    const stroke = key === "map" || key === "rank" ? "#0b62b0" : "currentColor";
    const point = (at: number, value: number) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`;
    if (least.length > 0) {
      const there = xs.map((at, n) => point(at, most[n] ?? 0));
      const back = xs.map((at, n) => point(at, least[n] ?? 0)).reverse();
      add(svg, "polygon", { points: [...there, ...back].join(" "), fill: "currentColor", opacity: 0.12 });
    }
    const points = xs.flatMap((at, n) => (ys[n] === null || ys[n] === undefined ? [] : [point(at, ys[n])])).join(" ");
    const look = { fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dash };
    add(svg, "polyline", { points, ...look });
    const height = y(low) + 34 + 15 * i;
    add(svg, "line", { x1: x(0), x2: x(0) + 22, y1: height - 4, y2: height - 4, ...look });
    text(x(0) + 28, height, title);
  });
}

const CHART = PLOT.height + 130;
const SMALL = 108;

/** The tested map and its controls, as they are on show. */
function addMaps(svg: Element, store: TrustStore, left: number, top: number): void {
  const { controls, about } = store.trust.value;
  add(svg, "text", { x: left, y: top + 12, "font-size": 13, "font-weight": 600 }, "Beside maps that know less");
  const height = about.width ? (SMALL * about.height) / about.width : SMALL;
  controls.slice(0, 4).forEach(({ title }, i) => {
    const map = store.controls.value[i];
    const x = left + 40 + (i % 2) * (SMALL + 48);
    const y = top + 22 + Math.floor(i / 2) * (SMALL + 34);
    const place = { x, y, width: SMALL, height: Math.min(height, SMALL) };
    if (map) addPicture(svg, paintSmall(store, map), place, map.width < 160);
    wrap(title, 24).forEach((line, n) => {
      add(svg, "text", { x, y: y + place.height + 12 + 12 * n, "font-size": 10.5 }, line);
    });
  });
}

export function figureOf(store: TrustStore): Figure {
  const trust = store.trust.value;
  const title = wrap(`Tests of ${subject(trust.about)}`, 90);
  const charts = chartsOf(trust);
  const notes = [
    ...trust.sentences.flatMap(({ test, text }) => wrap(`${TEST_TITLES[test] ?? test}: ${text}`, 124)),
    ...wrap(provenanceText(store.provenance.value), 124),
  ];
  const top = 20 + 20 * title.length;
  const blocks = charts.length + (trust.about.medium === "image" ? 1 : 0);
  const below = top + CHART * Math.ceil(blocks / 2);
  const height = below + 15 * notes.length + 16;
  const svg = startFigure(WIDTH, height, store.shade.value);
  svg.setAttribute("color", store.shade.value === "dark" ? "#e6e6e6" : "#222");
  title.forEach((line, i) => {
    add(svg, "text", { x: 16, y: 24 + 20 * i, "font-size": 15, "font-weight": 600 }, line);
  });
  charts.forEach((chart, i) => {
    addChart(svg, chart, 16 + (i % 2) * (PLOT.width + 68), top + CHART * Math.floor(i / 2));
  });
  if (trust.about.medium === "image" && trust.controls.length > 0) {
    const last = charts.length;
    addMaps(svg, store, 16 + (last % 2) * (PLOT.width + 68), top + CHART * Math.floor(last / 2));
  }
  notes.forEach((line, i) => {
    add(svg, "text", { x: 16, y: below + 12 + 15 * i, "font-size": 11, opacity: 0.75 }, line);
  });
  return { markup: new XMLSerializer().serializeToString(svg), width: WIDTH, height };
}

export function formatsOf(store: TrustStore): Format[] {
  return [
    { name: "png", title: "PNG figure", make: () => pngOf(figureOf(store)) },
    { name: "svg", title: "SVG figure", make: () => new Blob([figureOf(store).markup], { type: "image/svg+xml" }) },
    {
      name: "csv",
      title: "CSV of curves and likeness",
      make: () => new Blob([csvOf(store.trust.value)], { type: "text/csv" }),
    },
    {
      name: "json",
      title: "JSON with all findings",
      make: () => new Blob([jsonOf(store)], { type: "application/json" }),
    },
  ];
}
