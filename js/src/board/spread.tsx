// A test input by input: a dot each, the mean with its interval. A mean alone hides the inputs on which it is otherwise.

import { formatNumber } from "../lib/format";
import { formatTicks, niceTicks } from "../lib/ticks";
import { cellOf } from "./cells";
import { strokeOf } from "./colours";
import type { BoardStore } from "./store";
import type { Column, Entry } from "./traits";

interface SpreadProps {
  store: BoardStore;
  column: Column;
  entries: readonly Entry[];
  chosen: string;
}

function extent(store: BoardStore, column: Column, entries: readonly Entry[]): [low: number, high: number] | null {
  const all = entries
    .flatMap(({ key }) => {
      const cell = cellOf(store.cells.value, key, column.name);
      return cell ? [...cell.values, ...(cell.interval ?? [])] : [];
    })
    .filter((value) => value !== null);
  if (all.length === 0) return null;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const margin = 0.04 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

export function Spread({ store, column, entries, chosen }: SpreadProps) {
  const ends = extent(store, column, entries);
  if (!ends) return null;
  const [low, high] = ends;
  const place = (value: number) => (100 * (value - low)) / (high - low);
  const ticks = niceTicks(low, high, 6);
  const texts = formatTicks(ticks);
  return (
    <figure class="xw-board-spread">
      <figcaption class="xw-board-chart-title">
        {column.title} of every input
        <span class="xw-quiet"> a dot each; the bar is the mean's 95 % interval</span>
      </figcaption>
      <div class="xw-board-spread-rows">
        {entries.map((entry) => {
          const cell = cellOf(store.cells.value, entry.key, column.name);
          const { colour } = strokeOf(store, entry);
          const known = cell?.values.map((value) => (value === null ? "not defined" : formatNumber(value))) ?? [];
          return (
            <div key={entry.key} class="xw-board-spread-row" data-chosen={entry.key === chosen}>
              <span class="xw-board-spread-name" title={entry.title}>
                <bdi>{entry.title}</bdi>
                <span class="xw-visually-hidden">: {known.join(", ") || "nothing yet"}</span>
              </span>
              <span class="xw-board-spread-track" aria-hidden="true">
                {ticks.map((tick) => (
                  <span key={tick} class="xw-board-spread-grid" style={{ left: `${place(tick)}%` }} />
                ))}
                {cell?.interval && (
                  <span
                    class="xw-board-spread-interval"
                    style={{
                      left: `${place(cell.interval[0])}%`,
                      width: `${place(cell.interval[1]) - place(cell.interval[0])}%`,
                      background: colour,
                    }}
                  />
                )}
                {cell?.values.map(
                  (value, input) =>
                    value !== null && (
                      <button
                        key={input}
                        type="button"
                        tabIndex={-1}
                        class="xw-board-spread-dot"
                        data-here={input === store.input.value}
                        title={`${store.inputs.value[input]?.label ?? input + 1}: ${formatNumber(value)}`}
                        style={{ left: `${place(value)}%`, borderColor: colour }}
                        onClick={() => store.setInput(input)}
                      />
                    ),
                )}
                {cell?.value !== undefined && cell.value !== null && (
                  <span class="xw-board-spread-mean" style={{ left: `${place(cell.value)}%`, background: colour }} />
                )}
              </span>
            </div>
          );
        })}
        <div class="xw-board-spread-row" aria-hidden="true">
          <span />
          <span class="xw-board-spread-axis">
            {ticks.map((tick, i) => (
              <span key={tick} class="xw-board-spread-tick" style={{ left: `${place(tick)}%` }}>
                {texts[i]}
              </span>
            ))}
          </span>
        </div>
      </div>
    </figure>
  );
}
