// The curves as a table and the run as JSON, as files.

import { quoted } from "../lib/csv";
import type { Field, Run } from "./run";
import type { PathStore } from "./store";
import { questionOf } from "./words";

/** One line per computed node: nothing is interpolated. */
export function csvOf(
  { mode, alphas, F, C, prob }: Pick<Run, "mode" | "alphas" | "F" | "C" | "prob">,
  title: string,
): string {
  const hasProbability = prob.length > 0;
  const lines = [
    `# ${quoted(title)}`,
    [mode === "path" ? "alpha" : "samples", "F", "C", "gap", ...(hasProbability ? ["probability"] : [])].join(","),
  ];
  alphas.forEach((alpha, index) => {
    const change = F[index] ?? 0;
    const sum = C[index] ?? 0;
    lines.push([alpha, change, sum, sum - change, ...(hasProbability ? [prob[index]] : [])].join(","));
  });
  return `${lines.join("\n")}\n`;
}

function rowsOf({ values, width, height }: Field): number[][] {
  return Array.from({ length: height }, (_, y) => [...values.subarray(y * width, (y + 1) * width)]);
}

export function jsonOf(store: PathStore, run: Run): string {
  const { key, mode, alphas, F, C, prob, scores, gaps, facts, notices, caption, total } = run;
  const text = store.medium.value === "text";
  return JSON.stringify(
    {
      question: { ...store.question.value, text: questionOf(store) },
      params: store.params.value,
      run: { key, mode, alphas, F, C, prob, scores, gaps, facts, notices, caption },
      baseline: store.baseline.value,
      ...(text && { tokens: store.tokens.value }),
      total: total && rowsOf(total),
      view: {
        alpha: store.alpha.value,
        window: store.window.value,
        cumulative: store.cumulative.value,
        frame_scale: store.frameScale.value,
        display: store.display.value,
      },
      classes: store.classes.value,
      provenance: store.provenance.value,
    },
    null,
    1,
  );
}
