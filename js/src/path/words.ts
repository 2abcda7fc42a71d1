// What the explorer says in words: for screen readers, captions, names and files. Pure functions of the traits.

import { formatNumber, formatPercent, formatSigned } from "../lib/format";
import type { Question } from "../lib/traits";
import { curveAt } from "./run";
import type { PathStore } from "./store";
import type { BaselineInfo, Cumulative, Mode, RunTraits } from "./traits";

type Curve = Pick<RunTraits, "alphas" | "F" | "C" | "prob" | "scores" | "gaps" | "facts">;

/** Stretches that begin before this begin at once. */
const EDGE = 0.1;

export function formatAlpha(alpha: number): string {
  return alpha.toFixed(2);
}

/** A place on the slider: on a path a share of the way, in a distribution a number of samples. */
export function formatPlace(mode: Mode, at: number): string {
  return mode === "path" ? formatAlpha(at) : `${Math.round(at)} samples`;
}

/** Percent as it is read aloud. */
function spokenPercent(share: number): string {
  return `${Math.round(100 * share)} percent`;
}

/** Which of its kind a baseline is; empty where there is only one. */
export function parametersOf(baseline: Pick<BaselineInfo, "title" | "params" | "colour">): string {
  const { sigma, seed, colour, token, index } = baseline.params;
  const parts = [
    sigma !== undefined && `σ ${Number(sigma.toPrecision(3))}`,
    seed !== undefined && `seed ${seed}`,
    colour,
    token,
    index !== undefined && `no. ${index}`,
  ];
  // The kernel's title may name them already.
  return parts.filter((part) => typeof part === "string" && part !== "" && !baseline.title.includes(part)).join(", ");
}

/** What the explained score is called; `question.target` is null where it is no class. */
export function targetName({ target, target_label: label }: Partial<Question>): string {
  return target === null || !label ? "its answer" : label;
}

export function baselineTitle(baseline: Pick<BaselineInfo, "title" | "params" | "colour">): string {
  return [baseline.title, parametersOf(baseline)].filter(Boolean).join(", ");
}

const STATUS_WORDS = { new: "not computed yet", running: "computing", ready: "computed", failed: "failed" } as const;

/** How far a baseline is, and how well its attributions add up. */
export function baselineStatus(baseline: BaselineInfo, mode: Mode): string {
  if (!baseline.modes.includes(mode)) return mode === "path" ? "only as a distribution" : "has no distribution";
  const status = baseline.status[mode] ?? "new";
  const gap = baseline.gap[mode];
  return status === "ready" && typeof gap === "number" ? `gap ${formatPercent(gap)}` : STATUS_WORDS[status];
}

export function baselineName(baseline: BaselineInfo, mode: Mode): string {
  return `${baselineTitle(baseline)}: ${baselineStatus(baseline, mode)}`;
}

export interface Moment {
  mode: Mode;
  at: number;
  target: string;
  probability: number | null;
  /** Of the whole attribution; null where baseline and input score the same. */
  share: number | null;
  accumulated: number;
  unit: string;
}

/** The slider's value, read aloud. */
export function sliderText({ mode, at, target, probability, share, accumulated, unit }: Moment): string {
  const parts = [
    mode === "path" ? `alpha ${formatAlpha(at)}` : formatPlace(mode, at),
    probability !== null && `${target} probability ${probability.toFixed(2)}`,
    share === null
      ? `${formatSigned(accumulated)} ${unit} accumulated`
      : `${spokenPercent(share)} of attribution accumulated`,
  ];
  return parts.filter(Boolean).join(", ");
}

function outputAt(curve: Curve, alpha: number): string {
  if (curve.prob.length > 0) return formatPercent(curveAt(curve.alphas, curve.prob, alpha), 0);
  return formatNumber(curve.scores[0] + curveAt(curve.alphas, curve.F, alpha));
}

