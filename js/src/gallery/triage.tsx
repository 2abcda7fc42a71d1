// The whole training set, what deserves a look first: a queue for mislabelled examples.

import { formatCount, formatPercent } from "../lib/format";
import { CardGrid } from "./card-grid";
import { SORTS } from "./columns";
import type { GalleryStore } from "./store";
import { tallyOf } from "./verdicts";

function Tally({ store }: { store: GalleryStore }) {
  const { judged, bad } = tallyOf(store.verdicts.value);
  if (judged === 0) return null;
  return (
    <span class="xw-number" title="share of relabel and drop among all verdicts">
      {formatCount(judged)} judged, {formatCount(bad)} to change ({formatPercent(bad / judged, 0)})
    </span>
  );
}

export function TriageTab({ store }: { store: GalleryStore }) {
  const columns = store.columns.value;
  if (!columns) {
    return <p class="xw-quiet">{store.running.value ? "On its way…" : "No training columns are here."}</p>;
  }
  const found = store.triage.value.length;
  const { sort } = store;
  const { title } = SORTS[columns.has(sort.value) ? sort.value : "id"];
  const part = columns.n < store.size.value ? `the ${formatCount(columns.n)} with the largest self-influence` : "";
  return (
    <section class="xw-triage" aria-label="triage">
      <div class="xw-side-head">
        <p>
          <span class="xw-number">{formatCount(found)}</span>
          {found < columns.n && ` of ${formatCount(columns.n)}`} examples{part && ` (${part})`}, {title}.{" "}
          {sort.value === "self" && (
            <span class="xw-quiet">
              High = hard <em>or</em> mislabelled <em>or</em> rare.
            </span>
          )}
        </p>
        <Tally store={store} />
      </div>
      {found === 0 ? (
        <p class="xw-quiet">The filters leave none.</p>
      ) : (
        <CardGrid store={store} area="triage" label={`training examples, ${title}`} long order={sort.value} />
      )}
    </section>
  );
}
