// Methods against tests. A cell is a number with its interval; shading is the rank within its column, never a sum over
// columns. Controls, which know nothing of the model, stand apart.

import type { ComponentChildren } from "preact";
import { Toggle } from "../components/toggle";
import { formatNumber, formatSeconds } from "../lib/format";
import { ariaSort, cellOf, extentOf, notBeyond, numberOf } from "./cells";
import { MapPicture } from "./map-picture";
import type { BoardStore } from "./store";
import type { Cell, Column, Entry } from "./traits";
import { ARROW_WORDS, ARROWS, cellText, intervalText, parametersText } from "./words";

interface SortProps {
  store: BoardStore;
  by: string;
  title: string;
  children: ComponentChildren;
}

function SortButton({ store, by, title, children }: SortProps) {
  const { sort } = store;
  const mark = sort.value.by === by ? (sort.value.reverse ? "▴" : "▾") : "";
  return (
    <button type="button" class="xw-board-sort" title={title} onClick={() => store.sortBy(by)}>
      {children}
      <span class="xw-board-sorted" aria-hidden="true">
        {mark}
      </span>
    </button>
  );
}

function ColumnHead({ store, column }: { store: BoardStore; column: Column }) {
  const { name, title, direction, tells, cannot } = column;
  const explained = store.explained.value === name;
  return (
    <th scope="col" class="xw-board-column" aria-sort={ariaSort(store.sort.value, name, direction)}>
      <div class="xw-board-head">
        <SortButton store={store} by={name} title={`sort: ${ARROW_WORDS[direction]}`}>
          <bdi>{title}</bdi>
          {direction !== "none" && (
            <>
              <span class="xw-board-arrow" aria-hidden="true">
                {ARROWS[direction]}
              </span>
              <span class="xw-visually-hidden">, {ARROW_WORDS[direction]}</span>
            </>
          )}
        </SortButton>
        <button
          type="button"
          class="xw-board-about"
          aria-expanded={explained}
          aria-label={`what ${title} tells`}
          title={`${tells}\nCannot tell: ${cannot}`}
          onClick={() => {
            store.explained.value = explained ? null : name;
          }}
        >
          i
        </button>
      </div>
    </th>
  );
}

/** What a test tells and what it cannot, with its settings and its source. */
export function ColumnNote({ store }: { store: BoardStore }) {
  const column = store.explained.value === null ? undefined : store.column(store.explained.value);
  if (!column) return null;
  const settings = parametersText(column.parameters);
  return (
    <div class="xw-board-note" role="note" aria-label={`about ${column.title}`}>
      <p>
        <strong>
          <bdi>{column.title}</bdi>
        </strong>
        {`: ${ARROW_WORDS[column.direction]}. `}
        {column.summary}
      </p>
      <dl class="xw-board-tells">
        <dt>tells</dt>
        <dd>{column.tells}</dd>
        <dt>cannot tell</dt>
        <dd>{column.cannot}</dd>
        {settings && (
          <>
            <dt>settings</dt>
            <dd>{settings}</dd>
          </>
        )}
        <dt>source</dt>
        <dd class="xw-quiet">{column.reference}</dd>
      </dl>
    </div>
  );
}

interface IntervalProps {
  cell: Cell;
  extent: readonly [low: number, high: number];
}

/** Where the value lies among the column's, as a dot; its interval as a bar through it. */
function Interval({ cell, extent: [low, high] }: IntervalProps) {
  const place = (value: number) => 100 * Math.min(Math.max((value - low) / (high - low), 0), 1);
  const [from, to] = cell.interval ?? [];
  return (
    <span class="xw-board-track" aria-hidden="true">
      {from !== undefined && to !== undefined && (
        <span class="xw-board-interval" style={{ left: `${place(from)}%`, width: `${place(to) - place(from)}%` }} />
      )}
      <span class="xw-board-dot" style={{ left: `${place(cell.value ?? low)}%` }} />
    </span>
  );
}

function waiting(store: BoardStore): string {
  return store.running.value ? "…" : "–";
}

interface CellProps {
  store: BoardStore;
  entry: Entry;
  column: Column;
  extent: readonly [low: number, high: number] | null;
}

function Value({ store, entry, column, extent }: CellProps) {
  const cell = cellOf(store.cells.value, entry.key, column.name);
  if (!cell) return <span class="xw-quiet">{entry.error.title ? "–" : waiting(store)}</span>;
  if (cell.error.title) return <span class="xw-board-failed">failed</span>;
  if (cell.value === null) return <span class="xw-quiet">n/a</span>;
  const close =
    entry.kind === "control" ? null : notBeyond(store.cells.value, column, entry.key, store.shownControls.value);
  return (
    <>
      <span class="xw-board-value">
        {close && (
          <span
            class="xw-board-chance"
            data-worse={close.worse}
            title={
              close.worse
                ? `no better than the control “${close.control.title}”`
                : `its interval overlaps that of the control “${close.control.title}”`
            }
          >
            {close.worse ? "≤" : "≈"}
            <span class="xw-visually-hidden">
              {close.worse ? "no better than" : "hardly better than"} {close.control.title}
            </span>
          </span>
        )}
        {formatNumber(cell.value)}
      </span>
      {extent && <Interval cell={cell} extent={extent} />}
    </>
  );
}

