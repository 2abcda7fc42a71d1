// The curves as a table: eleven places from the baseline to the input.

import { formatPercent, formatSigned } from "../lib/format";
import { curveAt } from "./run";
import type { PathStore } from "./store";
import type { RunTraits } from "./traits";
import { formatPlace } from "./words";

const ROWS = 11;

export interface CurveRow {
  at: number;
  F: number;
  C: number;
  p: number | null;
}

export function curveRows({ alphas, F, C, prob }: Pick<RunTraits, "alphas" | "F" | "C" | "prob">): CurveRow[] {
  const first = alphas[0] ?? 0;
  const last = alphas.at(-1) ?? 0;
  return Array.from({ length: ROWS }, (_, row) => {
    const at = first + ((last - first) * row) / (ROWS - 1);
    return {
      at,
      F: curveAt(alphas, F, at),
      C: curveAt(alphas, C, at),
      p: prob.length > 0 ? curveAt(alphas, prob, at) : null,
    };
  });
}

export function CurveTable({ store }: { store: PathStore }) {
  const run = store.run.value;
  if (!store.tableOpen.value || !run) return null;
  const mode = store.mode.value;
  const { unit } = run.facts;
  const headings = [
    mode === "path" ? "α" : "samples",
    "change of the output F",
    "accumulated C",
    "C − F",
    ...(run.prob.length > 0 ? ["probability"] : []),
  ];
  return (
    <div class="xw-table-box">
      <table class="xw-table">
        <caption class="xw-table-caption">
          The curves at {ROWS} places{unit && `, in ${unit}`}; between computed points they are straight
        </caption>
        <thead>
          <tr>
            {headings.map((heading) => (
              <th key={heading} scope="col" class="xw-cell-number">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {curveRows(run).map(({ at, F, C, p }) => (
            <tr key={at}>
              <th scope="row" class="xw-cell-number">
                {formatPlace(mode, at)}
              </th>
              <td class="xw-cell-number">{formatSigned(F)}</td>
              <td class="xw-cell-number">{formatSigned(C)}</td>
              <td class="xw-cell-number">{formatSigned(C - F)}</td>
              {p !== null && <td class="xw-cell-number">{formatPercent(p)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
