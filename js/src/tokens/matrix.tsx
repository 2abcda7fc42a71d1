// Every output token against everything before it. Rows appear as they are computed; a click explains a row's token.

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { cssOf } from "../lib/bar-colours";
import { SignalCanvas } from "../lib/canvas";
import { formatNumber } from "../lib/format";
import { readable } from "../lib/visible";
import { type Cell, MatrixView } from "./matrix-view";
import { choose, isTarget } from "./outputs";
import type { TokenStore } from "./store";
import { valueText, verbOf } from "./words";

const ROW = 20;
const LABELS = 112;
const NARROWEST = 7;
const WIDEST = 28;
/** Narrower columns have no room for a name. */
const NAMED = 14;
const STEPS: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
  Home: [0, Number.NEGATIVE_INFINITY],
  End: [0, Number.POSITIVE_INFINITY],
};

function nameOf(store: TokenStore, view: MatrixView, cell: Cell): string {
  const cells = view.cells.value;
  const row = cells?.rows[cell.row];
  const column = cells?.columns[cell.column];
  if (!row || !column) return "";
  const output = readable(store.textOf(row));
  const input = readable(store.textOf(column));
  const value = view.valueAt(cell);
  if (Number.isNaN(value)) {
    return view.isLater(cell) ? `${input} comes after ${output}` : `${input} for ${output}: not computed`;
  }
  const verb = verbOf(value, store.unsigned.value);
  const towards = verb === "supports" || verb === "opposes" ? `${input} ${verb} ${output}` : `${input}, ${verb}`;
  return `${towards}, ${valueText(value, store.unsigned.value)}`;
}

function Progress({ store }: { store: TokenStore }) {
  const matrix = store.currentMatrix.value;
  const total = store.tokens.value.length - store.nPrompt.value;
  const done = matrix?.have.size ?? 0;
  if (done >= total) return null;
  return (
    <p class="xw-matrix-progress">
      <span class="xw-number">
        {done} of {total} output tokens attributed
      </span>
      <button
        type="button"
        class="xw-button"
        disabled={!store.live || store.running.value}
        title={store.offReason.value || "compute the rows that are missing"}
        onClick={() => store.askColumns()}
      >
        Attribute every output token
      </button>
    </p>
  );
}

/** Where a pointer is on the canvas, whatever its size. */
function cellUnder(event: MouseEvent, view: MatrixView): Cell | null {
  const cells = view.cells.value;
  const { left, top, width, height } = (event.currentTarget as HTMLElement).getBoundingClientRect();
  if (!cells || width === 0) return null;
  const column = Math.floor(((event.clientX - left) / width) * cells.columns.length);
  const row = Math.floor(((event.clientY - top) / height) * cells.rows.length);
  const inside = row >= 0 && column >= 0 && row < cells.rows.length && column < cells.columns.length;
  return inside ? { row, column } : null;
}

