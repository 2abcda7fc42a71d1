// Texts: the three panels as strips of tokens. Bars carry the values, words and names the rest; all of it is text nodes.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatNumber, formatSigned } from "../lib/format";
import { visible } from "../lib/visible";
import { spreadOf } from "./disagreement";
import type { PanelMap } from "./maps";
import { spanOf } from "./run";
import type { PathStore } from "./store";
import { baselineTitle, panelCaptions } from "./words";

interface BarsProps {
  store: PathStore;
  map: PanelMap | null;
  label: string;
  caption: string;
  panel: number;
  /** Strengths without a direction. */
  unsigned?: boolean;
}

/** "supports goldfinch, +0.42" */
function spoken(value: number, target: string): string {
  const verb = value > 0 ? `supports ${target}` : value < 0 ? `opposes ${target}` : "neither supports nor opposes";
  return `${verb}, ${formatSigned(value)}`;
}

function Head({ number, title }: { number: number; title: string }) {
  return (
    <div class="xw-panel-head" aria-hidden="true">
      <span class="xw-panel-number">{number}</span>
      <span class="xw-panel-title">{title}</span>
    </div>
  );
}

function Bars({ store, map, label, caption, panel, unsigned = false }: BarsProps) {
  const tokens = store.tokens.value;
  const range = map?.range ?? 0;
  const absolute = unsigned || store.display.value.sign === "absolute";
  const target = store.question.value.target_label || "the answer";
  return (
    <figure class="xw-token-panel" data-xw-panel={panel} tabIndex={-1} aria-label={`${label}: ${caption}`}>
      <Head number={panel} title={label} />
      <ol class="xw-tokens" dir="auto" data-absolute={absolute}>
        {tokens.map((token, index) => {
          const value = map?.values[index] ?? 0;
          const height = range > 0 ? Math.min(Math.abs(value) / range, 1) : 0;
          const surface = visible(token);
          const direction = absolute ? (value === 0 ? 0 : 1) : Math.sign(value);
          return (
            <li key={index} class="xw-token" title={`${surface}: ${formatSigned(value)}`}>
              <span class="xw-visually-hidden">
                {surface}, {unsigned ? formatNumber(value) : spoken(value, target)}
              </span>
              <span class="xw-token-track" aria-hidden="true">
                <span
                  class="xw-token-bar"
                  data-direction={direction}
                  style={{ height: `${50 * height * (absolute ? 2 : 1)}%` }}
                />
              </span>
              <bdi class="xw-token-text" aria-hidden="true">
                {surface}
              </bdi>
            </li>
          );
        })}
      </ol>
      <figcaption class="xw-pane-caption">
        {caption}
        {range > 0 && <span class="xw-number"> · full bar {formatNumber(range)}</span>}
      </figcaption>
    </figure>
  );
}

/** The baseline's token fading into the text's: where they are equal, nothing changes on the way. */
function Blend({ store, caption }: { store: PathStore; caption: string }) {
  const share = store.shownAlpha.value;
  const surfaces = store.baseline.value?.surfaces ?? [];
  return (
    <figure class="xw-token-panel" data-xw-panel={1} tabIndex={-1} aria-label={`tokens: ${caption}`}>
      <Head number={1} title="tokens" />
      <ol class="xw-tokens" dir="auto">
        {store.tokens.value.map((token, index) => {
          const own = visible(token);
          const other = visible(surfaces[index] ?? "");
          const same = own === other;
          return (
            <li
              key={index}
              class="xw-token xw-token-blend"
              title={same ? `${own}: the same in the baseline` : `${other} → ${own}`}
            >
              <span class="xw-visually-hidden">{same ? `${own}, unchanged` : `${other} becomes ${own}`}</span>
              <bdi class="xw-token-text" aria-hidden="true" style={{ opacity: same ? 0 : 1 - share }}>
                {other}
              </bdi>
              <bdi class="xw-token-text" aria-hidden="true" style={{ opacity: same ? 1 : share }}>
                {own}
              </bdi>
            </li>
          );
        })}
      </ol>
      <figcaption class="xw-pane-caption">{caption}</figcaption>
    </figure>
  );
}

export function TokenPanels({ store }: { store: PathStore }) {
  const run = store.lastRun.value;
  const spread = useMemo(() => computed(() => spreadOf(store)), [store]).value;
  const mode = store.mode.value;
  const [first, second, third] = panelCaptions({
    mode,
    at: store.shownAlpha.value * (mode === "path" || !run ? 1 : spanOf(run)),
    window: store.window.value,
    cumulative: store.cumulative.value,
    baseline: store.baseline.value ? baselineTitle(store.baseline.value) : "the baseline",
    text: true,
  });
  return (
    <div class="xw-token-panels" data-pending={store.run.value === null && run !== null}>
      <Blend store={store} caption={first} />
      <Bars store={store} map={store.maps.rate.value} label="rate at α" caption={second} panel={2} />
      {spread ? (
        <Bars
          store={store}
          map={spread}
          label="disagreement"
          caption={`standard deviation over ${spread.count} baselines`}
          panel={3}
          unsigned
        />
      ) : (
        <Bars store={store} map={store.maps.accumulated.value} label="accumulated" caption={third} panel={3} />
      )}
    </div>
  );
}
