// All of a long text in a few pixels: where the strong tokens are, which part is in view, and a way to go elsewhere.

import { useRef } from "preact/hooks";
import { cssOf } from "../lib/bar-colours";
import { useDrawn } from "../lib/canvas";
import type { ListView } from "./list-view";
import { covers } from "./selection";

const WIDTH = 56;
const FAINT = { light: "rgb(0 0 0 / 12%)", dark: "rgb(255 255 255 / 16%)" } as const;
const CHOSEN = { light: "#0b62b0", dark: "#6db3f2" } as const;

interface Mark {
  x: number;
  y: number;
  width: number;
  strength: number;
  colour: string;
}

/** Of one line: a text of few lines does not fill the map. */
function rowHeight(view: ListView): number {
  return Math.min(view.height.value / Math.max(view.layout.value.lines.length, 1), 5);
}

/** Every fragment as a rectangle; the strong ones last, so that they show where lines share a pixel. */
function marksOf(view: ListView): { marks: Mark[]; each: number } {
  const { store } = view;
  const { lines, rightToLeft } = view.layout.value;
  const { all } = store.units.value;
  const { value: range } = store.range;
  const { supports, opposes } = store.colours.value;
  const [up, down] = [cssOf(supports), cssOf(opposes)];
  const each = rowHeight(view);
  const scale = WIDTH / Math.max(view.width.value, 1);
  const marks: Mark[] = [];
  for (const line of lines) {
    for (const { unit, left, width } of line.fragments) {
      if (unit < 0) continue;
      const value = all[unit]?.value || 0;
      const strength = range > 0 ? Math.min(Math.abs(value) / range, 1) : 0;
      const x = rightToLeft ? WIDTH - (left + width) * scale : left * scale;
      const colour = value < 0 ? down : up;
      marks.push({ x, y: line.index * each, width: width * scale, strength, colour });
    }
  }
  marks.sort((a, b) => a.strength - b.strength);
  return { marks, each };
}

function draw(canvas: HTMLCanvasElement, view: ListView): void {
  const { store } = view;
  const height = view.height.value;
  const context = canvas.getContext("2d");
  if (!context || height <= 0) return;
  const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  canvas.width = WIDTH * ratio;
  canvas.height = height * ratio;
  context.scale(ratio, ratio);
  const { marks, each } = marksOf(view);
  const tall = Math.max(each - (each > 3 ? 1 : 0), 1);
  context.fillStyle = FAINT[store.shade.value];
  for (const { x, y, width } of marks) context.fillRect(x, y, Math.max(width - 0.5, 0.5), tall);
  for (const { x, y, width, strength, colour } of marks) {
    if (strength < 0.02) continue;
    context.globalAlpha = Math.sqrt(strength);
    context.fillStyle = colour;
    context.fillRect(x, y, Math.max(width - 0.5, 1), tall);
  }
  context.globalAlpha = 1;
  context.fillStyle = CHOSEN[store.shade.value];
  const chosen = [...store.selection.value, ...store.search.value.hits];
  if (chosen.length === 0) return;
  const { lines } = view.layout.value;
  for (const line of lines) {
    const start = line.fragments[0]?.start ?? 0;
    const end = line.fragments.at(-1)?.end ?? 0;
    if (covers(chosen, start, end)) context.fillRect(WIDTH - 3, line.index * each, 3, tall);
  }
}

/** The part in view, as a frame on the minimap. */
function Frame({ view }: { view: ListView }) {
  const scale = rowHeight(view) / view.lineHeight.value;
  return (
    <span
      class="xw-minimap-frame"
      style={{ top: `${view.top.value * scale}px`, height: `${view.height.value * scale}px` }}
    />
  );
}

function Overview({ view }: { view: ListView }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useDrawn(() => canvas.current && draw(canvas.current, view), view);
  const goTo = (event: PointerEvent) => {
    const { top } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const line = (event.clientY - top) / rowHeight(view);
    view.scrollTo(line * view.lineHeight.value - view.height.value / 2);
  };
  return (
    <div
      class="xw-minimap"
      aria-hidden="true"
      title="the whole text: click or drag to go there"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        goTo(event);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) goTo(event);
      }}
    >
      <canvas ref={canvas} />
      <Frame view={view} />
    </div>
  );
}

/** Only beside a long text: the list itself is scrolled by keys. */
export function Minimap({ view }: { view: ListView }) {
  const height = view.height.value;
  return height > 0 && view.totalHeight > 1.5 * height ? <Overview view={view} /> : null;
}
