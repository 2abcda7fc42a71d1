// The example asked about: stays beside the cards.

import { formatNumber, formatScore } from "../lib/format";
import { readable } from "../lib/visible";
import { CellList, Thumb } from "./card";
import type { GalleryStore } from "./store";

export function QueryCard({ store }: { store: GalleryStore }) {
  const { key, y, yhat, conf, loss, text, cells, training_id: id } = store.query.value;
  const medium = store.medium.value;
  return (
    <figure class="xw-query" data-medium={medium} aria-label="the example asked about">
      {medium === "image" && <Thumb store={store} id={key} />}
      {cells && <CellList cells={cells} />}
      {text !== undefined && (
        <p class="xw-query-text" dir="auto">
          {readable(text)}
        </p>
      )}
      <figcaption>
        <dl class="xw-query-facts">
          {yhat !== null && (
            <>
              <dt class="xw-quiet">predicted</dt>
              <dd>
                <bdi>{store.className(yhat)}</bdi> {conf !== null && <span class="xw-number">{formatScore(conf)}</span>}
              </dd>
            </>
          )}
          {y !== null && (
            <>
              <dt class="xw-quiet">label</dt>
              <dd data-wrong={store.names.value.length > 0 && yhat !== null && y !== yhat}>
                <bdi>{store.className(y)}</bdi>
              </dd>
            </>
          )}
          {loss !== null && (
            <>
              <dt class="xw-quiet">loss</dt>
              <dd class="xw-number">{formatNumber(loss)}</dd>
            </>
          )}
        </dl>
        {id !== null && <p class="xw-quiet">Training example #{id} itself: left out of both rows.</p>}
      </figcaption>
    </figure>
  );
}
