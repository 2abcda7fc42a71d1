// The figure of a heatmap: question, input, explanation, scale, caption, provenance.

import { add, addPicture, type Figure, pngOf, provenanceText, shortened, startFigure, wrap } from "../lib/figure";
import { formatNumber } from "../lib/format";
import { renderMap } from "../lib/render";
import { drawMap, drawPhoto, drawUnderlay } from "./layers";
import type { HeatmapStore } from "./store";

const SIDE = 320;
const GAP = 16;

function addScale(parent: Element, store: HeatmapStore, x: number, y: number, width: number): void {
  const range = store.range.value;
  const diverging = store.paletteKind.value === "diverging";
  const values = Float64Array.from({ length: 256 }, (_, i) =>
    diverging ? (i / 127.5 - 1) * range : (i / 255) * range,
  );
  const display = { ...store.drawn.value, view: "side" as const, scale_mode: "fixed" as const, range };
  const { rgba } = renderMap(values, 256, 1, display, store.table.value, store.signed.value, {
    polarity: store.polarity.value,
  });
  addPicture(parent, { width: 256, height: 1, rgba }, { x, y, width, height: 10 }, false);
  const texts: [place: number, anchor: string, line: number, text: string][] = diverging
    ? [
        [0, "start", 0, formatNumber(-range)],
        [0.5, "middle", 0, "0"],
        [1, "end", 0, `+${formatNumber(range)}`],
        [0, "start", 1, `◂ opposes ${shortened(store.question.value.target_label)}`],
        [1, "end", 1, `supports ${shortened(store.question.value.target_label)} ▸`],
      ]
    : [
        [0, "start", 0, "0"],
        [1, "end", 0, formatNumber(range)],
      ];
  for (const [place, anchor, line, text] of texts) {
    add(parent, "text", { x: x + place * width, y: y + 24 + 15 * line, "text-anchor": anchor, "font-size": 11 }, text);
  }
}

export function figureSvg(store: HeatmapStore, title: string): Figure {
  const photo = drawPhoto(store);
  const map = drawMap(store);
  const shape = photo ?? map ?? { width: 1, height: 1 };
  const height = (SIDE * shape.height) / shape.width;
  const width = 2 * SIDE + 3 * GAP;
  const display = store.display.value;

  const titleLines = wrap(title, 84);
  const notes = [...wrap(store.caption.value, 110), ...wrap(provenanceText(store.provenance.value), 110)];
  const top = 14 + 20 * titleLines.length;
  const total = top + height + 68 + 15 * notes.length;

  const svg = startFigure(width, total, store.shade.value);
  titleLines.forEach((line, index) => {
    add(svg, "text", { x: GAP, y: 24 + 20 * index, "font-size": 15, "font-weight": 600 }, line);
  });

  const left = { x: GAP, y: top, width: SIDE, height };
  const right = { ...left, x: 2 * GAP + SIDE };
  const hard = (map?.width ?? 0) < 160;
  addPicture(svg, photo, left, false);
  if (display.view !== "side")
    addPicture(svg, drawUnderlay(store, display.view === "mask" ? 0 : display.underlay), right, false);
  const opacity = display.view === "overlay" || display.view === "wipe" ? display.opacity : 1;
  addPicture(svg, map, { ...right, opacity }, hard);
  if (display.view !== "mask") addScale(svg, store, right.x, top + height + 10, SIDE);
  notes.forEach((line, index) => {
    add(svg, "text", { x: GAP, y: top + height + 70 + 15 * index, "font-size": 11, opacity: 0.75 }, line);
  });
  return { markup: new XMLSerializer().serializeToString(svg), width, height: total };
}

export function figurePng(store: HeatmapStore, title: string): Promise<Blob> {
  return pngOf(figureSvg(store, title));
}
