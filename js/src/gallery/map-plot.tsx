// The plot of a data map: points on a canvas, marks above it. Pointing reads, a click opens, dragging draws a box; the
// arrows do the same from point to point.

import { useEffect, useRef } from "preact/hooks";
import { paint, useDrawn } from "../lib/canvas";
import { formatNumber } from "../lib/format";
import { formatTicks, niceTicks } from "../lib/ticks";
import { AXES, type AxisName, coloursFor } from "./axes";
import type { MapView } from "./map-view";
import { boxOf, paintCloud } from "./scatter";
import { exampleText } from "./words";

const FAINT = { light: [120, 130, 140], dark: [150, 160, 170] } as const;
/** Pixels before a press becomes a drag. */
const DRAG = 5;
/** Pixels an arrow goes at least. */
const STEP = 5;
const MOST_MARKED = 300;

function draw(canvas: HTMLCanvasElement, view: MapView): void {
  const [width, height] = view.size.value;
  if (width < 2 || height < 2) return;
  const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  const { x, y } = view.places.value;
  const shade = view.store.shade.value;
  const { level, titles } = view.levels.value;
  const scaled = ratio === 1 ? { x, y } : { x: x.map((value) => value * ratio), y: y.map((value) => value * ratio) };
  const picture = paintCloud(scaled, {
    width: Math.round(width * ratio),
    height: Math.round(height * ratio),
    radius: view.radius.value * ratio,
    level,
    colours: coloursFor(titles.length, shade),
    passes: view.passes.value,
    faint: [...FAINT[shade]],
  });
  paint(canvas, picture);
}

function Ring({ view, row, kind }: { view: MapView; row: number; kind: string }) {
  const { x, y } = view.places.value;
  const [cx, cy] = [x[row] ?? Number.NaN, y[row] ?? Number.NaN];
  if (Number.isNaN(cx)) return null;
  const strong = kind === "here" || kind === "hover";
  return <circle class={`xw-map-ring xw-map-ring-${kind}`} cx={cx} cy={cy} r={view.radius.value + (strong ? 5 : 3)} />;
}

/** The cards on show, the selected, the keyboard's example, and the one under the pointer. */
function Marks({ view }: { view: MapView }) {
  const { store } = view;
  const [width, height] = view.size.value;
  const { proponents, opponents } = store.shown.value;
  const rings = (ids: readonly number[], kind: string) =>
    ids.slice(0, MOST_MARKED).map((id) => <Ring key={`${kind}${id}`} view={view} row={view.rowOf(id)} kind={kind} />);
  return (
    <svg class="xw-map-marks" viewBox={`0 0 ${Math.max(width, 1)} ${Math.max(height, 1)}`} aria-hidden="true">
      {rings(store.selection.value, "selected")}
      {rings(
        proponents.map(({ id }) => id),
        "for",
      )}
      {rings(
        opponents.map(({ id }) => id),
        "against",
      )}
      <Ring view={view} row={store.hovered.value === null ? -1 : view.rowOf(store.hovered.value)} kind="hover" />
      <Ring view={view} row={view.here} kind="here" />
    </svg>
  );
}

function BoxMark({ view }: { view: MapView }) {
  const box = view.box.value;
  if (!box) return null;
  const [left, top] = view.shareOf(box.x0, box.y1);
  const [right, bottom] = view.shareOf(box.x1, box.y0);
  const percent = (share: number) => `${100 * share}%`;
  return (
    <span
      class="xw-map-box"
      style={{ left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) }}
    />
  );
}

interface Tick {
  at: number;
  text: string;
}

function ticksOf(name: AxisName, low: number, high: number, count: number): Tick[] {
  if (AXES[name].log) {
    const powers = niceTicks(low, high, count).filter((tick) => Number.isInteger(tick));
    return powers.map((at) => ({ at, text: formatNumber(10 ** at) }));
  }
  const ticks = niceTicks(low, high, count);
  const texts = formatTicks(ticks);
  return ticks.map((at, place) => ({ at, text: texts[place] ?? "" }));
}

function Axis({ view, axes }: { view: MapView; axes: readonly [AxisName, AxisName] }) {
  const { x0, x1, y0, y1 } = view.view.value;
  const [width] = view.size.value;
  return (
    <div aria-hidden="true">
      {ticksOf(axes[0], x0, x1, width < 420 ? 4 : 6).map(({ at, text }) => (
        <span key={`x${text}`} class="xw-map-tick xw-map-tick-x" style={{ left: `${100 * view.shareOf(at, y0)[0]}%` }}>
          {text}
        </span>
      ))}
      {ticksOf(axes[1], y0, y1, 5).map(({ at, text }) => (
        <span key={`y${text}`} class="xw-map-tick xw-map-tick-y" style={{ top: `${100 * view.shareOf(x0, at)[1]}%` }}>
          {text}
        </span>
      ))}
      <span class="xw-map-axis xw-map-axis-x">{AXES[axes[0]].title} →</span>
      <span class="xw-map-axis xw-map-axis-y">{AXES[axes[1]].title} →</span>
    </div>
  );
}

