// What leaves a scoreboard: the table as CSV, Markdown and LaTeX, everything with its provenance as JSON, figures.

import type { Copy, Format } from "../components/export-menu";
import { quoted } from "../lib/csv";
import { formatNumber } from "../lib/format";
import { fileFromKernel } from "../lib/kernel-file";
import { latexNumber, latexText } from "../lib/latex";
import { cellOf, numberOf } from "./cells";
import { figurePng, figureSvg } from "./export-figure";
import type { BoardStore } from "./store";
import type { Column, Entry } from "./traits";
import { ARROWS, boardQuestion } from "./words";

/** As the reader sees them: the order and the columns on show. */
export function csvOf(store: BoardStore): string {
  const columns = store.shownColumns.value;
  const heads = columns.flatMap(({ name }) => [name, `${name}_low`, `${name}_high`]);
  const rows = store.shown.value.map((entry) => [
    quoted(entry.title),
    entry.kind,
    ...columns.flatMap(({ name }) => {
      const cell = cellOf(store.cells.value, entry.key, name);
      const [low, high] = cell?.interval ?? ["", ""];
      return [numberOf(store.cells.value, entry.key, name) ?? "", low, high];
    }),
    entry.seconds ?? "",
  ]);
  const lines = [["method", "kind", ...heads, "seconds"], ...rows].map((row) => row.join(","));
  return `# ${quoted(boardQuestion(store))}\n${lines.join("\n")}\n`;
}

/** Only where a column has a better end, and among methods. */
function isBest(store: BoardStore, entry: Entry, column: Column): boolean {
  return store.ranks.value.get(column.name)?.get(entry.key) === 1;
}

const titled = (column: Column) => [column.title, ARROWS[column.direction]].filter(Boolean).join(" ");

export function markdownOf(store: BoardStore): string {
  const columns = store.shownColumns.value;
  // also of what a page would take for an element
  const escaped = (text: string) =>
    text.replace(/[\\|*_`[\]<&]/g, (sign) => ({ "<": "&lt;", "&": "&amp;" })[sign] ?? `\\${sign}`).replace(/\s+/g, " ");
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const body = store.shown.value.map((entry) =>
    row([
      escaped(entry.title),
      ...columns.map((column) => {
        const value = numberOf(store.cells.value, entry.key, column.name);
        if (value === null) return "";
        const text = formatNumber(value);
        return isBest(store, entry, column) ? `**${text}**` : text;
      }),
    ]),
  );
  const rule = row(["---", ...columns.map(() => "---:")]);
  return [row(["Method", ...columns.map((column) => escaped(titled(column)))]), rule, ...body, ""].join("\n");
}

const LATEX_ARROWS = { higher: " $\\uparrow$", lower: " $\\downarrow$", none: "" } as const;

/** For \usepackage{booktabs}. */
export function latexOf(store: BoardStore): string {
  const columns = store.shownColumns.value;
  const rowOf = (entry: Entry) =>
    [
      latexText(entry.title),
      ...columns.map((column) => {
        const value = numberOf(store.cells.value, entry.key, column.name);
        const text = latexNumber(value ?? Number.NaN);
        return isBest(store, entry, column) ? `\\textbf{${text}}` : text;
      }),
    ].join(" & ");
  const heads = columns.map((column) => latexText(column.title) + LATEX_ARROWS[column.direction]);
  const controls = store.shownControls.value.map((entry) => `${rowOf(entry)} \\\\`);
  return [
    `% ${boardQuestion(store).replace(/\s+/g, " ")}`,
    `\\begin{tabular}{l${"r".repeat(columns.length)}}`,
    "\\toprule",
    `${["Method", ...heads].join(" & ")} \\\\`,
    "\\midrule",
    ...store.shownMethods.value.map((entry) => `${rowOf(entry)} \\\\`),
    ...(controls.length > 0 ? ["\\midrule", ...controls] : []),
    "\\bottomrule",
    "\\end{tabular}",
    "",
  ].join("\n");
}

export function jsonOf(store: BoardStore): string {
  const lines = store.lines.value.map(({ each, mean, offset, scale, inputs, ...line }) => ({
    ...line,
    mean: [...mean].map((value) => (Number.isFinite(value) ? Number(value.toPrecision(6)) : null)),
  }));
  return JSON.stringify(
    {
      question: boardQuestion(store),
      inputs: store.inputs.value,
      methods: store.entries.value,
      tests: store.columns.value,
      cells: store.cells.value,
      curves: lines,
      agreement: store.agreement.value,
      picked: store.selection.value,
      caption: store.caption.value,
      provenance: store.provenance.value,
    },
    null,
    1,
  );
}

export function formatsOf(store: BoardStore): Format[] {
  const blob = (text: string, type: string) => new Blob([text], { type });
  return [
    { name: "png", title: "PNG figure", make: async () => figurePng(store) },
    { name: "svg", title: "SVG figure", make: () => blob(figureSvg(store).markup, "image/svg+xml") },
    { name: "csv", title: "CSV of the table", make: () => blob(csvOf(store), "text/csv") },
    { name: "md", title: "Markdown table", make: () => blob(markdownOf(store), "text/markdown") },
    { name: "tex", title: "LaTeX table", make: () => blob(latexOf(store), "text/x-tex") },
    { name: "json", title: "JSON with curves and provenance", make: () => blob(jsonOf(store), "application/json") },
    {
      name: "html",
      title: "HTML page that works offline",
      live: true,
      make: () => fileFromKernel(store.bridge, "html"),
    },
  ];
}

export function copiesOf(store: BoardStore): Copy[] {
  return [
    { title: () => "Copy as Markdown", make: () => markdownOf(store) },
    { title: () => "Copy as LaTeX", make: () => latexOf(store) },
  ];
}
