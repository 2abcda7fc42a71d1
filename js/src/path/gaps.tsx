// Whether the accumulated attributions follow the output, at the end and all along the path.

import { formatCount, formatNumber, formatPercent, formatSeconds } from "../lib/format";
import { GOOD_GAP } from "../lib/gap";
import type { PathStore } from "./store";
import type { Gaps as GapValues, Mode, RunFacts } from "./traits";
import { formatPlace } from "./words";

const END_HELP = "completeness: by how much the sum of the attributions misses the change of the output";
const MEAN_HELP =
  "by how much the mean over the samples misses the change of the output: it shrinks with more samples, about like 1 / √samples";
const PATH_HELP =
  "the same at every place in between. A small gap at the end may come from errors that cancel. This compares sums over the input: errors may still cancel between pixels.";
const REFINE_HELP = "8 more gradients, each where the sum misses most (f)";

function sizeOf(gap: number, { difference, relative }: GapValues, unit: string): string {
  const size = Math.abs(gap);
  return relative ? formatPercent(size / Math.abs(difference)) : `${formatNumber(size)} ${unit}`.trim();
}

function isGood(gap: number, { difference, relative }: GapValues): boolean {
  return !relative || Math.abs(gap / difference) <= GOOD_GAP;
}

/** Why the walk ended before it was asked to; empty where it went all the way. */
export function stoppedText({ stopped, steps }: RunFacts, tolerance: number, asked: number): string {
  return stopped === "tolerance" && steps < asked
    ? `stopped at ${steps}: largest gap below ${formatPercent(tolerance, 0)}`
    : "";
}

export function costText({ evaluations, seconds, samples }: RunFacts): string {
  return [
    samples ? `${formatCount(samples)} samples` : "",
    evaluations.gradient ? `${formatCount(evaluations.gradient)} gradients` : "",
    evaluations.forward ? `${formatCount(evaluations.forward)} forward` : "",
    seconds > 0 ? formatSeconds(seconds) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

interface BadgeProps {
  name: string;
  help: string;
  gap: number;
  gaps: GapValues;
  unit: string;
  /** Where on the path, if that is worth saying. */
  place?: string;
}

function Badge({ name, help, gap, gaps, unit, place = "" }: BadgeProps) {
  const good = isGood(gap, gaps);
  const tone = gaps.relative ? (good ? "xw-badge-good" : "xw-badge-warn") : "";
  return (
    <span class={`xw-badge ${tone}`} title={help}>
      {name} <span class="xw-number">{sizeOf(gap, gaps, unit)}</span>
      {place}
      {gaps.relative && <span aria-hidden="true">{good ? "✓" : "!"}</span>}
      {gaps.relative && !good && <span class="xw-visually-hidden">too large</span>}
    </span>
  );
}

function placeOf(mode: Mode, at: number): string {
  return mode === "path" ? ` at α ≈ ${formatPlace(mode, at)}` : ` at ${formatPlace(mode, at)}`;
}

export function GapLine({ store }: { store: PathStore }) {
  const run = store.run.value;
  if (!run) return null;
  const { gaps, facts } = run;
  const mode = store.mode.value;
  const onPath = mode === "path";
  // noise around the input is no path: nothing says that its values add up
  const promises = store.baseline.value?.kind !== "smoothgrad";
  const { steps: asked = 65, tolerance: enough = 0.01 } = store.params.value.parameters;
  const stopped = stoppedText(facts, Number(enough), Number(asked));
  return (
    <div class="xw-gaps" role="group" aria-label="how well the attributions add up">
      {promises ? (
        <Badge name="end gap" help={onPath ? END_HELP : MEAN_HELP} gap={gaps.end} gaps={gaps} unit={facts.unit} />
      ) : (
        <span class="xw-quiet">This method does not promise that its values add up to the change of the output.</span>
      )}
      {onPath && (
        <>
          <Badge
            name="largest gap on path"
            help={PATH_HELP}
            gap={gaps.max}
            gaps={gaps}
            unit={facts.unit}
            place={placeOf(mode, gaps.at)}
          />
          <button
            type="button"
            class="xw-button"
            title={store.offReason.value || REFINE_HELP}
            disabled={!store.live || store.running.value}
            onClick={() => store.refine()}
          >
            Refine there
          </button>
        </>
      )}
      <span class="xw-quiet">{[stopped, costText(facts)].filter(Boolean).join(" · ")}</span>
      {promises && !gaps.relative && (
        <p class="xw-legend-note">
          Baseline and input score about the same ({formatNumber(run.scores[0])} and {formatNumber(run.scores[1])}), so
          there is no change to take shares of: gaps are in {facts.unit || "units of the score"}.
        </p>
      )}
    </div>
  );
}
