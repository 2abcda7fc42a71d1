// The figure of a strip: the text as it is laid out in the page, its bars, what a full bar is worth, question, caption and
// provenance. All of the text, whatever is in view.

import { type Attributes, add, type Figure, pngOf, provenanceText, startFigure, wrap } from "../lib/figure";
import { formatNumber } from "../lib/format";
import { questionText } from "../lib/question-text";
import { type Line, layOut, type Measure, SPACING } from "./layout";
import type { TokenStore } from "./store";

const WIDTH = 760;
const MARGIN = 16;
const SIZE = 14;
/** The tallest bar. */
const BAR = 20;
const TEXT = 20;
const COLOURS = { warm: "#c44e00", cool: "#0b62b0", unsigned: "#66788a" } as const;
const FULL = { bars: "full bar", tint: "full colour", underline: "thickest line" } as const;

/** Where a fragment stands: runs against the direction of the text are turned. */
export function placed(line: Line, inner: number, rightToLeft: boolean): Map<Line["fragments"][number], number> {
  const places = new Map<Line["fragments"][number], number>();
  const room = (one: Line["fragments"][number]) => one.lead + one.width + (one.unit >= 0 ? SPACING : 0);
  let used = 0;
  for (const run of line.runs) {
    const width = run.fragments.reduce((sum, one) => sum + room(one), 0);
    const from = rightToLeft ? inner - used - width : used;
    let inside = 0;
    for (const one of run.fragments) {
      places.set(one, run.rightToLeft ? from + width - inside - one.lead - one.width : from + inside + one.lead);
      inside += room(one);
    }
    used += width;
  }
  return places;
}

function measureText(): Measure {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return (text) => 0.56 * SIZE * [...text].length;
  context.font = `${SIZE}px system-ui, sans-serif`;
  return (text) => context.measureText(text).width;
}

interface List {
  title: string;
  from: number;
  to: number;
}

/** The stretches of a classifier's text, or of prompt and output. */
function lists(store: TokenStore): List[] {
  const strip = store.strip.value;
  if (store.task.value === "classify") return [{ title: "", from: 0, to: strip.length }];
  const [first, end] = [store.nPrompt.value, store.promptEnd.value];
  const found = strip.findIndex(([start, , member]) => (member === undefined ? start >= end : member >= first));
  const cut = found < 0 ? strip.length : found;
  return [
    { title: "PROMPT", from: 0, to: cut },
    { title: "OUTPUT", from: cut, to: strip.length },
  ];
}

/** One fragment's value as it is drawn in the page: bar, colour or line. */
function addMark(svg: Element, store: TokenStore, unit: number, x: number, width: number, top: number): void {
  const { value = Number.NaN, rank = 0 } = store.units.value.all[unit] ?? {};
  const range = store.range.value;
  if (!(Math.abs(value) > 0) || rank === 0 || range === 0) return;
  const unsigned = store.unsigned.value;
  const share = Math.min(Math.abs(value) / range, 1);
  const k = store.k.value;
  const dimmed = k > 0 && rank > k ? 0.2 : 1;
  const polarity = value > 0 === (store.polarity.value === "warm") ? "warm" : "cool";
  const fill = COLOURS[unsigned ? "unsigned" : polarity];
  const show = store.show.value;
  const place: Record<typeof show, Attributes> = {
    bars: { y: value > 0 || unsigned ? top + BAR * (1 - share) : top + BAR, height: BAR * share },
    tint: { y: top + 2, height: TEXT - 2, opacity: 0.55 * share },
    underline: { y: top + TEXT, height: 4 * share },
  };
  add(svg, "rect", { x, width, fill, opacity: dimmed, ...place[show] });
}

