// How far the numbers can be trusted: the gap of completeness as a badge, and in words behind a disclosure.

import type { BaseStore } from "../lib/base-store";
import { formatCount, formatNumber, formatPercent, formatSeconds } from "../lib/format";
import { GOOD_GAP } from "../lib/gap";
import type { Quality } from "../lib/traits";

export function GapBadge({ quality: { gap } }: { quality: Quality }) {
  if (gap === undefined || gap === null) return null;
  const good = gap <= GOOD_GAP;
  return (
    <span
      class={good ? "xw-badge xw-badge-good" : "xw-badge xw-badge-warn"}
      title="completeness: by how much the sum of the attributions misses the change of the output, as a share of it"
    >
      <span aria-hidden="true">{good ? "✓" : "!"}</span> gap {formatPercent(gap)}
    </span>
  );
}

function gapSentence({ gap, delta, difference }: Quality, given: boolean): string {
  if (given && (gap === undefined || gap === null)) {
    if (delta === undefined || delta === null)
      return "Nothing came with the values that their sum could be held against.";
    return `What came with the values says that their sum misses the change of the output by ${formatNumber(Math.abs(delta))}.`;
  }
  if (gap === undefined || gap === null || difference === undefined || difference === null) {
    return "This method does not promise that its values add up to the change of the output, so there is no gap to show.";
  }
  const how = gap <= GOOD_GAP ? "close enough to read shares from" : "too far to read shares from: take more steps";
  return `The output changes by ${formatNumber(difference)} from the baseline to the input; the attributions miss that by ${formatNumber(Math.abs(delta ?? 0))} (${formatPercent(gap)}), ${how}.`;
}

function countOfSteps(steps: number): string {
  return steps === 1 ? "1 step" : `${formatCount(steps)} steps`;
}

function costSentence({ evaluations, steps, seconds }: Quality): string {
  const parts: string[] = [];
  if (steps) parts.push(countOfSteps(steps));
  if (evaluations?.forward) parts.push(`${formatCount(evaluations.forward)} forward passes`);
  if (evaluations?.gradient) parts.push(`${formatCount(evaluations.gradient)} gradients`);
  if (seconds) parts.push(formatSeconds(seconds));
  return parts.length > 0 ? `It took ${parts.join(", ")}.` : "";
}

interface TrustProps {
  quality: Quality;
  /** What no number here can tell. */
  caveat: string;
  /** Why no model can be asked; empty where one can. */
  noModel?: string;
}

export function Trust({ quality, caveat, noModel = "" }: TrustProps) {
  const error = quality.error;
  return (
    <details class="xw-trust">
      <summary>Trust</summary>
      <div class="xw-trust-text">
        <p>{gapSentence(quality, noModel !== "")}</p>
        {typeof error === "number" && (
          <p>
            Estimated error of all values together, relative to its size: {formatPercent(error)}. The true error is
            mostly smaller.
          </p>
        )}
        <p>{costSentence(quality)}</p>
        {noModel && (
          <p>
            {noModel}{" "}
            <code class="xw-code">
              xw.evaluate(model, inputs, {"{"}"name": values{"}"})
            </code>{" "}
            tests them.
          </p>
        )}
        <p class="xw-quiet">{caveat}</p>
      </div>
    </details>
  );
}

/** Opens the drawer with what was tested; the first time it has the map tested. */
export function TestButton({ store }: { store: BaseStore }) {
  const tested = store.tested.value;
  if (store.noModel.value && !tested) return null;
  const off = tested ? "" : store.offReason.value;
  return (
    <button
      type="button"
      class="xw-button"
      title={off || "does the map hold what it promises? Controls, deletion, insertion, randomised weights (y)"}
      aria-expanded={store.testsOpen.value}
      disabled={off !== ""}
      onClick={() => store.toggleTests()}
    >
      {tested ? "Tests" : "Test this map"}
    </button>
  );
}

/** The chip's words once a result is there. */
export function costSummary({ steps, seconds }: Quality): string {
  return [steps ? countOfSteps(steps) : "", seconds ? formatSeconds(seconds) : ""].filter(Boolean).join(" · ");
}