const REGIONS = ["easy to learn", "ambiguous", "hard to learn"] as const;

interface Press {
  x: number;
  y: number;
  dragging: boolean;
}

const ARROWS: Readonly<Record<string, readonly [-1 | 0 | 1, -1 | 0 | 1]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Returns false for keys that mean nothing here. */
function act(view: MapView, key: string, shift: boolean): boolean {
  const { store } = view;
  const arrow = ARROWS[key];
  if (arrow && shift) {
    view.stretchBox(...arrow);
    store.announcer.say(`${view.boxed.value.length} examples in the box`);
    return true;
  }
  if (arrow) view.step(...arrow, STEP);
  else if (key === "Home") view.moveTo(view.first(1));
  else if (key === "End") view.moveTo(view.first(-1));
  else if (key === "Escape" && view.box.value) view.setBox(null);
  else if (key === "Escape" && view.zoom.value) view.zoom.value = null;
  else if (key === "+" && view.box.value) view.zoomToBox();
  else if (key === "-" && view.zoom.value) view.zoom.value = null;
  else if (key === "a" && view.box.value) view.selectBoxed();
  else return false;
  const { focused } = store;
  if ((arrow || key === "Home" || key === "End") && focused.value !== null) {
    store.announcer.say(exampleText(store, focused.value, "triage"));
  }
  return true;
}

export function MapPlot({ view, axes }: { view: MapView; axes: readonly [AxisName, AxisName] }) {
  const plot = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const press = useRef<Press | null>(null);
  const { store } = view;
  useEffect(() => {
    const element = plot.current;
    if (!element) return;
    const look = () => {
      view.size.value = [element.clientWidth, element.clientHeight];
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [view]);
  useDrawn(() => canvas.current && draw(canvas.current, view), view);
  const placeOf = (event: PointerEvent): [number, number] => {
    const box = plot.current?.getBoundingClientRect();
    return box ? [event.clientX - box.left, event.clientY - box.top] : [0, 0];
  };
  const usual = axes[0] === "variability" && axes[1] === "confidence" && !view.zoom.value;
  return (
    <div class="xw-map-frame">
      <div
        ref={plot}
        class="xw-map-plot"
        data-xw-map
        role="application"
        aria-roledescription="data map"
        aria-label={`data map of ${store.columns.value?.n ?? 0} examples: ${AXES[axes[0]].title} to the right, ${AXES[axes[1]].title} upwards. Arrows go to the next example, with Shift they draw a box.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows go from point to point
        tabIndex={0}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          const [x, y] = placeOf(event);
          press.current = { x, y, dragging: false };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={(event) => {
          const [x, y] = placeOf(event);
          const from = press.current;
          if (!from) {
            view.point(x, y);
            return;
          }
          if (!from.dragging && Math.hypot(x - from.x, y - from.y) < DRAG) return;
          from.dragging = true;
          store.hovered.value = null;
          view.setBox(boxOf(view.pointAt(from.x, from.y), view.pointAt(x, y)));
        }}
        onPointerUp={(event) => {
          const from = press.current;
          press.current = null;
          if (!from || from.dragging) return;
          const row = view.at(...placeOf(event));
          if (row < 0) view.setBox(null);
          else {
            view.moveTo(row);
            if (event.shiftKey || event.ctrlKey || event.metaKey) store.toggle(view.idOf(row));
            else store.showDetail(view.idOf(row));
          }
        }}
        onPointerCancel={() => {
          press.current = null;
        }}
        onPointerLeave={() => {
          store.hovered.value = null;
        }}
        onKeyDown={(event) => {
          if (event.ctrlKey || event.metaKey || event.altKey || !act(view, event.key, event.shiftKey)) return;
          event.preventDefault();
          event.stopPropagation();
        }}
      >
        <canvas ref={canvas} class="xw-map-canvas" />
        {usual &&
          REGIONS.map((region) => (
            <span key={region} class="xw-map-region" data-region={region} aria-hidden="true">
              {region}
            </span>
          ))}
        <Marks view={view} />
        <BoxMark view={view} />
      </div>
      <Axis view={view} axes={axes} />
    </div>
  );
}