/** Returns where it ends. */
function addList(svg: Element, store: TokenStore, { title, from, to }: List, top: number): number {
  const { groups, ofStretch } = store.grouping.value;
  const units = store.units.value.all;
  const [tokens, strip] = [store.tokens.value, store.strip.value];
  const inner = WIDTH - 2 * MARGIN;
  const measure = measureText();
  const hidden = (stretch: number) => groups[ofStretch[stretch] ?? -1]?.special === true && !store.specials.value;
  const layout = layOut({
    text: store.text.value,
    strip,
    from,
    to,
    unitOf: (stretch) => (hidden(stretch) ? -1 : (ofStretch[stretch] ?? -1)),
    surfaceOf: (stretch) => (hidden(stretch) ? "" : (tokens[strip[stretch]?.[2] ?? -1]?.[3] ?? "")),
    measure,
    available: inner,
  });
  const bars = store.show.value === "bars";
  const above = bars ? BAR : 0;
  const below = bars && !store.unsigned.value ? BAR : 0;
  const each = above + below + TEXT + 10;
  const [first, last] = store.span.value;
  let y = top;
  if (title) {
    add(svg, "text", { x: MARGIN, y: y + 11, "font-size": 10.5, opacity: 0.75 }, title);
    y += 18;
  }
  for (const line of layout.lines) {
    const text = y + above + below;
    if (bars) {
      const zero = y + above;
      add(svg, "line", { x1: MARGIN, x2: WIDTH - MARGIN, y1: zero, y2: zero, stroke: "currentColor", opacity: 0.2 });
    }
    for (const [one, left] of placed(line, inner, layout.rightToLeft)) {
      const x = MARGIN + left;
      const shown = one.bits.filter((bit) => bit.kind !== "lead").map((bit) => bit.shown);
      if (one.unit >= 0) addMark(svg, store, one.unit, x + 0.5, one.width - 1, bars ? y : text);
      const target = units[one.unit]?.members.some((member) => {
        const place = member - store.nPrompt.value;
        return title === "OUTPUT" && place >= first && place <= last;
      });
      if (target) {
        const box = { x: x - 1, y: text + 1, width: one.width + 2, height: TEXT, rx: 3, fill: "none" };
        add(svg, "rect", { ...box, stroke: "currentColor" });
      }
      const letters = shown.join("");
      if (letters.trim() === "") continue;
      const anchor = { x: x + one.width / 2, y: text + 15, "text-anchor": "middle", "font-size": SIZE };
      // another font must not run into the neighbours
      const fitted = { textLength: Math.min(measure(letters), one.width).toFixed(1), lengthAdjust: "spacingAndGlyphs" };
      add(svg, "text", { ...anchor, ...(one.unit >= 0 && fitted) }, letters);
    }
    y += each;
  }
  return y + 4;
}

function scaleText(store: TokenStore): string {
  const target = store.about.value.question.target_label || "the answer";
  const unit = store.unit.value;
  const range = `${FULL[store.show.value]}: ${formatNumber(store.range.value)}${unit ? ` ${unit}` : ""}`;
  if (store.unsigned.value) return `${range} · unsigned: how much, not in which direction`;
  const [support, oppose] = store.polarity.value === "warm" ? ["orange", "blue"] : ["blue", "orange"];
  const way = store.show.value === "bars" ? ["up, ", "down, "] : ["", ""];
  return `${range} · ${way[0]}${support}: supports ${target} · ${way[1]}${oppose}: opposes ${target}`;
}

export function figureSvg(store: TokenStore): Figure {
  const about = store.about.value;
  const title = wrap(questionText(about.question), 88);
  const notes = [
    ...wrap(scaleText(store), 118),
    ...wrap(about.caption, 118),
    ...wrap(provenanceText(store.provenance.value), 118),
  ];
  const svg = startFigure(WIDTH, 0, store.shade.value);
  svg.setAttribute("color", store.shade.value === "dark" ? "#e6e6e6" : "#222");
  title.forEach((line, index) => {
    add(svg, "text", { x: MARGIN, y: 24 + 20 * index, "font-size": 15, "font-weight": 600 }, line);
  });
  let y = 20 + 20 * title.length;
  for (const list of lists(store)) y = addList(svg, store, list, y);
  notes.forEach((line, index) => {
    add(svg, "text", { x: MARGIN, y: y + 14 + 15 * index, "font-size": 11, opacity: 0.75 }, line);
  });
  const height = y + 22 + 15 * notes.length;
  for (const [element, name] of [
    [svg, "height"],
    [svg.firstElementChild, "height"],
  ] as const) {
    element?.setAttribute(name, String(height));
  }
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  return { markup: new XMLSerializer().serializeToString(svg), width: WIDTH, height };
}

export function figurePng(store: TokenStore): Promise<Blob> {
  return pngOf(figureSvg(store));
}
