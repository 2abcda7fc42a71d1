// The same data as a table: every unit with its value, in the order of the text, of value or of rank.

import { useState } from "preact/hooks";
import { formatCount, formatPercent } from "../lib/format";
import { readable } from "../lib/visible";
import type { Unit } from "./groups";
import type { TokenStore } from "./store";
import { countOfUnits, unitWord, valueText, verbOf } from "./words";

export const TABLE_ROWS = 100;

export type Column = "text" | "value" | "share" | "rank";

export interface Order {
  column: Column;
  descending: boolean;
}

/** Units that are shown and have a value, in order; what has none comes last. */
export function sorted(units: readonly Unit[], { column, descending }: Order): Unit[] {
  const of: Record<Column, (unit: Unit) => number> = {
    text: (unit) => unit.index,
    value: (unit) => unit.value,
    share: (unit) => unit.share,
    rank: (unit) => unit.rank || Number.POSITIVE_INFINITY,
  };
  const sign = descending ? -1 : 1;
  const key = (unit: Unit) => (Number.isNaN(of[column](unit)) ? Number.POSITIVE_INFINITY : sign * of[column](unit));
  return [...units].sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    return left === right ? a.index - b.index : left < right ? -1 : 1;
  });
}

const DESCENDING_FIRST: ReadonlySet<Column> = new Set(["value", "share"]);

export function TokenTable({ store }: { store: TokenStore }) {
  const [order, setOrder] = useState<Order>({ column: "rank", descending: false });
  if (!store.tableOpen.value || !store.result.value) return null;
  const { mode } = store.granularity.value;
  const unsigned = store.unsigned.value;
  const units = store.units.value.all.filter((unit) => store.isShown(unit));
  const rows = sorted(units, order).slice(0, TABLE_ROWS);
  const here = store.cursor.value ? store.unitOf(store.cursor.value.token)?.index : undefined;
  const headings: [Column, string][] = [
    ["rank", "rank"],
    ["text", unitWord(mode)],
    ["value", store.unit.value ? `value (${store.unit.value})` : "value"],
    ["share", "of Σ|a|"],
  ];
  const sortBy = (column: Column) =>
    setOrder({ column, descending: order.column === column ? !order.descending : DESCENDING_FIRST.has(column) });
  return (
    <div class="xw-table-box">
      <table class="xw-table xw-token-table">
        <caption class="xw-table-caption">
          {units.length > rows.length && `${formatCount(rows.length)} of `}
          {countOfUnits(units.length, mode)}
          {units.length > rows.length && "; the CSV file has all"}. A heading sorts, a click on the text goes there.
        </caption>
        <thead>
          <tr>
            {headings.map(([column, title]) => {
              const direction = order.column !== column ? undefined : order.descending ? "descending" : "ascending";
              return (
                <th key={column} scope="col" class={column === "text" ? "" : "xw-cell-number"} aria-sort={direction}>
                  <button type="button" class="xw-sort" onClick={() => sortBy(column)}>
                    {title}
                    <span class="xw-sort-mark" aria-hidden="true">
                      {direction && (order.descending ? "▾" : "▴")}
                    </span>
                  </button>
                </th>
              );
            })}
            <th scope="col">says</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((unit) => (
            <tr key={unit.index} aria-current={unit.index === here ? "true" : undefined}>
              <td class="xw-cell-number">{unit.rank || "–"}</td>
              <td class="xw-cell-text" dir="auto">
                <button type="button" class="xw-link" onClick={() => store.goTo(unit.members[0] ?? 0, false)}>
                  <bdi>{readable(store.textOf(unit))}</bdi>
                </button>
              </td>
              <td class="xw-cell-number">{valueText(unit.value, unsigned)}</td>
              <td class="xw-cell-number">{unit.rank ? formatPercent(unit.share) : "–"}</td>
              <td class="xw-reading" data-direction={unsigned ? 0 : Math.sign(unit.value || 0)}>
                {verbOf(unit.value, unsigned)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