function Grid({ store, view }: { store: TokenStore; view: MatrixView }) {
  const element = useRef<HTMLDivElement>(null);
  const cells = view.cells.value;
  const there = cells !== null;
  useLayoutEffect(() => {
    const own = element.current;
    if (!own) return;
    const size = () => {
      view.width.value = own.clientWidth;
    };
    size();
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(size);
    observer?.observe(own);
    return () => observer?.disconnect();
  }, [view, there]);
  const draw = useMemo(() => () => view.picture(), [view]);
  const { row, column } = view.cursor;
  useEffect(() => {
    // arrows bring their cell into view
    element.current?.querySelector(".xw-matrix-cursor")?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  }, [row, column]);
  if (!cells) return null;
  const room = Math.max(view.width.value - LABELS - 2, 100);
  const each = Math.min(Math.max(room / cells.columns.length, NARROWEST), WIDEST);
  const at: Cell = { row, column };
  const cellId = `${store.uid}-cell`;
  const pick = (cell: Cell, extend: boolean) => {
    const group = cells.rows[cell.row];
    if (group) choose(store, group, extend);
  };
  const keyDown = (event: KeyboardEvent) => {
    const { cursor } = view;
    if (event.key === "Enter" || event.key === " ") pick(cursor, event.shiftKey);
    else {
      const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : STEPS[event.key];
      if (!step) return;
      view.goTo({ row: cursor.row + step[0], column: cursor.column + step[1] });
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={element}
      class="xw-matrix"
      role="grid"
      tabIndex={0}
      aria-label="attribution of every output token to everything before it"
      aria-rowcount={cells.rows.length}
      aria-colcount={cells.columns.length}
      aria-activedescendant={cellId}
      style={{
        "--each": `${each}px`,
        "--row": `${ROW}px`,
        "--labels": `${LABELS}px`,
        "--xw-page": cssOf(store.colours.value.page),
      }}
      onKeyDown={keyDown}
    >
      <div class="xw-visually-hidden" role="row" tabIndex={-1} aria-rowindex={at.row + 1}>
        <span
          id={cellId}
          role="gridcell"
          tabIndex={-1}
          aria-colindex={at.column + 1}
          aria-selected={cells.rows[at.row] ? isTarget(store, cells.rows[at.row] as never) : false}
        >
          {nameOf(store, view, at)}
        </span>
      </div>
      {each >= NAMED && (
        <div class="xw-matrix-head" aria-hidden="true">
          {cells.columns.map((group, index) => (
            <span key={group.index} class="xw-matrix-column" data-output={group.part === "output" || undefined}>
              <bdi data-here={view.hover.value?.column === index || undefined}>{readable(store.textOf(group))}</bdi>
            </span>
          ))}
        </div>
      )}
      <div class="xw-matrix-rows" aria-hidden="true">
        {cells.rows.map((group) => (
          <span key={group.index} class="xw-matrix-row" data-target={isTarget(store, group) || undefined}>
            <bdi>{readable(store.textOf(group))}</bdi>
          </span>
        ))}
      </div>
      <div
        class="xw-matrix-cells"
        aria-hidden="true"
        style={{ width: `${each * cells.columns.length}px`, height: `${ROW * cells.rows.length}px` }}
        onPointerMove={(event) => {
          view.hover.value = cellUnder(event, view);
        }}
        onPointerLeave={() => {
          view.hover.value = null;
        }}
        onClick={(event) => {
          const cell = cellUnder(event, view);
          if (!cell) return;
          view.goTo(cell);
          pick(cell, event.shiftKey);
        }}
      >
        <SignalCanvas class="xw-matrix-canvas" hard draw={draw} />
        <span
          class="xw-matrix-cursor"
          style={{ left: `${at.column * each}px`, top: `${at.row * ROW}px`, width: `${each}px`, height: `${ROW}px` }}
        />
      </div>
    </div>
  );
}

/** Colours as in the strip; what a full one is worth. */
function Legend({ store, view }: { store: TokenStore; view: MatrixView }) {
  const each = store.scaleMode.value === "target";
  const { page, supports, opposes } = store.colours.value;
  const stops = (store.unsigned.value ? [page, supports] : [opposes, page, supports]).map(cssOf);
  const full = each ? "full colour: the largest of its row" : `full colour: ${formatNumber(view.rangeOf(0))}`;
  return (
    <p class="xw-matrix-legend xw-quiet">
      <span class="xw-matrix-ends">
        {store.unsigned.value ? "none" : "opposes"}
        <span class="xw-matrix-scale" style={{ background: `linear-gradient(90deg, ${stops.join(", ")})` }} />
        {store.unsigned.value ? "much" : "supports"}
      </span>{" "}
      the row’s token · {full}
      {store.unit.value && !each ? ` ${store.unit.value}` : ""} · hatched: not computed
      {store.foilToken.value !== null && " · every row by itself: the contrast is the strip’s"}
    </p>
  );
}

function Reading({ store, view }: { store: TokenStore; view: MatrixView }) {
  return <p class="xw-reading">{nameOf(store, view, view.hover.value ?? view.cursor)}</p>;
}

export function MatrixPanel({ store }: { store: TokenStore }) {
  const view = useMemo(() => new MatrixView(store), [store]);
  return (
    <div class="xw-matrix-panel">
      <Progress store={store} />
      <Grid store={store} view={view} />
      {view.cells.value && (
        <>
          <Reading store={store} view={view} />
          <Legend store={store} view={view} />
        </>
      )}
    </div>
  );
}