function CellBox({ store, entry, column, extent }: CellProps) {
  const cell = cellOf(store.cells.value, entry.key, column.name);
  const rank = store.ranks.value.get(column.name)?.get(entry.key);
  const count = store.ranks.value.get(column.name)?.size ?? 0;
  const strength = rank && count > 1 && entry.kind !== "control" ? 1 - (rank - 1) / (count - 1) : 0;
  const opened = store.opened.value;
  const at = store.cursor.value;
  const isOpen = opened?.entry === entry.key && opened.column === column.name && store.tab.value === "curves";
  const first = store.shown.value[0]?.key === entry.key && store.shownColumns.value[0]?.name === column.name;
  const reachable = at ? at.entry === entry.key && at.column === column.name : first;
  const text = cellText(store, entry, column, cell);
  return (
    <td class="xw-board-cell" data-partial={cell !== undefined && !cell.final} data-open={isOpen}>
      <button
        type="button"
        class="xw-board-open"
        style={{ "--xw-rank": strength.toFixed(3) }}
        data-ranked={strength > 0}
        data-cell={`${entry.key}/${column.name}`}
        tabIndex={reachable ? 0 : -1}
        disabled={!cell}
        aria-label={text}
        aria-pressed={isOpen}
        title={
          cell?.error.title ||
          [cell?.interval && `95 % interval ${intervalText(cell)}`, ...(cell?.notes ?? [])].filter(Boolean).join(" · ")
        }
        onFocus={() => {
          store.cursor.value = { entry: entry.key, column: column.name };
        }}
        onClick={() => store.openCell(entry.key, column.name)}
      >
        <Value store={store} entry={entry} column={column} extent={extent} />
      </button>
    </td>
  );
}

function RowHead({ store, entry }: { store: BoardStore; entry: Entry }) {
  const map = store.drawn.value.get(entry.key);
  const picked = store.selection.value.includes(entry.key);
  const settings = parametersText(entry.parameters);
  const about = [entry.summary, settings, entry.reference].filter(Boolean).join("\n");
  return (
    <th scope="row" class="xw-board-row">
      <label class="xw-board-pick" title={about}>
        <input
          type="checkbox"
          class="xw-checkbox"
          aria-label={`pick ${entry.title}`}
          checked={picked}
          onChange={() => store.toggle(entry.key)}
        />
        {store.medium.value === "image" && (
          <span class="xw-board-thumb" aria-hidden="true">
            {map && <MapPicture store={store} map={map} bare />}
          </span>
        )}
        <span class="xw-board-name">
          <bdi>{entry.title}</bdi>
          {entry.error.title && <span class="xw-board-failed"> failed</span>}
        </span>
      </label>
    </th>
  );
}

interface RowsProps {
  store: BoardStore;
  entries: readonly Entry[];
  extents: ReadonlyMap<string, readonly [number, number] | null>;
}

function Rows({ store, entries, extents }: RowsProps) {
  return (
    <>
      {entries.map((entry) => (
        <tr key={entry.key} data-picked={store.selection.value.includes(entry.key)}>
          <RowHead store={store} entry={entry} />
          {store.shownColumns.value.map((column) => (
            <CellBox
              key={column.name}
              store={store}
              entry={entry}
              column={column}
              extent={extents.get(column.name) ?? null}
            />
          ))}
          <td class="xw-board-cost xw-number">{entry.seconds === null ? "" : formatSeconds(entry.seconds)}</td>
        </tr>
      ))}
    </>
  );
}

export function BoardTable({ store }: { store: BoardStore }) {
  const columns = store.shownColumns.value;
  const extents = new Map(
    columns.map(({ name }) => [name, extentOf(store.cells.value, name, store.shown.value)] as const),
  );
  const controls = store.shownControls.value;
  const chance = store.shownMethods.value.some(({ key }) =>
    columns.some(
      (column) =>
        numberOf(store.cells.value, key, column.name) !== null && notBeyond(store.cells.value, column, key, controls),
    ),
  );
  return (
    <div>
      <div class="xw-board-scroll" data-xw-map="">
        <table class="xw-board-table">
          <caption class="xw-visually-hidden">{store.caption.value}</caption>
          <thead>
            <tr>
              <th scope="col" class="xw-board-corner" aria-sort={ariaSort(store.sort.value, "title", "title")}>
                <SortButton store={store} by="title" title="sort by name">
                  Method
                </SortButton>
              </th>
              {columns.map((column) => (
                <ColumnHead key={column.name} store={store} column={column} />
              ))}
              <th scope="col" class="xw-board-cost" aria-sort={ariaSort(store.sort.value, "seconds", "lower")}>
                <SortButton store={store} by="seconds" title="sort by the time the explanations took">
                  Time
                </SortButton>
              </th>
            </tr>
          </thead>
          <tbody>
            <Rows store={store} entries={store.shownMethods.value} extents={extents} />
          </tbody>
          {controls.length > 0 && (
            <tbody class="xw-board-controls">
              <tr>
                <th scope="rowgroup" colSpan={columns.length + 2} class="xw-board-group">
                  <span>Controls: maps that know nothing of the model</span>
                </th>
              </tr>
              <Rows store={store} entries={controls} extents={extents} />
            </tbody>
          )}
        </table>
      </div>
      <div class="xw-board-key">
        <p>
          <span class="xw-board-key-ranks" aria-hidden="true" /> rank within its column only; columns measure different
          things and are not to be added up
          {chance && " · ≤ no better than a control, ≈ interval overlaps a control's"}
        </p>
        <Toggle open={store.columnsOpen} title="which rows and columns are shown (d)" text="Rows & columns" />
      </div>
    </div>
  );
}
