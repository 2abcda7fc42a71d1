// ExampleGallery: which training examples made the model say so.

import "../styles/gallery-cards.css";
import "../styles/gallery.css";
import { Fragment } from "preact";
import { useMemo } from "preact/hooks";
import { HelpPanel } from "../components/help";
import { ErrorPanel, Notices } from "../components/messages";
import { ProgressLine, StatusChip } from "../components/status";
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
import { handleKey } from "../lib/keys";

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
  const bindings = useMemo(() => galleryBindings(store), [store]);
  const tab = store.tab.value;
  const hasQuery = store.candidates.value !== null && store.candidates.value.items.length > 0;
  const Panel = PANELS[tab];
  return (
    <div
      class="xw-widget"
      data-theme={store.shade.value}
      data-status={store.status.value}
      data-polarity={store.polarity.value}
      data-lm-suppress-shortcuts="true"
      role="group"
      aria-label={galleryQuestion(store)}
      aria-describedby={`${store.uid}-caption`}
      onKeyDown={(event) => handleKey(event, bindings)}
    >
      <div class="xw-header">
        <GalleryQuestion store={store} />
        <StatusChip store={store} summary={scanText(store)} />
      </div>
      <ProgressLine store={store} />
      <ErrorPanel store={store} />
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
      {store.decodeError.value && <p class="xw-readout">The result could not be decoded: {store.decodeError.value}</p>}
      <p id={`${store.uid}-caption`} class="xw-visually-hidden">
        {store.caption.value}
      </p>
      <output class="xw-visually-hidden" aria-live="polite">
        {store.announcer.text.value}
      </output>
      <HelpPanel
        store={store}
        bindings={bindings}
        focused="the cards have"
        note="a click opens an example beside the query; with Ctrl it selects, with Shift it selects up to there; dragging over the data map draws a box"
      />
    </div>
  );
}

export const mount = drawing((...view) => <ExampleGallery store={new GalleryStore(...view)} />);
