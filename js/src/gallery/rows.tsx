// The examples that push most towards the query's label, and those that push most against it.

import { formatCount } from "../lib/format";
import { CardGrid } from "./card-grid";
import type { Side } from "./ranking";
import type { GalleryStore } from "./store";
import { SIDE_TITLES } from "./words";

function Pager({ store, side }: { store: GalleryStore; side: Side }) {
  const all = store.filtered.value[side].length;
  const k = store.k.value;
  const page = Math.min(store.page.value, Math.max(Math.ceil(all / k) - 1, 0));
  const step = (by: 1 | -1, sign: string, title: string) => (
    <button
      type="button"
      class="xw-button xw-button-icon"
      aria-label={`${title} ${side}`}
      disabled={store.page.value + by < 0 || store.page.value + by >= store.pages}
      onClick={() => store.setPage(store.page.value + by)}
    >
      {sign}
    </button>
  );
  if (all === 0) return null;
  return (
    <span class="xw-field">
      <span class="xw-number xw-quiet">
        {page * k + 1}–{Math.min((page + 1) * k, all)} of {formatCount(all)}
      </span>
      {store.pages > 1 && step(-1, "‹", "previous")}
      {store.pages > 1 && step(1, "›", "next")}
    </span>
  );
}

function whyEmpty(store: GalleryStore, side: Side): string {
  if (store.ranking.value[side].length > 0) return "The filters leave none.";
  if (!store.candidates.value && store.running.value) return "On their way…";
  if (!store.rank.value.final) return "None yet.";
  return side === "proponents"
    ? "No training example pushes towards this."
    : "No training example pushes against this.";
}

export function SideRow({ store, side }: { store: GalleryStore; side: Side }) {
  const { title, note } = SIDE_TITLES[side];
  const id = `${store.uid}-${side}-title`;
  return (
    <section class="xw-side-row" data-side={side} aria-labelledby={id}>
      <div class="xw-side-head">
        <h3 class="xw-heading" id={id}>
          <span class="xw-side-sign" aria-hidden="true">
            {side === "proponents" ? "▲" : "▼"}
          </span>
          {title} <span class="xw-hint">{note}</span>
        </h3>
        <Pager store={store} side={side} />
      </div>
      {store.countIn(side) === 0 ? (
        <p class="xw-quiet">{whyEmpty(store, side)}</p>
      ) : (
        <CardGrid
          store={store}
          area={side}
          label={`${side}: training examples that ${note}, strongest first`}
          onPage={(step) => store.setPage(store.page.value + step)}
        />
      )}
    </section>
  );
}
