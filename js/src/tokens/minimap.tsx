// All of a long text in a few pixels: where the strong tokens are, which part is in view, and a way to go elsewhere.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { cssColour } from "../lib/palettes";
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

/** Every fragment as a rectangle; the strong ones last, so that they show where lines share a pixel. */
function marksOf(view: ListView, height: number): { marks: Mark[]; each: number } {
  const { store } = view;
  const { lines, rightToLeft } = view.layout.value;
  const { all } = store.units.value;
  const { value: range } = store.range;
  const { value: table } = store.table;
  const each = Math.min(height / lines.length, 6);
  const scale = WIDTH / Math.max(view.width.value, 1);
  const marks: Mark[] = [];
  for (const line of lines) {
    for (const { unit, left, width } of line.fragments) {
      if (unit < 0) continue;
      const value = all[unit]?.value || 0;
      const strength = range > 0 ? Math.min(Math.abs(value) / range, 1) : 0;
      const x = rightToLeft ? WIDTH - (left + width) * scale : left * scale;
      const colour = cssColour(table, store.shadeOf(value, range));
      marks.push({ x, y: (line.index * height) / lines.length, width: width * scale, strength, colour });
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
  const { marks, each } = marksOf(view, height);
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
    if (covers(chosen, start, end)) context.fillRect(WIDTH - 3, (line.index * height) / lines.length, 3, tall);
  }
}

/** The part in view, as a frame on the minimap. */
function Frame({ view }: { view: ListView }) {
  const total = view.totalHeight;
  const height = view.height.value;
  return (
    <span
      class="xw-minimap-frame"
      style={{
        top: `${(100 * view.top.value) / total}%`,
        height: `${Math.min((100 * height) / total, 100)}%`,
      }}
    />
  );
}

function Overview({ view }: { view: ListView }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(
    () =>
      effect(() => {
        if (canvas.current) draw(canvas.current, view);
      }),
    [view],
  );
  const goTo = (event: PointerEvent) => {
    const { top, height } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    view.scrollTo(((event.clientY - top) / height) * view.totalHeight - view.height.value / 2);
  };
  return (
    <div
      class="xw-minimap"
      aria-hidden="true"
      title="the whole text: click or drag to go there"
      style={{ width: `${WIDTH}px` }}
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

/** Only beside a text that does not fit: the list itself is scrolled by keys. */
export function Minimap({ view }: { view: ListView }) {
  const height = view.height.value;
  return height > 0 && view.totalHeight > height + 1 ? <Overview view={view} /> : null;
}
