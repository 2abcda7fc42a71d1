// How much of everything the cards on show are, and what the order on show is worth: exact or not, of all or of a part.

import { formatCount, formatPercent } from "../lib/format";
import type { Ranked } from "./ranking";
import type { GalleryStore } from "./store";

function shareOf(shown: readonly Ranked[], total: number | undefined): number | null {
  return total ? shown.reduce((sum, { score }) => sum + score, 0) / total : null;
}

/** What the order on show is worth, in a few words each and in full. What was not scanned is said by the notices. */
export function badgesOf(store: GalleryStore): [text: string, title: string, warns: boolean][] {
  const { exact, approximations, stored } = store.rank.value;
  const badges: [string, string, boolean][] = [];
  if (store.reranked.value) {
    const title = "the stored candidates in another order: examples that were not stored could belong here";
    badges.push([`re-ranked among the stored ${formatCount(stored)}`, title, true]);
  }
  if (!exact) badges.push(["approximate", approximations.join(" · "), false]);
  return badges;
}

function CoverageText({ store }: { store: GalleryStore }) {
  const covered = store.coverage.value;
  if (!covered || covered.count === 0) return null;
  const { opponents } = store.shown.value;
  const against = shareOf(opponents, store.rank.value.totals?.negative);
  return (
    <span class="xw-coverage" title="sums of the scores on show and of all examples">
      {covered.count === 1 ? "This proponent is " : `These ${covered.count} proponents are `}
      {store.rank.value.approximate_totals && "about "}
      <strong>{formatPercent(covered.share)}</strong> of all positive influence
      {against !== null && (
        <>
          , the {opponents.length === 1 ? "opponent" : `${opponents.length} opponents`}{" "}
          <strong>{formatPercent(against)}</strong> of the negative
        </>
      )}
    </span>
  );
}

export function CoverageLine({ store }: { store: GalleryStore }) {
  return (
    <div class="xw-coverage-line">
      <CoverageText store={store} />
      {badgesOf(store).map(([text, title, warns]) => (
        <span key={text} class={warns ? "xw-chip xw-chip-warn" : "xw-chip"} title={title}>
          {text}
        </span>
      ))}
    </div>
  );
}
