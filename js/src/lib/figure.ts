// Pieces of figures for papers and slides. Built through the DOM, so that labels are escaped by the serialiser. A PNG is
// the SVG drawn twice as large.

import { type Picture, paint } from "./canvas";
import type { Shade } from "./theme";

const SVG = "http://www.w3.org/2000/svg";
export type Attributes = Record<string, string | number>;

export function add(parent: Element, name: string, attributes: Attributes, text?: string): Element {
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

export function addPicture(parent: Element, picture: Picture | null, place: Attributes, hard: boolean): void {
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

/** Both ends of the scale carry the name: half the width each. */
export function shortened(label: string): string {
  const letters = [...label];
  return letters.length > 17 ? `${letters.slice(0, 16).join("")}…` : label;
}

export function provenanceText(provenance: Record<string, unknown>): string {
  return Object.entries(provenance)
    .filter(([, value]) => typeof value === "string" || typeof value === "number")
    .map(([name, value]) => `${name} ${value}`)
    .join(" · ");
}

export interface Figure {
  markup: string;
  width: number;
  height: number;
}

/** An empty figure in the colours of the page. */
export function startFigure(width: number, height: number, shade: Shade): SVGElement {
  const dark = shade === "dark";
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` })) {
    svg.setAttribute(key, String(value));
  }
  svg.setAttribute("font-family", "system-ui, sans-serif");
  svg.setAttribute("fill", dark ? "#e6e6e6" : "#222");
  add(svg, "rect", { width, height, fill: dark ? "#181a1d" : "#fff" });
  return svg;
}

export async function pngOf({ markup, width, height }: Figure): Promise<Blob> {
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
