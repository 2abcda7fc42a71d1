// The figure of a scoreboard: the question, the table with intervals, the maps of the chosen input on their scale, caption
// and provenance.

import { add, addPicture, type Figure, pngOf, provenanceText, shortened, startFigure, wrap } from "../lib/figure";
import { formatNumber } from "../lib/format";
import { cellOf, extentOf, numberOf } from "./cells";
import { paintMap, photoPicture } from "./map-picture";
import type { BoardStore } from "./store";
import type { Column, Entry } from "./traits";
import { ARROWS, boardQuestion, SCALE_TITLES } from "./words";

const MARGIN = 16;
const NAME = 190;
const COLUMN = 122;
const ROW = 22;
const MAP = 84;
const GAP = 8;
const LETTERS = 24;

const cut = (text: string, most: number) => {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
};

function addCell(svg: Element, store: BoardStore, entry: Entry, column: Column, x: number, y: number): void {
  const value = numberOf(store.cells.value, entry.key, column.name);
  if (value === null) {
    add(svg, "text", { x: x + 44, y, "text-anchor": "end", "font-size": 12, opacity: 0.6 }, "–");
    return;
  }
  const best = store.ranks.value.get(column.name)?.get(entry.key) === 1;
  const weight = best ? 700 : 400;
  add(svg, "text", { x: x + 44, y, "text-anchor": "end", "font-size": 12, "font-weight": weight }, formatNumber(value));
  const extent = extentOf(store.cells.value, column.name, store.shown.value);
  if (!extent) return;
  const place = (at: number) => x + 50 + (44 * (at - extent[0])) / (extent[1] - extent[0]);
  const interval = cellOf(store.cells.value, entry.key, column.name)?.interval;
  if (interval) {
    const width = Math.max(place(interval[1]) - place(interval[0]), 0.5);
    add(svg, "rect", { x: place(interval[0]), y: y - 5, width, height: 2, fill: "currentColor", opacity: 0.45 });
  }
  add(svg, "circle", { cx: place(value), cy: y - 4, r: 2.4, fill: "currentColor" });
}

function addTable(svg: Element, store: BoardStore, top: number, width: number): number {
  const columns = store.shownColumns.value;
  let y = top + 12;
  columns.forEach((column, at) => {
    const x = MARGIN + NAME + at * COLUMN;
    const text = [shortened(column.title), ARROWS[column.direction]].join(" ");
    add(svg, "text", { x, y, "font-size": 11, "font-weight": 600 }, text);
  });
  const rule = () =>
    add(svg, "rect", { x: MARGIN, y: y + 5, width: width - 2 * MARGIN, height: 1, opacity: 0.3, fill: "currentColor" });
  rule();
  const rows = (entries: readonly Entry[]) => {
    for (const entry of entries) {
      y += ROW;
      add(svg, "text", { x: MARGIN, y, "font-size": 12 }, cut(entry.title, LETTERS + 4));
      columns.forEach((column, at) => {
        addCell(svg, store, entry, column, MARGIN + NAME + at * COLUMN, y);
      });
    }
  };
  rows(store.shownMethods.value);
  if (store.shownControls.value.length > 0) {
    rule();
    rows(store.shownControls.value);
  }
  return y + 14;
}

function addMaps(svg: Element, store: BoardStore, top: number, width: number): number {
  if (store.medium.value !== "image") return top;
  const photo = photoPicture(store.photos.value[store.input.value]);
  const drawn = store.shown.value.flatMap((entry) => {
    const map = store.drawn.value.get(entry.key);
    return map ? [{ title: entry.title, picture: paintMap(store, map, false) }] : [];
  });
  const all = photo
    ? [{ title: store.inputs.value[store.input.value]?.label ?? "input", picture: photo }, ...drawn]
    : drawn;
  const across = Math.max(Math.floor((width - 2 * MARGIN + GAP) / (MAP + GAP)), 1);
  const tallest = Math.max(1, ...all.map(({ picture }) => picture.height / picture.width)) * MAP;
  all.forEach(({ title, picture }, at) => {
    const x = MARGIN + (at % across) * (MAP + GAP);
    const y = top + Math.floor(at / across) * (tallest + 20);
    const height = (MAP * picture.height) / picture.width;
    addPicture(svg, picture, { x, y, width: MAP, height }, picture.width < 160);
    add(svg, "text", { x, y: y + height + 11, "font-size": 9.5 }, cut(title, 17));
  });
  return all.length > 0 ? top + Math.ceil(all.length / across) * (tallest + 20) + 4 : top;
}

export function figureSvg(store: BoardStore): Figure {
  const width = Math.max(2 * MARGIN + NAME + store.shownColumns.value.length * COLUMN, 560);
  const svg = startFigure(width, 10, store.shade.value);
  svg.setAttribute("color", svg.getAttribute("fill") ?? "");
  const letters = Math.floor(width / 6.4);
  let y = MARGIN + 8;
  for (const line of wrap(boardQuestion(store), Math.floor(width / 8))) {
    add(svg, "text", { x: MARGIN, y, "font-size": 14, "font-weight": 600 }, line);
    y += 18;
  }
  y = addTable(svg, store, y, width);
  y = addMaps(svg, store, y, width);
  const notes = [
    ...wrap(
      `Maps: ${SCALE_TITLES[store.display.value.scale]}. Bars: 95 % intervals over ${store.rows.value} inputs.`,
      letters,
    ),
    ...wrap(store.caption.value, letters),
    ...wrap(provenanceText(store.provenance.value), letters),
  ];
  for (const line of notes) {
    y += 13;
    add(svg, "text", { x: MARGIN, y, "font-size": 10.5, opacity: 0.75 }, line);
  }
  const height = Math.ceil(y + MARGIN);
  svg.setAttribute("height", String(height));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.querySelector("rect")?.setAttribute("height", String(height));
  return { markup: new XMLSerializer().serializeToString(svg), width, height };
}

export function figurePng(store: BoardStore): Promise<Blob> {
  return pngOf(figureSvg(store));
}
