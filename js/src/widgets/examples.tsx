// ExampleGallery: which training examples made the model say so.

import "../styles/tabs.css";
import "../styles/gallery-cards.css";
import "../styles/gallery.css";
import { Fragment } from "preact";
import { Frame } from "../components/frame";
import { Notices } from "../components/messages";
import { GalleryControls, GalleryFilters, MethodSettings } from "../gallery/controls";
import { CoverageLine } from "../gallery/coverage";
import { DetailPanel } from "../gallery/detail";
import { GalleryFooter } from "../gallery/footer";
import { GalleryInputs, GalleryQuestion } from "../gallery/header";
import { ScoreHistogram } from "../gallery/histogram";
import { galleryBindings } from "../gallery/keys";
import { MapTab } from "../gallery/map";
import { QueryCard } from "../gallery/query-card";
import { galleryQuestion } from "../gallery/question-text";
import { SIDES } from "../gallery/ranking";
import { SideRow } from "../gallery/rows";
import { GalleryStore } from "../gallery/store";
import { GalleryTable } from "../gallery/table";
import { Tabs } from "../gallery/tabs";
import { TriageTab } from "../gallery/triage";
import { VerdictBar } from "../gallery/verdict-bar";
import { scanText } from "../gallery/words";
import { drawing } from "../lib/drawing";

function Influence({ store }: { store: GalleryStore }) {
  const { value: opened } = store.detail;
  const beside = opened === null ? null : (store.rankOf(opened)?.side ?? "opponents");
  return (
    <>
      <CoverageLine store={store} />
      {SIDES.map((side) => (
        <Fragment key={side}>
          <SideRow store={store} side={side} />
          {beside === side && <DetailPanel store={store} />}
        </Fragment>
      ))}
      <ScoreHistogram store={store} />
    </>
  );
}

const PANELS = { influence: Influence, triage: TriageTab, map: MapTab } as const;

function EmptyState({ store }: { store: GalleryStore }) {
  return (
    <div class="xw-empty">
      {store.running.value ? (
        <p>The training examples are on their way…</p>
      ) : (
        <>
          <p>Nothing to show yet. Build an index of the training set once, then ask about an example:</p>
          <pre class="xw-pre">
            {"index = xw.TrainingIndex.build(model, dataset, checkpoints=files)\nxw.trace(index, query)"}
          </pre>
        </>
      )}
    </div>
  );
}

function ExampleGallery({ store }: { store: GalleryStore }) {
  const tab = store.tab.value;
  const hasQuery = store.candidates.value !== null && store.candidates.value.items.length > 0;
  const Panel = PANELS[tab];
  return (
    <Frame
      store={store}
      label={galleryQuestion(store)}
      question={<GalleryQuestion store={store} />}
      summary={scanText(store)}
      bindings={galleryBindings}
      focused="the cards have"
      note="a click opens an example beside the query; with Ctrl it selects, with Shift it selects up to there; dragging over the data map draws a box"
    >
      <Notices notices={store.notices.value} />
      <GalleryInputs store={store} />
      {hasQuery || store.columns.value ? (
        <>
          <MethodSettings store={store} />
          <Tabs store={store} />
          <GalleryControls store={store} />
          <GalleryFilters store={store} />
          <div class="xw-gallery">
            {hasQuery && <QueryCard store={store} />}
            <div
              class="xw-gallery-main"
              role="tabpanel"
              id={`${store.uid}-panel`}
              aria-labelledby={`${store.uid}-tab-${tab}`}
            >
              <VerdictBar store={store} />
              <Panel store={store} />
              {tab !== "influence" && <DetailPanel store={store} />}
            </div>
          </div>
          <GalleryTable store={store} />
          <GalleryFooter store={store} />
        </>
      ) : (
        <EmptyState store={store} />
      )}
    </Frame>
  );
}

export const mount = drawing(GalleryStore, ExampleGallery);
