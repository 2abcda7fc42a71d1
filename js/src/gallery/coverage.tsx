// How much of everything the cards on show are, and what the order on show is worth: exact or not, of all or of a part.

import { formatCount, formatPercent } from "../lib/format";
import type { Ranked } from "./ranking";
import type { GalleryStore } from "./store";

function shareOf(shown: readonly Ranked[], total: number | undefined): number | null {
  return total ? shown.reduce((sum, { score }) => sum + score, 0) / total : null;
}

interface Badge {
  tone: "quiet" | "warn";
  text: string;
  title: string;
}

/** What a reader must know before trusting the order. */
export function badgesOf(store: GalleryStore): Badge[] {
  const rank = store.rank.value;
  const badges: Badge[] = [];
  if (!rank.final && rank.total > 0 && rank.scanned < rank.total) {
    badges.push({
      tone: "warn",
      text: `top of ${formatPercent(rank.scanned / rank.total, 0)} scanned`,
      title: `${formatCount(rank.scanned)} of ${formatCount(rank.total)} examples are scored: the order may change`,
    });
  }
  if (store.reranked.value) {
    badges.push({
      tone: "warn",
      text: `re-ranked among the stored ${formatCount(rank.stored)}`,
      title:
        "another score or fewer checkpoints put the stored candidates in another order; examples that were not stored could belong here",
    });
  }
  if (!rank.exact || rank.approximations.length > 0) {
    badges.push({
      tone: "quiet",
      text: rank.exact ? "named approximations" : "approximate",
      title: rank.approximations.join(" · ") || "the scores are estimates",
    });
  }
  if (rank.missing.length > 0) {
    badges.push({
      tone: "warn",
      text: rank.missing.length === 1 ? "1 checkpoint left out" : `${rank.missing.length} checkpoints left out`,
      title: rank.missing.map(([name, why]) => `${name}: ${why}`).join(" · "),
    });
  }
  return badges;
}

function CoverageText({ store }: { store: GalleryStore }) {
  const covered = store.coverage.value;
  if (!covered || covered.count === 0) return null;
  const { opponents } = store.shown.value;
  const against = shareOf(opponents, store.rank.value.totals?.negative);
  return (
    <span class="xw-coverage" title="sum of the scores on show, as a share of the sum over all examples of that sign">
      <span class="xw-coverage-track" aria-hidden="true">
        <span class="xw-coverage-bar" style={{ width: `${100 * Math.min(covered.share, 1)}%` }} />
      </span>
      <span>
        {covered.count === 1 ? "This proponent is " : `These ${covered.count} proponents are `}
        <strong>{formatPercent(covered.share)}</strong> of all positive influence
        {against !== null && (
          <>
            , the {opponents.length === 1 ? "opponent" : `${opponents.length} opponents`}{" "}
            <strong>{formatPercent(against)}</strong> of the negative
          </>
        )}
      </span>
    </span>
  );
}

/** Proponents that lead for most queries say little about this one. */
function HubHint({ store }: { store: GalleryStore }) {
  const { count, of } = store.hubs.value;
  const better = (["relative", "cosine"] as const).find((mode) => store.modes.value.includes(mode));
  if (count < 3 || count < of / 3) return null;
  return (
    <span class="xw-hub-hint">
      <span aria-hidden="true">⚑</span> {count} of {of} also lead for many other queries
      {better && store.mode.value === "dot" && (
        <>
          {": "}
          <button type="button" class="xw-link" onClick={() => store.setMode("cosine")}>
            try cosine
          </button>
        </>
      )}
    </span>
  );
}

export function CoverageLine({ store }: { store: GalleryStore }) {
  if (!store.candidates.value) return null;
  return (
    <div class="xw-coverage-line">
      <CoverageText store={store} />
      <HubHint store={store} />
      {badgesOf(store).map(({ tone, text, title }) => (
        <span key={text} class={`xw-chip xw-chip-${tone === "warn" ? "warn" : "plain"}`} title={title}>
          {text}
        </span>
      ))}
    </div>
  );
}
