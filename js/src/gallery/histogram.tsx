// How the scores of all examples are spread, where the cards on show lie among them, and a cut-off.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Handle } from "../components/handle";
import { formatCount, formatNumber, formatSigned } from "../lib/format";
import type { Ranked } from "./ranking";
import { outline, type Spread, spreadOf, trimmed } from "./spread";
import type { GalleryStore } from "./store";

interface Drawn {
  spread: Spread;
  /** Of everything scanned; else only of what is stored. */
  whole: boolean;
}

function drawnOf(store: GalleryStore): Drawn | null {
  const { hist } = store.rank.value;
  if (!store.reranked.value && hist && hist.counts?.some((count) => count > 0))
    return { spread: trimmed(hist), whole: true };
  const { proponents, opponents } = store.ranking.value;
  const spread = spreadOf([...proponents, ...opponents].map(({ score }) => score));
  return spread && { spread, whole: false };
}

/** The weakest card of a side that is on show. */
function weakest(shown: readonly Ranked[]): number | null {
  return shown.length > 0
    ? shown.reduce((least, { score }) => (Math.abs(score) < Math.abs(least) ? score : least), shown[0]?.score ?? 0)
    : null;
}

export function ScoreHistogram({ store }: { store: GalleryStore }) {
  const drawn = useMemo(() => computed(() => drawnOf(store)), [store]).value;
  const path = useMemo(() => drawn && outline(drawn.spread), [drawn]);
  if (!drawn || !path) return null;
  const { edges } = drawn.spread;
  const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 1];
  const place = (value: number) => Math.min(Math.max((value - low) / (high - low), 0), 1);
  const { cut } = store.filters.value;
  const end = Math.max(high, -low);
  const side = high >= -low ? 1 : -1;
  const setCut = (value: number) => {
    const next = Math.min(Math.max(value, 0), end);
    store.setFilters({ cut: next < end / 200 ? null : Number(next.toPrecision(3)) });
  };
  const { proponents, opponents } = store.filtered.value;
  const shown = store.shown.value;
  const [from, to] = [weakest(shown.proponents), weakest(shown.opponents)];
  const bars = (className: string, clip: string) => (
    <svg
      class={`xw-spread-bars ${className}`}
      viewBox="0 0 1000 1"
      preserveAspectRatio="none"
      style={{ clipPath: clip }}
      aria-hidden="true"
    >
      <path d={path} />
    </svg>
  );
  const left = `${cut === null ? "" : `at least ${formatNumber(cut)}: `}${proponents.length} proponents, ${opponents.length} opponents`;
  return (
    <div class="xw-spread" role="group" aria-label="spread of the scores">
      <div class="xw-spread-plot">
        {bars("", "none")}
        {from !== null && bars("xw-spread-for", `inset(0 0 0 ${100 * place(from)}%)`)}
        {to !== null && bars("xw-spread-against", `inset(0 ${100 * (1 - place(to))}% 0 0)`)}
        {cut !== null && (
          <span
            class="xw-spread-cut"
            style={{ left: `${100 * place(-cut)}%`, width: `${100 * (place(cut) - place(-cut))}%` }}
          />
        )}
        <Handle
          class="xw-clip xw-cut-handle"
          place={place(side * (cut ?? 0))}
          title="drag: hide examples with smaller scores"
          label="cut-off: smallest score that is shown"
          now={cut ?? 0}
          low={0}
          high={end}
          text={cut === null ? "no cut-off" : left}
          onDrag={(at) => setCut(side * (low + at * (high - low)))}
          onStep={(direction) => setCut((store.filters.value.cut ?? 0) + (side * direction * end) / 50)}
        />
      </div>
      <div class="xw-ticks" aria-hidden="true">
        {[low, 0, high]
          .filter((value, index, all) => all.indexOf(value) === index)
          .map((value) => (
            <span
              key={value}
              class="xw-tick"
              data-end={value === low ? "low" : value === high ? "high" : ""}
              style={{ left: `${100 * place(value)}%` }}
            >
              {value > 0 ? formatSigned(value) : formatNumber(value)}
            </span>
          ))}
      </div>
      <p class="xw-legend-note">
        {drawn.whole
          ? `scores of ${formatCount(store.rank.value.scanned)} examples`
          : `scores of the stored ${formatCount(store.rank.value.stored)}`}
        , heights logarithmic · {left}
      </p>
    </div>
  );
}
