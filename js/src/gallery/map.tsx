// The training set as a map of how each example was learnt. Filters dim what they leave out; the cards of the query are
// ringed, and a box drawn over points lists them.

import { Fragment } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { cssOf } from "../lib/bar-colours";
import { formatCount, formatNumber, formatPercent } from "../lib/format";
import { AXES, type AxisName, coloursFor } from "./axes";
import { CellList, Labels, Thumb } from "./card";
import { MapPlot } from "./map-plot";
import { MapView } from "./map-view";
import type { GalleryStore } from "./store";
import { excerpt } from "./words";

/** Of a box, shown at once. */
const LISTED = 18;

/** The colours; a click leaves one alone. */
function Levels({ view }: { view: MapView }) {
  const { titles } = view.levels.value;
  const colours = coloursFor(titles.length, view.store.shade.value);
  const only = view.level.value;
  if (titles.length < 2) return null;
  return (
    <div class="xw-levels" role="group" aria-label="colour: how often the model was right">
      {titles.map((title, level) => (
        <button
          key={title}
          type="button"
          class="xw-level"
          aria-pressed={only === level}
          data-dim={only !== null && only !== level}
          title="show these alone"
          onClick={() => {
            view.level.value = only === level ? null : level;
          }}
        >
          <span class="xw-level-dot" style={{ background: cssOf(colours[level] ?? [0, 0, 0]) }} aria-hidden="true" />
          {title}
        </button>
      ))}
    </div>
  );
}

function Summary({ store, id }: { store: GalleryStore; id: number }) {
  const { text, cells } = store.example(id);
  if (store.medium.value === "image") return <Thumb store={store} id={id} />;
  if (cells) return <CellList cells={cells.slice(0, 3)} />;
  return (
    <span class="xw-map-text" dir="auto">
      {text === undefined ? "…" : excerpt(text, 110)}
    </span>
  );
}

/** Who is under the pointer, or at the keyboard. */
function Reading({ view, axes }: { view: MapView; axes: readonly [AxisName, AxisName] }) {
  const { store } = view;
  const id = store.hovered.value ?? store.focused.value;
  useEffect(() => {
    if (id !== null) store.want([id]);
  }, [store, id]);
  const columns = store.columns.value;
  if (id === null || !columns) {
    return (
      <p class="xw-map-reading xw-quiet">Point at an example to read it; a click opens it, dragging draws a box.</p>
    );
  }
  const facts = axes.map((name) => [AXES[name].title, columns.value(name, view.rowOf(id))] as const);
  return (
    <div class="xw-map-reading">
      <Summary store={store} id={id} />
      <span class="xw-map-who">
        <span class="xw-number">#{formatCount(id)}</span> <Labels store={store} id={id} />
      </span>
      <dl class="xw-sums">
        {facts.map(([title, value]) => (
          <Fragment key={title}>
            <dt>{title}</dt>
            <dd>{value === null ? "–" : formatNumber(value)}</dd>
          </Fragment>
        ))}
      </dl>
    </div>
  );
}

/** Share of the rows that the model does not predict as they are labelled. */
function wrongText({ store }: MapView, rows: readonly number[]): string {
  const { fields } = store.columns.value ?? {};
  const [y, yhat] = [fields?.get("y"), fields?.get("yhat")];
  if (!y || !yhat || rows.length === 0 || store.names.value.length === 0) return "";
  return `y ≠ ŷ in ${formatPercent(rows.filter((row) => y[row] !== yhat[row]).length / rows.length, 0)}`;
}

/** The examples of a box, what deserves a look first. */
function Boxed({ view }: { view: MapView }) {
  const { store } = view;
  const rows = view.boxed.value;
  const ids = rows.slice(0, LISTED).map((row) => view.idOf(row));
  useEffect(() => {
    if (ids.length > 0) store.want(ids);
  }, [store, ids.join()]);
  if (!view.box.value) return null;
  return (
    <div class="xw-boxed" role="group" aria-label="examples of the box">
      <p class="xw-boxed-head">
        <strong>{rows.length === 1 ? "1 example" : `${formatCount(rows.length)} examples`} in the box</strong>
        <span class="xw-quiet">{wrongText(view, rows)}</span>
        <span class="xw-detail-tools">
          <button
            type="button"
            class="xw-button"
            disabled={rows.length === 0}
            title="select them (a)"
            onClick={() => view.selectBoxed()}
          >
            Select
          </button>
          <button type="button" class="xw-button" title="the box alone (+)" onClick={() => view.zoomToBox()}>
            Zoom in
          </button>
          <button
            type="button"
            class="xw-button xw-button-bare"
            title="drop the box (Esc)"
            onClick={() => {
              view.setBox(null);
            }}
          >
            <span aria-hidden="true">×</span>
            <span class="xw-visually-hidden">drop the box</span>
          </button>
        </span>
      </p>
      <ul class="xw-boxed-list" data-medium={store.medium.value}>
        {ids.map((id) => (
          <li key={id}>
            <button
              type="button"
              class="xw-card xw-boxed-item"
              data-open={store.detail.value === id}
              data-near={store.hovered.value === id}
              title={`#${id}`}
              onPointerEnter={() => {
                store.hovered.value = id;
              }}
              onPointerLeave={() => {
                store.hovered.value = null;
              }}
              onClick={() => {
                view.moveTo(view.rowOf(id));
                store.showDetail(id);
              }}
            >
              <Summary store={store} id={id} />
              <Labels store={store} id={id} />
            </button>
          </li>
        ))}
      </ul>
      {rows.length > ids.length && (
        <p class="xw-legend-note">The first {LISTED} in the order of the sort above; selecting takes all.</p>
      )}
    </div>
  );
}

export function MapTab({ store }: { store: GalleryStore }) {
  const view = useMemo(() => new MapView(store), [store]);
  const axes = view.axes.value;
  const columns = store.columns.value;
  if (!axes || !columns) {
    return (
      <div class="xw-empty">
        <p>No map: the index has no records of how each example was learnt.</p>
      </div>
    );
  }
  const shown = store.size.value > columns.n ? `the ${formatCount(columns.n)} with the largest self-influence` : "";
  const { passes } = view;
  const open = passes.value ? passes.value.reduce((sum, one) => sum + one, 0) : columns.n;
  return (
    <div class="xw-map">
      <div class="xw-map-head">
        <Levels view={view} />
        {view.zoom.value && (
          <button
            type="button"
            class="xw-link"
            onClick={() => {
              view.zoom.value = null;
            }}
          >
            whole map
          </button>
        )}
      </div>
      <div class="xw-map-body">
        <MapPlot view={view} axes={axes} />
        <Reading view={view} axes={axes} />
      </div>
      <p class="xw-legend-note">
        {formatCount(open)} of {formatCount(store.size.value || columns.n)} examples{shown && `, ${shown}`} ·{" "}
        {AXES[axes[0]].title}: {AXES[axes[0]].means} · {AXES[axes[1]].title}: {AXES[axes[1]].means} · rings: the
        proponents and opponents on show
      </p>
      <Boxed view={view} />
    </div>
  );
}
