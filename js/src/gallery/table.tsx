// The same data as a table, in the order on show: both sides of the candidates, or the triage.

import { formatCount, formatNumber, formatSigned } from "../lib/format";
import { readable } from "../lib/visible";
import { type ExportRecord, recordsOf } from "./indices";
import type { GalleryStore } from "./store";
import { excerpt } from "./words";

const MOST_ROWS = 100;

const TITLES: readonly (readonly [name: keyof ExportRecord, title: string])[] = [
  ["id", "example"],
  ["given", "labelled"],
  ["predicted", "predicted"],
  ["confidence", "p"],
  ["score", "score"],
  ["self_influence", "self-influence"],
  ["verdict", "verdict"],
  ["new_label", "new label"],
];

/** Proponents, then opponents; elsewhere the triage. */
export function tableIds(store: GalleryStore): number[] {
  if (store.tab.value === "influence") {
    const { proponents, opponents } = store.filtered.value;
    return [proponents, opponents].flatMap((side) => side.slice(0, MOST_ROWS / 2).map(({ id }) => id));
  }
  const columns = store.columns.value;
  return Array.from(store.triage.value.subarray(0, MOST_ROWS), (row) => columns?.idOf(row) ?? row);
}

function Cell({ name, value }: { name: string; value: string | number | null }) {
  if (typeof value !== "number") {
    return (
      <td>
        <bdi>{value ?? "–"}</bdi>
      </td>
    );
  }
  const signed = name === "score";
  return (
    <td class="xw-cell-number xw-reading" data-direction={signed ? Math.sign(value) : 0}>
      {signed ? formatSigned(value) : formatNumber(value)}
    </td>
  );
}

export function GalleryTable({ store }: { store: GalleryStore }) {
  if (!store.tableOpen.value) return null;
  const records = recordsOf(store, tableIds(store));
  const shown = TITLES.filter(([name]) => records.some((record) => record[name] !== null && record[name] !== ""));
  const isText = store.medium.value === "text";
  return (
    <div class="xw-table-box">
      <table class="xw-table">
        <caption class="xw-table-caption">
          {store.tab.value === "influence" ? "Proponents, then opponents" : "In the order of the triage"}: at most{" "}
          {formatCount(MOST_ROWS)}, the CSV file has all. A click on a number opens the example.
        </caption>
        <thead>
          <tr>
            {shown.map(([name, title]) => (
              <th key={name} scope="col" class={typeof records[0]?.[name] === "number" ? "xw-cell-number" : ""}>
                {title}
              </th>
            ))}
            {isText && <th scope="col">text</th>}
          </tr>
        </thead>
        <tbody>
          {records.map((record) => (
            <tr key={record.id} aria-current={record.id === store.detail.value}>
              {shown.map(([name]) =>
                name === "id" ? (
                  <td key={name} class="xw-cell-number">
                    <button type="button" class="xw-link" onClick={() => store.showDetail(record.id)}>
                      {record.id}
                    </button>
                  </td>
                ) : (
                  <Cell key={name} name={name} value={record[name]} />
                ),
              )}
              {isText && (
                <td>
                  <bdi>{readable(excerpt(store.example(record.id).text ?? "…", 80))}</bdi>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
