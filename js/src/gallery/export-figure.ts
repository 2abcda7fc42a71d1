// The figure of a gallery: question, query, its leading proponents and opponents with their scores and a bar for each
// checkpoint, what the order is worth, caption and provenance.

import { coloursOf, cssOf } from "../lib/bar-colours";
import { add, type Figure, pngOf, provenanceText, startFigure, wrap } from "../lib/figure";
import { formatPercent, formatScore, formatSigned } from "../lib/format";
import { readable } from "../lib/visible";
import { badgesOf } from "./coverage";
import { galleryQuestion } from "./question-text";
import type { Ranked, Side } from "./ranking";
import type { GalleryStore } from "./store";
import { cellsText, excerpt, MODE_TITLES, SIDE_TITLES } from "./words";

const WIDTH = 820;
const MARGIN = 16;
/** Of a side, at most. */
const MOST = 8;
const SIDE = 72;
const GAP = 9;
/** The column of the query. */
const QUERY = 132;

/** One square of a strip as an address that stands alone. */
async function pictureData(store: GalleryStore, key: number | string): Promise<string> {
  const picture = store.pictureOf(key);
  if (!picture || picture === "none") return "";
  const image = new Image();
  image.src = picture.url;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth / picture.count;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d")?.drawImage(image, -picture.index * canvas.width, 0);
  return canvas.toDataURL("image/png");
}

async function addPictureOf(
  parent: Element,
  store: GalleryStore,
  key: number | string,
  x: number,
  y: number,
  side: number,
): Promise<void> {
  const href = await pictureData(store, key);
  if (href) add(parent, "image", { x, y, width: side, height: side, href, style: "image-rendering:pixelated" });
  else add(parent, "rect", { x, y, width: side, height: side, fill: "currentColor", opacity: 0.08 });
}

function colourOf(store: GalleryStore, score: number): string {
  const { supports, opposes } = coloursOf([0, 0, 0], store.shade.value, store.polarity.value, false);
  return cssOf(score > 0 ? supports : opposes);
}

function contentText(content: { text?: string; cells?: Parameters<typeof cellsText>[0] }): string {
  return readable(content.text ?? (content.cells ? cellsText(content.cells) : ""));
}

function labelText(
  store: GalleryStore,
  { y, yhat, conf }: { y: number | null; yhat: number | null; conf: number | null },
): string {
  if (yhat === null) return store.className(y);
  const sure = conf === null ? "" : ` ${formatScore(conf)}`;
  if (y === null) return `${store.className(yhat)}${sure}`;
  return y === yhat ? `${store.className(y)}${sure}` : `${store.className(y)} → ${store.className(yhat)}${sure}`;
}

/** In the colour of its side, with a bar for each checkpoint. */
function addScore(parent: Element, store: GalleryStore, id: number, score: number, x: number, y: number): void {
  const place = { x, y, "font-size": 11, "font-weight": 600, fill: colourOf(store, score) };
  add(parent, "text", place, formatSigned(score));
  const range = store.partRange.value;
  store.partsOf(id)?.forEach((part, column) => {
    const height = (6 * Math.abs(part)) / (range || 1);
    const bar = { x: x + 46 + 4.5 * column, width: 3.5, height, y: part > 0 ? y - 4 - height : y - 4 };
    add(parent, "rect", { ...bar, fill: colourOf(store, part), opacity: store.mask.value[column] ? 1 : 0.2 });
  });
}

async function addCards(
  svg: Element,
  store: GalleryStore,
  cards: readonly Ranked[],
  left: number,
  top: number,
): Promise<number> {
  for (const [place, { id, score }] of cards.entries()) {
    const x = left + place * (SIDE + GAP);
    await addPictureOf(svg, store, id, x, top, SIDE);
    add(svg, "text", { x, y: top + SIDE + 13, "font-size": 10 }, excerpt(labelText(store, store.example(id)), 12));
    addScore(svg, store, id, score, x, top + SIDE + 27);
  }
  return top + SIDE + 38;
}

