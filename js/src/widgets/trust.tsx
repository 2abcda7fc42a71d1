// Trust: is the map on show worth believing? A drawer of another widget: its own kind, so that only those who test carry it.

import "../styles/trust.css";
import { drawing } from "../lib/drawing";
import { Controls } from "../trust/controls";
import { Curves } from "../trust/curves";
import { Cost, TrustHead } from "../trust/head";
import { LayerChart } from "../trust/layers";
import { Findings } from "../trust/sentences";
import { TrustStore } from "../trust/store";
import { TrustTable } from "../trust/table";

function TrustDrawer({ store }: { store: TrustStore }) {
  const { sentences, cost, controls, layers } = store.trust.value;
  return (
    <section
      class="xw-trust-drawer"
      aria-labelledby={`${store.uid}-title`}
      data-stale={store.stale.value}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !store.release()) return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <TrustHead store={store} />
      {!store.empty.value && (
        <>
          <Findings sentences={sentences} />
          <Curves store={store} />
          {(controls.length > 0 || layers.names) && (
            <div class="xw-trust-columns">
              <Controls store={store} />
              <LayerChart store={store} />
            </div>
          )}
          <TrustTable store={store} />
          <Cost cost={cost} />
        </>
      )}
      {store.decodeError.value && <p class="xw-readout">A picture could not be decoded: {store.decodeError.value}</p>}
      <output class="xw-visually-hidden" aria-live="polite">
        {store.voice.text.value}
      </output>
    </section>
  );
}

export const mount = drawing(TrustStore, TrustDrawer);
