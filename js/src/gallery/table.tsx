// The same data as a table: the candidates with their scores, or the training set in the order of the triage.

import { useState } from "preact/hooks";
import { formatCount, formatNumber, formatScore, formatSigned } from "../lib/format";
import { readable } from "../lib/visible";
import type { Ranked } from "./ranking";
import type { GalleryStore } from "./store";
import type { FieldName } from "./traits";
import { excerpt } from "./words";

export const TABLE_ROWS = 100;

export type Column = "rank" | "id" | "given" | "predicted" | "conf" | "score" | "self" | "verdict";

interface Row {
  id: number;
  /** 1 for the strongest of its side, or the first of the triage. */
  rank: number;
  score: number | null;
  given: string;
  predicted: string;
  conf: number | null;
  self: number | null;
  verdict: string;
}

const TITLES: Readonly<Record<Column, string>> = {
  rank: "rank",
  id: "example",
  given: "labelled",
  predicted: "predicted",
  conf: "p",
  score: "score",
  self: "self-influence",
  verdict: "verdict",
};

const NUMBERS: ReadonlySet<Column> = new Set<Column>(["rank", "id", "conf", "score", "self"]);
const DESCENDING_FIRST: ReadonlySet<Column> = new Set<Column>(["conf", "score", "self"]);

function rowOf(store: GalleryStore, id: number, rank: number, score: number | null): Row {
  const { y, yhat, conf, self } = store.example(id);
  return {
    id,
    rank,
    score,
    given: y === null ? "" : store.className(y),
    predicted: yhat === null ? "" : store.className(yhat),
    conf,
    self,
    verdict: store.verdicts.value[id]?.verdict ?? "",
  };
}

/** What the table is about, before it is sorted: both sides, or the leading rows of the triage. */
export function tableRows(store: GalleryStore): { rows: Row[]; total: number } {
  if (store.tab.value === "influence") {
    const { proponents, opponents } = store.filtered.value;
    const rows = ({ id, rank, score }: Ranked) => rowOf(store, id, rank, score);
    const half = TABLE_ROWS / 2;
    return {
      rows: [...proponents.slice(0, half).map(rows), ...opponents.slice(0, half).map(rows)],
      total: proponents.length + opponents.length,
    };
  }
  const { columns, triage } = store;
  const first = Array.from(triage.value.subarray(0, TABLE_ROWS));
  return {
    rows: first.map((row, place) => {
      const id = columns.value?.idOf(row) ?? row;
      return rowOf(store, id, place + 1, store.scoreOf(id));
    }),
    total: triage.value.length,
  };
}

export interface Order {
  column: Column;
  descending: boolean;
}

/** Equal ones stay as they were; what is missing comes last. */
export function sortedRows(rows: readonly Row[], order: Order | null): Row[] {
  if (!order) return [...rows];
  const sign = order.descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [left, right] = [a[order.column], b[order.column]];
    if (left === right) return 0;
    if (left === null || left === "") return 1;
    if (right === null || right === "") return -1;
    return left < right ? -sign : sign;
  });
}

const EXTRA: readonly { name: FieldName; title: string }[] = [
  { name: "confidence", title: "mean p" },
  { name: "variability", title: "variability" },
  { name: "forgetting", title: "forgotten" },
];

function shownText(row: Row, column: Column): string {
  const value = row[column];
  if (value === null || value === "") return "–";
  if (column === "score") return formatSigned(row.score ?? 0);
  if (column === "conf") return formatScore(row.conf ?? 0);
  return typeof value === "number" ? (column === "self" ? formatNumber(value) : String(value)) : value;
}

export function GalleryTable({ store }: { store: GalleryStore }) {
  const [order, setOrder] = useState<Order | null>(null);
  if (!store.tableOpen.value || !store.candidates.value) return null;
  const influence = store.tab.value === "influence";
  const { rows, total } = tableRows(store);
  const columns = (Object.keys(TITLES) as Column[]).filter((column) =>
    rows.some((row) => shownText(row, column) !== "–"),
  );
  const extra = influence ? [] : EXTRA.filter(({ name }) => store.columns.value?.fields.has(name));
  const sortBy = (column: Column) =>
    setOrder({ column, descending: order?.column === column ? !order.descending : DESCENDING_FIRST.has(column) });
  return (
    <div class="xw-table-box">
      <table class="xw-table xw-gallery-table">
        <caption class="xw-table-caption">
          {influence ? "Proponents, then opponents" : "In the order of the triage"}
          {total > rows.length && `: ${formatCount(rows.length)} of ${formatCount(total)}; the CSV file has all`}. A
          heading sorts, a click on a number opens the example.
        </caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const direction = order?.column !== column ? undefined : order.descending ? "descending" : "ascending";
              return (
                <th key={column} scope="col" class={NUMBERS.has(column) ? "xw-cell-number" : ""} aria-sort={direction}>
                  <button type="button" class="xw-sort" onClick={() => sortBy(column)}>
                    {TITLES[column]}
                    <span class="xw-sort-mark" aria-hidden="true">
                      {direction && (order?.descending ? "▾" : "▴")}
                    </span>
                  </button>
                </th>
              );
            })}
            {extra.map(({ name, title }) => (
              <th key={name} scope="col" class="xw-cell-number">
                {title}
              </th>
            ))}
            {store.medium.value === "text" && <th scope="col">text</th>}
          </tr>
        </thead>
        <tbody>
          {sortedRows(rows, order).map((row) => (
            <tr key={row.id} aria-current={row.id === store.detail.value ? "true" : undefined}>
              {columns.map((column) => (
                <td
                  key={column}
                  class={column === "score" ? "xw-cell-number xw-reading" : NUMBERS.has(column) ? "xw-cell-number" : ""}
                  data-direction={column === "score" ? Math.sign(row.score ?? 0) : undefined}
                  data-differs={column === "predicted" && row.given !== row.predicted}
                >
                  {column === "id" ? (
                    <button type="button" class="xw-link" onClick={() => store.showDetail(row.id)}>
                      {row.id}
                    </button>
                  ) : (
                    <bdi>{shownText(row, column)}</bdi>
                  )}
                </td>
              ))}
              {extra.map(({ name }) => {
                const known = store.columns.value;
                const value = known?.value(name, known.rowOf(row.id)) ?? null;
                return (
                  <td key={name} class="xw-cell-number">
                    {value === null ? "–" : formatNumber(value)}
                  </td>
                );
              })}
              {store.medium.value === "text" && (
                <td class="xw-cell-text">
                  <bdi>{readable(excerpt(store.example(row.id).text ?? "…", 80))}</bdi>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