function addLines(svg: Element, store: GalleryStore, cards: readonly Ranked[], left: number, top: number): number {
  cards.forEach(({ id, score }, place) => {
    const y = top + 12 + 19 * place;
    const example = store.example(id);
    const text = `${excerpt(labelText(store, example), 24)}: ${excerpt(contentText(example), 80)}`;
    addScore(svg, store, id, score, left, y);
    add(svg, "text", { x: left + 92, y, "font-size": 11.5 }, text);
  });
  return top + 19 * cards.length + 8;
}

function notesOf(store: GalleryStore): string[] {
  const covered = store.coverage.value;
  const facts = [
    `score: ${MODE_TITLES[store.mode.value]}`,
    store.hasParts.value && "small bars: one a checkpoint",
    covered && `these ${covered.count} proponents: ${formatPercent(covered.share)} of all positive influence`,
    ...badgesOf(store).map(([text]) => text),
  ];
  return [
    ...wrap(facts.filter(Boolean).join(" · "), 128),
    ...wrap(store.caption.value, 128),
    ...wrap(provenanceText(store.provenance.value), 128),
  ];
}

export async function figureSvg(store: GalleryStore): Promise<Figure> {
  const svg = startFigure(WIDTH, 0, store.shade.value);
  svg.setAttribute("color", store.shade.value === "dark" ? "#e6e6e6" : "#222");
  const title = wrap(galleryQuestion(store), 96);
  title.forEach((line, place) => {
    add(svg, "text", { x: MARGIN, y: 24 + 20 * place, "font-size": 15, "font-weight": 600 }, line);
  });
  const top = 22 + 20 * title.length;
  const query = store.query.value;
  const pictures = store.medium.value === "image";
  add(svg, "text", { x: MARGIN, y: top + 11, "font-size": 10.5, opacity: 0.75 }, "QUERY");
  let below = top + 20;
  if (pictures) {
    await addPictureOf(svg, store, query.key, MARGIN, below, QUERY - 28);
    below += QUERY - 28 + 14;
  } else {
    for (const line of wrap(excerpt(contentText(query), 240), 20)) {
      add(svg, "text", { x: MARGIN, y: below + 10, "font-size": 11.5 }, line);
      below += 15;
    }
    below += 14;
  }
  add(svg, "text", { x: MARGIN, y: below, "font-size": 11 }, excerpt(labelText(store, query), 20));

  const left = MARGIN + QUERY;
  let y = top;
  for (const side of ["proponents", "opponents"] as Side[]) {
    const cards = store.shown.value[side].slice(0, MOST);
    const heading = `${SIDE_TITLES[side].title.toUpperCase()}: ${SIDE_TITLES[side].note}`;
    add(svg, "text", { x: left, y: y + 11, "font-size": 10.5, opacity: 0.75 }, heading);
    y += 20;
    if (cards.length === 0) {
      add(svg, "text", { x: left, y: y + 11, "font-size": 11, opacity: 0.75 }, "none");
      y += 22;
    } else y = pictures ? await addCards(svg, store, cards, left, y) : addLines(svg, store, cards, left, y);
    y += 6;
  }
  y = Math.max(y, below + 10);
  const notes = notesOf(store);
  notes.forEach((line, place) => {
    add(svg, "text", { x: MARGIN, y: y + 14 + 15 * place, "font-size": 11, opacity: 0.75 }, line);
  });
  const height = y + 22 + 15 * notes.length;
  svg.setAttribute("height", String(height));
  svg.firstElementChild?.setAttribute("height", String(height));
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  return { markup: new XMLSerializer().serializeToString(svg), width: WIDTH, height };
}

export async function figurePng(store: GalleryStore): Promise<Blob> {
  return pngOf(await figureSvg(store));
}