/** What is seen on the chart, in a sentence. */
export function curveSummary(curve: Curve, mode: Mode): string {
  const { alphas, F, C, gaps, facts } = curve;
  const count = alphas.at(-1) ?? 0;
  if (F.length < 2) return "no points yet";
  if (mode === "distribution") {
    return `after ${Math.round(count)} samples the attributions add up to ${formatSigned(C.at(-1) ?? 0)} ${facts.unit}; the output is ${formatSigned(F.at(-1) ?? 0)} ${facts.unit} above the mean of the baselines`;
  }
  const ends = `from ${outputAt(curve, 0)} to ${outputAt(curve, 1)}`;
  if (!gaps.relative) return `the output is about the same at both ends: ${ends}${extremes(curve)}`;
  const verb = (F.at(-1) ?? 0) > 0 ? "rises" : "falls";
  if (!facts.rising) return `output ${verb} ${ends} over most of the path${extremes(curve)}`;
  const [low, high] = facts.rising;
  const course = `output ${verb} from ${outputAt(curve, low)} to ${outputAt(curve, high)} between ${formatAlpha(low)} and ${formatAlpha(high)}`;
  const flat = low < EDGE ? "then flat" : high > 1 - EDGE ? "flat before that" : "flat before and after";
  return `${course}, ${flat}: saturated for ${formatPercent(1 - (high - low), 0)} of the path${extremes(curve)}`;
}

/** Where the output leaves the range between its ends by a tenth of the change or more. */
function extremes({ alphas, F, scores }: Curve): string {
  const total = F.at(-1) ?? 0;
  const spread = Math.max(Math.abs(total), 0.05 * Math.max(...scores.map(Math.abs)));
  const highest = F.indexOf(Math.max(...F));
  const lowest = F.indexOf(Math.min(...F));
  const over = (F[highest] ?? 0) - Math.max(total, 0);
  const under = Math.min(total, 0) - (F[lowest] ?? 0);
  const parts = [
    over > 0.1 * spread && `${formatSigned(over)} above at ${formatAlpha(alphas[highest] ?? 0)}`,
    under > 0.1 * spread && `${formatNumber(under)} below at ${formatAlpha(alphas[lowest] ?? 0)}`,
  ].filter(Boolean);
  return parts.length > 0 ? `; on the way it lies ${parts.join(" and ")}` : "";
}

export interface PanelPlace {
  mode: Mode;
  at: number;
  window: readonly [number, number];
  cumulative: Cumulative;
  /** Name of the baseline on show. */
  baseline: string;
  text: boolean;
}

/** What the three panels show, beneath each of them. */
export function panelCaptions({ mode, at, window, cumulative, baseline, text }: PanelPlace): [string, string, string] {
  const what = text ? "embeddings" : "input";
  const mean = cumulative === "running_mean";
  if (mode === "distribution") {
    const count = Math.round(at);
    return [`${what} of sample ${count}`, `what the samples up to ${count} add`, `mean of ${count} samples`];
  }
  const place = `α\u00a0=\u00a0${formatAlpha(at)}`; // on one line
  const from = window[0] > 0 ? `from ${formatAlpha(window[0])} to ${formatAlpha(at)}` : `up to ${place}`;
  return [
    `${what} at ${place}, from ${baseline}`,
    `what a step adds at ${place}`,
    mean ? `running mean ${from}` : `accumulated ${from}`,
  ];
}

export const CUMULATIVE_HELP =
  "The integral adds up to the change of the output, at every place. The running mean divides it by α, as if the rest of the path looked like its beginning: early, steep gradients then seem to outweigh everything. It is here to compare with figures drawn that way.";

/** The question as one line: the widget's name for screen readers, and the title of exported figures. */
export function questionText(baseline: string, target: string, foil: string | null, mode: Mode): string {
  const from = baseline || "a baseline";
  const start = mode === "path" ? `From ${from}` : `From draws of ${from}`;
  return `${start} to this input, how does the model reach ${target}${foil ? ` rather than ${foil}` : ""}?`;
}

export function questionOf(store: PathStore): string {
  const question = store.question.value;
  const baseline = store.baseline.value;
  const from = baseline ? baselineTitle(baseline) : "";
  return questionText(from, targetName(question), question.foil_label, store.mode.value);
}
