// α under the hand: a native slider, on the same track a window with two handles, and play.

import type { ComponentChildren } from "preact";
import { Handle } from "../components/handle";
import { formatPercent } from "../lib/format";
import { curveAt, shareBetween, spanOf } from "./run";
import type { PathStore } from "./store";
import { formatAlpha, formatPlace, sliderText } from "./words";

const KEYS: Record<string, (store: PathStore) => void> = {
  ArrowLeft: (store) => store.stepAlpha(-1),
  ArrowDown: (store) => store.stepAlpha(-1),
  ArrowRight: (store) => store.stepAlpha(1),
  ArrowUp: (store) => store.stepAlpha(1),
  PageDown: (store) => store.setAlpha(store.alpha.value - 0.1),
  PageUp: (store) => store.setAlpha(store.alpha.value + 0.1),
  Home: (store) => store.setAlpha(0),
  End: (store) => store.setAlpha(1),
};
/** Share of the track that an arrow key moves a handle. */
const WINDOW_STEP = 0.01;

function spoken(store: PathStore): string {
  const run = store.lastRun.value;
  const alpha = store.alpha.value;
  if (!run) return `alpha ${formatAlpha(alpha)}`;
  const place = alpha * spanOf(run);
  return sliderText({
    mode: run.mode,
    at: place,
    target: store.question.value.target_label,
    probability: run.prob.length > 0 ? curveAt(run.alphas, run.prob, place) : null,
    share: run.gaps.relative ? shareBetween(run, 0, place) : null,
    accumulated: curveAt(run.alphas, run.C, place),
    unit: run.facts.unit,
  });
}

function PlayButton({ store }: { store: PathStore }) {
  const playing = store.playing.value;
  const reason = store.player.offReason.value;
  return (
    <button
      type="button"
      class="xw-button xw-play"
      aria-label={playing ? "pause" : "play the path"}
      title={reason ? `play is ${reason}` : `${playing ? "pause" : "play the path"} (Space)`}
      disabled={reason !== "" || !store.run.value}
      onClick={() => store.togglePlay()}
    >
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d={playing ? "M2 1h3v10H2zM7 1h3v10H7z" : "M2.5 1v10l8-5z"} fill="currentColor" />
      </svg>
    </button>
  );
}

function WindowHandle({ store, end }: { store: PathStore; end: boolean }) {
  const [start, stop] = store.window.value;
  const value = end ? stop : start;
  const move = (place: number) => {
    const wanted = Math.round(100 * place) / 100;
    if (end) store.setWindow(start, Math.max(wanted, start));
    else store.setWindow(Math.min(wanted, stop), stop);
  };
  return (
    <Handle
      class={`xw-window-handle ${end ? "xw-window-end" : "xw-window-start"}`}
      place={value}
      label={end ? "end of the window" : "start of the window"}
      title={`drag: explain only ${end ? "up to" : "from"} here (${end ? "< >" : ", ."})`}
      now={value}
      low={end ? start : 0}
      high={end ? 1 : stop}
      text={`alpha ${formatAlpha(value)}`}
      onDrag={move}
      onStep={(direction) => move(value + direction * WINDOW_STEP)}
    />
  );
}

function WindowText({ store }: { store: PathStore }) {
  const run = store.lastRun.value;
  const [start, end] = store.window.value;
  if (run?.mode !== "path") return null;
  if (start === 0 && end === 1) {
    return <span class="xw-quiet xw-window-text">drag an end to explain only a part of the path</span>;
  }
  const share = run.gaps.relative ? shareBetween(run, start, end) : null;
  return (
    <span class="xw-window-text">
      window{" "}
      <span class="xw-number">
        {formatAlpha(start)}–{formatAlpha(end)}
        {share !== null && ` = ${formatPercent(share, 0)} of total`}
      </span>{" "}
      <button type="button" class="xw-link" title="the whole path (Esc)" onClick={() => store.setWindow(0, 1)}>
        reset
      </button>
    </span>
  );
}

function Track({ store }: { store: PathStore }) {
  const [start, end] = store.window.value;
  const onPath = store.mode.value === "path";
  return (
    <div class="xw-track">
      <div class="xw-track-line" aria-hidden="true">
        <div class="xw-track-window" style={{ left: `${100 * start}%`, right: `${100 * (1 - end)}%` }} />
      </div>
      {onPath && (
        <div class="xw-track-handles">
          <WindowHandle store={store} end={false} />
          <WindowHandle store={store} end={true} />
        </div>
      )}
      <AlphaRange store={store} />
    </div>
  );
}

function AlphaRange({ store }: { store: PathStore }) {
  return (
    <input
      type="range"
      class="xw-alpha"
      aria-label={store.mode.value === "path" ? "alpha" : "samples"}
      min={0}
      max={1}
      step="any"
      value={store.alpha.value}
      aria-valuetext={spoken(store)}
      onInput={(event) => {
        const wanted = Number(event.currentTarget.value);
        store.setAlpha(Math.round(1000 * wanted) / 1000);
        // Held at the end of the window, the thumb stays there too.
        event.currentTarget.value = String(store.alpha.value);
      }}
      onKeyDown={(event) => {
        const move = KEYS[event.key];
        if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        move(store);
      }}
    />
  );
}

function Place({ store }: { store: PathStore }) {
  const run = store.lastRun.value;
  const mode = store.mode.value;
  const at = store.shownAlpha.value * (mode === "path" || !run ? 1 : spanOf(run));
  return (
    <span class="xw-place xw-number" aria-hidden="true" data-preview={store.hoverAlpha.value !== null}>
      {mode === "path" ? `α = ${formatAlpha(at)}` : formatPlace(mode, at)}
    </span>
  );
}

export function Scrubber({ store, children }: { store: PathStore; children?: ComponentChildren }) {
  return (
    <>
      <div class="xw-scrubber">
        <PlayButton store={store} />
        <Track store={store} />
        <Place store={store} />
      </div>
      <div class="xw-scrubber-line">
        <WindowText store={store} />
        {children}
      </div>
    </>
  );
}
