// The figure for papers and slides: question, input, explanation, scale, caption, provenance. Built through the DOM, so
// that labels are escaped by the serialiser. The PNG is the SVG drawn twice as large.

import { type Picture, paint } from "../lib/canvas";
import { formatNumber } from "../lib/format";
import { renderMap } from "../lib/render";
import { drawMap, drawPhoto, drawUnderlay } from "./layers";
import type { HeatmapStore } from "./store";

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 320;
const GAP = 16;

type Attributes = Record<string, string | number>;

function add(parent: Element, name: string, attributes: Attributes, text?: string): Element {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function dataUrl(picture: Picture): string {
  const canvas = document.createElement("canvas");
  paint(canvas, picture);
  return canvas.toDataURL("image/png");
}

function addPicture(parent: Element, picture: Picture | null, place: Attributes, hard: boolean): void {
  if (!picture) return;
  const style = hard ? "image-rendering:pixelated" : "";
  add(parent, "image", { ...place, preserveAspectRatio: "none", href: dataUrl(picture), style });
}

/** Lines of at most `width` characters; SVG does not wrap text itself. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return line ? [...lines, line] : lines;
}

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

/** Both ends of the scale carry the name: half the width each. */
function shortened(label: string): string {
  const letters = [...label];
  return letters.length > 17 ? `${letters.slice(0, 16).join("")}…` : label;
}

function provenanceText(store: HeatmapStore): string {
  return Object.entries(store.provenance.value)
    .filter(([, value]) => typeof value === "string" || typeof value === "number")
    .map(([name, value]) => `${name} ${value}`)
    .join(" · ");
}

export function figureSvg(store: HeatmapStore, title: string): { markup: string; width: number; height: number } {
  const photo = drawPhoto(store);
  const map = drawMap(store);
  const shape = photo ?? map ?? { width: 1, height: 1 };
  const height = (SIDE * shape.height) / shape.width;
  const width = 2 * SIDE + 3 * GAP;
  const dark = store.shade.value === "dark";
  const display = store.display.value;

  const titleLines = wrap(title, 84);
  const notes = [...wrap(store.caption.value, 110), ...wrap(provenanceText(store), 110)];
  const top = 14 + 20 * titleLines.length;
  const total = top + height + 68 + 15 * notes.length;

  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ xmlns: SVG, width, height: total, viewBox: `0 0 ${width} ${total}` })) {
    svg.setAttribute(key, String(value));
  }
  svg.setAttribute("font-family", "system-ui, sans-serif");
  svg.setAttribute("fill", dark ? "#e6e6e6" : "#222");
  add(svg, "rect", { width, height: total, fill: dark ? "#181a1d" : "#fff" });
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

export async function figurePng(store: HeatmapStore, title: string): Promise<Blob> {
  const { markup, width, height } = figureSvg(store, title);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(markup)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = Math.round(2 * height);
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be encoded"))),
      "image/png",
    );
  });
}
