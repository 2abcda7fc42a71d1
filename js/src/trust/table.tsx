// Everything the charts show, as tables.

import { namedLines } from "./curves";
import { readingAt } from "./line";
import type { TrustStore } from "./store";
import type { Control, Layers, Lines, Removal } from "./traits";
import { formatHeight, formatLikeness, lineTitle, percentOf, REMOVAL_WORDS, REMOVALS } from "./words";

const ROWS = 11;

function CurveTable({ removal, lines, unit }: { removal: Removal; lines: Lines; unit: string }) {
  const named = namedLines(lines).reverse();
  if (named.length === 0) return null;
  const { title, axis } = REMOVAL_WORDS[removal];
  return (
    <table class="xw-table">
      <caption class="xw-table-caption">
        {title}: <bdi>{unit}</bdi>
      </caption>
      <thead>
        <tr>
          <th scope="col">{axis}</th>
          {named.map(([key, line]) => (
            <th key={key} scope="col" class="xw-cell-number">
              {lineTitle(key, line.tries)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Array.from({ length: ROWS }, (_, row) => row / (ROWS - 1)).map((share) => (
          <tr key={share}>
            <th scope="row">{percentOf(share)}</th>
            {named.map(([key, line]) => {
              const { y, low, high } = readingAt(line, share);
              return (
                <td key={key} class="xw-cell-number">
                  {formatHeight(y)}
                  {low !== null && high !== null && ` (${formatHeight(low)} … ${formatHeight(high)})`}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface LikenessRow {
  name: string;
  rank: number | null | undefined;
  rank_absolute: number | null | undefined;
  ssim: number | null | undefined;
  output?: number | null | undefined;
}

function LikenessTable({ caption, rows, output }: { caption: string; rows: LikenessRow[]; output: boolean }) {
  if (rows.length === 0) return null;
  const columns = ["rank correlation", "of the magnitudes", "structure (SSIM)", ...(output ? ["output moved"] : [])];
  return (
    <table class="xw-table">
      <caption class="xw-table-caption">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">map</th>
          {columns.map((column) => (
            <th key={column} scope="col" class="xw-cell-number">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <tr key={index}>
            <th scope="row">
              <bdi>{row.name}</bdi>
            </th>
            <td class="xw-cell-number">{formatLikeness(row.rank)}</td>
            <td class="xw-cell-number">{formatLikeness(row.rank_absolute)}</td>
            <td class="xw-cell-number">{formatLikeness(row.ssim)}</td>
            {output && <td class="xw-cell-number">{formatLikeness(row.output)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const controlRows = (controls: readonly Control[]): LikenessRow[] =>
  controls.slice(1).map(({ title, rank, rank_absolute, ssim }) => ({ name: title, rank, rank_absolute, ssim }));

const layerRows = ({ names = [], rank = [], rank_absolute = [], ssim = [], output = [] }: Partial<Layers>) =>
  rank.map((one, index) => ({
    name: names[index] ?? "",
    rank: one,
    rank_absolute: rank_absolute[index],
    ssim: ssim[index],
    output: output[index],
  }));

export function TrustTable({ store }: { store: TrustStore }) {
  if (!store.tableOpen.value) return null;
  const { curves, controls, layers, unit } = store.trust.value;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <div class="xw-table-box" role="region" aria-label="the tests as tables" tabIndex={0}>
      {REMOVALS.map((removal) => (
        <CurveTable key={removal} removal={removal} lines={curves[removal] ?? {}} unit={unit} />
      ))}
      <LikenessTable caption="Likeness to this map" rows={controlRows(controls)} output={false} />
      <LikenessTable
        caption="Likeness to this map while the layers down to this one are random"
        rows={layerRows(layers)}
        output
      />
    </div>
  );
}
