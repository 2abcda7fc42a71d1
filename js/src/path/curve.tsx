// Does what is accumulated follow the output? Both over the path, with the gap between them and where it is largest.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatScore, formatSigned } from "../lib/format";
import { formatTicks, niceTicks } from "../lib/ticks";
import { curveAt, type Run, spanOf } from "./run";
import type { PathStore } from "./store";
import { curveSummary, targetName } from "./words";

/** Units of the drawing; it is stretched to its box, lines keep their width. */
const SIDE = 1000;

interface Axes {
  span: number;
  low: number;
  high: number;
  x(place: number): number;
  y(height: number): number;
}

function axesOf(run: Run): Axes {
  const span = spanOf(run) || 1;
  const heights = [0, ...run.F, ...run.C].filter(Number.isFinite);
  const least = Math.min(...heights);
  const most = Math.max(...heights);
  const margin = 0.06 * (most - least || 1);
  const low = least - margin;
  const high = most + margin;
  return {
    span,
    low,
    high,
    x: (place) => (SIDE * place) / span,
    y: (height) => (SIDE * (high - height)) / (high - low),
  };
}

function line(xs: readonly number[], ys: readonly number[]): string {
  return ys.map((y, i) => `${i === 0 ? "M" : "L"}${(xs[i] ?? 0).toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** What is drawn beside the output: the sum, or on request the running mean C / α, which is another curve. */
function asDrawn(run: Run, mean: boolean): Run {
  if (!mean) return run;
  const [, first = 1] = run.alphas;
  const means = run.C.map((sum, i) => (i === 0 ? (run.C[1] ?? 0) / first : sum / (run.alphas[i] || first)));
  return { ...run, C: means, gaps: { ...run.gaps, max: 0 } };
}

/** Round dots in a stretched drawing: lines without length, with round ends. */
function dots(xs: readonly number[], ys: readonly number[]): string {
  return ys.map((y, i) => `M${(xs[i] ?? 0).toFixed(1)} ${y.toFixed(1)}h0`).join("");
}

/** Dots closer than this would be a thick line. */
const DOT_EVERY = 25;

/** The nodes that can be told apart. */
function apart(xs: readonly number[]): number[] {
  let last = Number.NEGATIVE_INFINITY;
  return xs.flatMap((x, i) => {
    if (x - last < DOT_EVERY) return [];
    last = x;
    return [i];
  });
}

function Lines({ run, gap }: { run: Run; gap: boolean }) {
  const axes = axesOf(run);
  const xs = run.alphas.map(axes.x);
  const output = run.F.map(axes.y);
  const sum = run.C.map(axes.y);
  const back = line([...xs].reverse(), [...sum].reverse()).replace("M", "L");
  const dotted = apart(xs);
  const { at, max } = run.gaps;
  const gapX = axes.x(at);
  return (
    <>
      {niceTicks(axes.low, axes.high, 4).map((tick) => (
        <path key={tick} class="xw-curve-grid" data-zero={tick === 0} d={`M0 ${axes.y(tick)}H${SIDE}`} />
      ))}
      {output.length > 0 && gap && <path class="xw-curve-gap" d={`${line(xs, output)}${back}Z`} />}
      {max !== 0 && run.mode === "path" && (
        <path
          class="xw-curve-worst"
          d={`M${gapX} ${axes.y(curveAt(run.alphas, run.F, at))}V${axes.y(curveAt(run.alphas, run.C, at))}`}
        />
      )}
      {run.prob.length > 0 && (
        <path
          class="xw-curve-line xw-curve-prob"
          d={line(
            xs,
            run.prob.map((p) => SIDE * (1 - p)),
          )}
        />
      )}
      <path class="xw-curve-line xw-curve-output" d={line(xs, output)} />
      <path class="xw-curve-line xw-curve-sum" d={line(xs, sum)} />
      <path
        class="xw-curve-dots"
        d={dots(
          dotted.map((i) => xs[i] ?? 0),
          dotted.map((i) => output[i] ?? 0),
        )}
      />
    </>
  );
}

function Marker({ store, run }: { store: PathStore; run: Run }) {
  const axes = axesOf(run);
  const place = store.shownAlpha.value * axes.span;
  const x = axes.x(place);
  const [start, end] = store.window.value;
  return (
    <>
      {start > 0 && <rect class="xw-curve-outside" x="0" y="0" width={SIDE * start} height={SIDE} />}
      {end < 1 && <rect class="xw-curve-outside" x={SIDE * end} y="0" width={SIDE * (1 - end)} height={SIDE} />}
      <path class="xw-curve-marker" d={`M${x} 0V${SIDE}`} />
      <path
        class="xw-curve-here"
        d={dots([x, x], [axes.y(curveAt(run.alphas, run.F, place)), axes.y(curveAt(run.alphas, run.C, place))])}
      />
    </>
  );
}

function Axis({ run }: { run: Run }) {
  const axes = axesOf(run);
  const onPath = run.mode === "path";
  const worst = `the largest gap: ${formatSigned(run.gaps.max)} ${run.facts.unit}`;
  const places = onPath ? [0, 0.25, 0.5, 0.75, 1] : niceTicks(0, axes.span, 4);
  const heights = niceTicks(axes.low, axes.high, 4);
  const numbers = formatTicks(heights);
  return (
    <>
      {heights.map((tick, i) => (
        <span key={tick} class="xw-curve-tick xw-curve-left" style={{ top: `${axes.y(tick) / 10}%` }}>
          {numbers[i]}
        </span>
      ))}
      {run.gaps.max !== 0 && onPath && (
        <span class="xw-curve-worst-mark" style={{ left: `${axes.x(run.gaps.at) / 10}%` }} title={worst} />
      )}
      {run.prob.length > 0 &&
        [0, 0.5, 1].map((p) => (
          <span key={p} class="xw-curve-tick xw-curve-right" style={{ top: `${100 * (1 - p)}%` }}>
            {p === 0.5 ? ".5" : p}
          </span>
        ))}
      {places.map((place) => (
        <span key={place} class="xw-curve-tick xw-curve-below" style={{ left: `${axes.x(place) / 10}%` }}>
          {place}
        </span>
      ))}
    </>
  );
}

/** Names of the lines with their values at the place on show. */
function Key({ store, run, mean, gap }: { store: PathStore; run: Run; mean: boolean; gap: boolean }) {
  const place = store.shownAlpha.value * spanOf(run);
  const at = (heights: readonly number[]) => curveAt(run.alphas, heights, place);
  const { unit } = run.facts;
  const entry = (line: string, title: string, name: string, value: string) => (
    <>
      <dt title={title}>
        <span class={`xw-curve-sample xw-curve-sample-${line}`} aria-hidden="true" />
        {name}
      </dt>
      <dd class="xw-number">{value}</dd>
    </>
  );
  const onPath = run.mode === "path";
  return (
    <dl class="xw-curve-key">
      {entry(
        "output",
        onPath ? "F: score at α minus score of the baseline" : "score minus the mean score of the baselines so far",
        onPath ? "output" : "target",
        `${formatSigned(at(run.F))} ${unit}`,
      )}
      {entry(
        "sum",
        mean ? "C / α: no sum, it starts at the first rate" : "C: sum of everything accumulated so far",
        mean ? "running mean" : onPath ? "accumulated" : "mean adds up to",
        `${formatSigned(at(run.C))} ${unit}`,
      )}
      {gap && entry("gap", "C − F: what the attributions miss", "gap", formatSigned(at(run.C) - at(run.F)))}
      {run.prob.length > 0 &&
        entry("prob", "probability of the explained class, right axis", "probability", formatScore(at(run.prob)))}
    </dl>
  );
}

function Chart({ store, run, gap }: { store: PathStore; run: Run; gap: boolean }) {
  const placeOf = (event: PointerEvent | MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  };
  const lines = useMemo(() => <Lines run={run} gap={gap} />, [run, gap]);
  const axis = useMemo(() => <Axis run={run} />, [run]);
  return (
    <div class="xw-curve" role="img" aria-label={curveSummary(run, run.mode)}>
      <div
        class="xw-curve-plot"
        aria-hidden="true"
        onPointerMove={(event) => {
          store.hoverAlpha.value = placeOf(event);
          if (event.buttons & 1) store.setAlpha(placeOf(event));
        }}
        onPointerLeave={() => {
          store.hoverAlpha.value = null;
        }}
        onClick={(event) => store.setAlpha(placeOf(event))}
      >
        <svg viewBox={`0 0 ${SIDE} ${SIDE}`} preserveAspectRatio="none" aria-hidden="true">
          {lines}
          <Marker store={store} run={run} />
        </svg>
        {axis}
      </div>
    </div>
  );
}

export function CurvePanel({ store }: { store: PathStore }) {
  const shown = store.lastRun.value;
  const mean = shown?.mode === "path" && store.cumulative.value === "running_mean";
  // noise around the input promises no sum
  const gap = !mean && store.baseline.value?.kind !== "smoothgrad";
  const run = useMemo(() => shown && asDrawn(shown, mean), [shown, mean]);
  const target = useMemo(() => computed(() => targetName(store.question.value)), [store]);
  const photo = store.photo.value;
  return (
    <figure
      class="xw-panel xw-panel-curve"
      style={{ "--xw-ratio": photo ? photo.width / photo.height : 1 }}
      data-xw-panel={4}
      tabIndex={-1}
      aria-label="curves"
    >
      <div class="xw-panel-head" aria-hidden="true">
        <span class="xw-panel-number">4</span>
        <span class="xw-panel-title">
          score of <bdi>{target.value}</bdi>
        </span>
      </div>
      <div class="xw-panel-picture xw-curve-box">{run && <Chart store={store} run={run} gap={gap} />}</div>
      <figcaption class="xw-pane-caption">
        {run?.mode === "distribution" ? "over the number of samples" : "over α, baseline to input"}
      </figcaption>
      {run && <Key store={store} run={run} mean={mean} gap={gap} />}
    </figure>
  );
}
