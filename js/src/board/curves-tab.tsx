// What stands behind one column: its curves, and its value for every input. A cell of the table opens it.

import { useMemo, useState } from "preact/hooks";
import { Menu } from "../components/menu";
import { ErrorText } from "../components/messages";
import { Segmented } from "../components/segmented";
import { formatNumber } from "../lib/format";
import { cellOf } from "./cells";
import { Chart, Key } from "./chart";
import { curveNames } from "./lines";
import { Spread } from "./spread";
import type { BoardStore } from "./store";
import type { Column, Entry } from "./traits";
import { ARROW_WORDS, intervalText, parametersText } from "./words";

/** Charts beside each other: a test's own curve and what belongs to it. */
const MOST_CHARTS = 4;

/** The column that is open; before a cell was, the first. */
export function openColumn(store: BoardStore): Column | undefined {
  return store.column(store.opened.value?.column ?? "") ?? store.shownColumns.value[0];
}

/** Those drawn: the picked ones and the one whose cell is open, beside the controls; all while none is picked. */
export function drawnEntries(store: BoardStore): readonly Entry[] {
  const picked = store.selection.value;
  const opened = store.opened.value?.entry;
  if (!store.shownMethods.value.some(({ key }) => picked.includes(key))) return store.shown.value;
  return store.shown.value.filter(({ key, kind }) => kind === "control" || picked.includes(key) || key === opened);
}

function Facts({ store, column, entry }: { store: BoardStore; column: Column; entry: Entry }) {
  const cell = cellOf(store.cells.value, entry.key, column.name);
  if (!cell) return null;
  if (cell.error.title) return <ErrorText failure={cell.error} />;
  return (
    <p class="xw-board-fact">
      <strong>
        <bdi>{entry.title}</bdi>
      </strong>
      {cell.value === null ? ": not defined" : `: ${formatNumber(cell.value)}`}
      {cell.interval && <span class="xw-quiet"> (95 % interval {intervalText(cell)})</span>}
      <span class="xw-quiet">
        {`, ${ARROW_WORDS[column.direction]}. ${column.tells} `}
        {cell.notes.join(". ")}
      </span>
    </p>
  );
}

export function CurvesTab({ store }: { store: BoardStore }) {
  const column = openColumn(store);
  const entries = drawnEntries(store);
  const lines = store.lines.value;
  const charts = useMemo(() => {
    const order = new Map(entries.map(({ key }, at) => [key, at]));
    return curveNames(lines, column?.name ?? "")
      .slice(0, MOST_CHARTS)
      .map((name) => ({
        name,
        lines: lines
          .filter((line) => line.name === name && line.columns.includes(column?.name ?? "") && order.has(line.entry))
          .sort((a, b) => (order.get(a.entry) ?? 0) - (order.get(b.entry) ?? 0)),
      }))
      .filter((chart) => chart.lines.length > 0);
  }, [lines, column, entries]);
  const [reading, setReading] = useState<{ name: string; place: number } | null>(null);
  if (!column) return <p class="xw-quiet">There is no test on show.</p>;
  const chosen = store.opened.value?.entry ?? "";
  const entry = store.entry(chosen);
  const several = store.inputs.value.length > 1;
  const input = store.oneInput.value && several ? store.input.value : null;
  const read = charts.find(({ name }) => name === reading?.name);
  const drawn = entries.filter(({ key }) => charts.some((one) => one.lines.some((line) => line.entry === key)));
  const settings = parametersText(column.parameters);
  return (
    <>
      <div class="xw-controls xw-board-display">
        <div class="xw-field">
          <span class="xw-label" aria-hidden="true">
            Test
          </span>
          <Menu
            label="test on show"
            value={column.name}
            items={store.shownColumns.value.map(({ name, title }) => ({ value: name, title }))}
            onChoose={(name) => store.openCell(chosen || (entries[0]?.key ?? ""), name)}
          />
        </div>
        {several && charts.length > 0 && (
          <Segmented<"mean" | "one">
            label="Curves"
            name={`${store.uid}-over`}
            value={store.oneInput.value ? "one" : "mean"}
            segments={[
              { value: "mean", text: "mean of all inputs", title: "the mean over all inputs, with its 95 % band" },
              { value: "one", text: "the chosen input", title: "the chosen input alone" },
            ]}
            onChoose={(which) => {
              store.oneInput.value = which === "one";
            }}
          />
        )}
        {settings && <span class="xw-quiet">{settings}</span>}
        <span class="xw-quiet">
          {entries.length < store.shown.value.length
            ? "the picked methods and the controls"
            : "pick methods in the table to see fewer"}
        </span>
      </div>
      {entry && <Facts store={store} column={column} entry={entry} />}
      {charts.length > 0 && (
        <div class="xw-board-charts">
          {charts.map((one) => (
            <Chart
              key={one.name}
              store={store}
              lines={one.lines}
              input={input}
              chosen={chosen}
              title={one.name.replace(/_/g, " ")}
              place={one === read ? (reading?.place ?? null) : null}
              onRead={(place) => setReading(place === null ? null : { name: one.name, place })}
            />
          ))}
        </div>
      )}
      {charts.length > 0 && (
        <Key
          store={store}
          entries={drawn}
          lines={(read ?? charts[0])?.lines ?? []}
          input={input}
          chosen={chosen}
          place={read ? (reading?.place ?? null) : null}
        />
      )}
      <Spread store={store} column={column} entries={entries} chosen={chosen} />
    </>
  );
}
