// The same data as a table: the strongest units in order.

import { formatCount, formatPercent, formatSignedPercent } from "../lib/format";
import { unitPoint } from "../lib/units";
import { readUnit, valueText } from "./reading";
import type { HeatmapStore } from "./store";

export const TABLE_ROWS = 20;

export function UnitTable({ store }: { store: HeatmapStore }) {
  const units = store.units.value;
  const ranking = store.ranking.value;
  if (!store.tableOpen.value || !units || !ranking) return null;
  const locked = store.cursor.value;
  const lockedUnit = locked ? store.unitOf(locked) : -1;
  return (
    <div class="xw-table-box">
      <table class="xw-table">
        <caption class="xw-table-caption">
          The {Math.min(TABLE_ROWS, ranking.count)} strongest of {formatCount(ranking.count)} units; a click shows one
          on the picture
        </caption>
        <thead>
          <tr>
            <th scope="col">rank</th>
            <th scope="col">where</th>
            <th scope="col">says</th>
            <th scope="col" class="xw-cell-number">
              value
            </th>
            <th scope="col" class="xw-cell-number">
              of Σ|a|
            </th>
          </tr>
        </thead>
        <tbody>
          {ranking.strongest(TABLE_ROWS).map((unit, place) => {
            const reading = readUnit(store, unit);
            if (!reading) return null;
            return (
              <tr key={unit} aria-selected={unit === lockedUnit}>
                <td class="xw-number">{place + 1}</td>
                <td>
                  <button type="button" class="xw-link" onClick={() => store.lock(unitPoint(units, unit))}>
                    {reading.place}
                  </button>
                </td>
                <td class="xw-reading" data-direction={store.signed.value ? Math.sign(reading.value) : 0}>
                  {reading.verb}
                </td>
                <td class="xw-cell-number">{valueText(store, reading.value)}</td>
                <td class="xw-cell-number">
                  {store.signed.value ? formatSignedPercent(reading.share) : formatPercent(reading.share)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
