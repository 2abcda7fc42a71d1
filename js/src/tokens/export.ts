// The values as files: tables for people, papers and programs, and everything with its provenance.

import type { Format } from "../components/export-menu";
import { quoted } from "../lib/csv";
import { fileFromKernel } from "../lib/kernel-file";
import { latexNumber, latexText } from "../lib/latex";
import { questionText } from "../lib/question-text";
import { readable } from "../lib/visible";
import { figurePng, figureSvg } from "./export-figure";
import type { TokenStore } from "./store";
import { unitWord } from "./words";

function shownUnits(store: TokenStore) {
  return store.units.value.all.filter((unit) => store.isShown(unit));
}

/** One line for each unit as the text is read now, in its order. What has no value has empty cells. */
export function csvOf(store: TokenStore): string {
  const lines = [`# ${quoted(questionText(store.about.value.question))}`, "start,end,text,value,share,rank"];
  for (const unit of shownUnits(store)) {
    const { start, end, value, share, rank } = unit;
    const numbers = rank > 0 ? [value, share, rank] : [Number.isNaN(value) ? "" : value, "", ""];
    lines.push([start, end, quoted(store.textOf(unit)), ...numbers].join(","));
  }
  return `${lines.join("\n")}\n`;
}

/** A table for \input; without packages. */
export function latexOf(store: TokenStore): string {
  const { question } = store.about.value;
  const unit = store.unit.value;
  const rows = shownUnits(store).map((one) => {
    const text = latexText(readable(store.textOf(one)));
    const share = one.rank > 0 ? `${latexNumber(100 * one.share)}\\,\\%` : "--";
    return `  ${text} & ${latexNumber(one.value)} & ${share} & ${one.rank || "--"} \\\\`;
  });
  const value = unit ? `value (${latexText(unit)})` : "value";
  return [
    "\\begin{table}",
    "  \\centering",
    `  \\caption{${latexText(questionText(question))}${store.unsigned.value ? " Values have no sign." : ""}}`,
    "  \\begin{tabular}{lrrr}",
    "  \\hline",
    `  ${unitWord(store.granularity.value.mode)} & ${value} & of $\\sum|a|$ & rank \\\\`,
    "  \\hline",
    ...rows,
    "  \\hline",
    "  \\end{tabular}",
    "\\end{table}",
    "",
  ].join("\n");
}

export function jsonOf(store: TokenStore): string {
  const { question, quality, notices, caption } = store.about.value;
  const values = store.result.value?.values;
  const number = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
  return JSON.stringify(
    {
      question: { ...question, text: questionText(question) },
      params: store.params.value,
      text: store.text.value,
      prompt_end: store.task.value === "generate" ? store.promptEnd.value : undefined,
      tokens: store.tokens.value.map(([start, end, special, surface, part], token) => ({
        start,
        end,
        special: special === 1,
        surface,
        part,
        value: number(values?.[token]),
      })),
      unit: store.unit.value,
      unsigned: store.unsigned.value,
      granularity: store.granularity.value,
      groups: shownUnits(store).map(({ start, end, members, value, share, rank }) => ({
        start,
        end,
        members,
        value: number(value),
        share,
        rank,
      })),
      steps: store.steps.value,
      selection: store.selectionSum.value && { ranges: store.selection.value, ...store.selectionSum.value },
      classes: store.classes.value,
      quality,
      notices,
      caption,
      provenance: store.provenance.value,
    },
    null,
    1,
  );
}

export function formatsOf(store: TokenStore): Format[] {
  const blob = (text: string, type: string) => new Blob([text], { type });
  return [
    {
      name: "html",
      title: "HTML page that works offline",
      live: true,
      make: () => fileFromKernel(store.bridge, "html"),
    },
    { name: "svg", title: "SVG figure", make: () => blob(figureSvg(store).markup, "image/svg+xml") },
    { name: "png", title: "PNG figure", make: () => figurePng(store) },
    { name: "tex", title: "LaTeX table", make: () => blob(latexOf(store), "text/x-tex") },
    { name: "csv", title: "CSV of the units", make: () => blob(csvOf(store), "text/csv") },
    { name: "json", title: "JSON with provenance", make: () => blob(jsonOf(store), "application/json") },
    { name: "npy", title: "NumPy array", live: true, make: () => fileFromKernel(store.bridge, "npy") },
  ];
}
