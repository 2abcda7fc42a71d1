// HeatmapOverlay: one question about one picture, with the numbers behind the colours.

import "../styles/answers.css";
import "../styles/heatmap.css";
import { useMemo } from "preact/hooks";
import { ClassBars } from "../components/class-bars";
import { HelpPanel } from "../components/help";
import { ErrorPanel, Notices } from "../components/messages";
import { MethodNote, Parameters } from "../components/parameters";
import { QuestionLine } from "../components/question";
import { ProgressLine, StatusChip } from "../components/status";
import { costSummary } from "../components/trust";
import { MainControls, MoreControls } from "../heatmap/controls";
import { Footer } from "../heatmap/footer";
import { heatmapBindings } from "../heatmap/keys";
import { Legend } from "../heatmap/legend";
import { Pictures } from "../heatmap/pictures";
import { Readout } from "../heatmap/readout";
import { RegionCard } from "../heatmap/region-card";
import { HeatmapStore } from "../heatmap/store";
import { UnitTable } from "../heatmap/table";
import { Thumbnails } from "../heatmap/thumbnails";
import { drawing } from "../lib/drawing";
import { handleKey } from "../lib/keys";
import { questionText } from "../lib/question-text";

function Heatmap({ store }: { store: HeatmapStore }) {
  const bindings = useMemo(() => heatmapBindings(store), [store]);
  const hasPicture = store.photo.value !== null || store.map.value !== null;
  return (
    <div
      class="xw-widget"
      data-theme={store.shade.value}
      data-status={store.status.value}
      data-polarity={store.polarity.value}
      data-lm-suppress-shortcuts="true"
      role="group"
      aria-label={questionText(store.question.value)}
      aria-describedby={`${store.uid}-caption`}
      onKeyDown={(event) => handleKey(event, bindings)}
    >
      <div class="xw-header">
        <QuestionLine
          store={store}
          classes={store.classes.value}
          targetId={store.targetId}
          onTarget={(id) => store.explain(id)}
          onFoil={(foil) => store.change({ foil })}
        />
        <StatusChip store={store} summary={costSummary(store.quality.value)} />
      </div>
      <ProgressLine store={store} />
      <ErrorPanel store={store} />
      <Notices notices={store.notices.value} />
      <Thumbnails store={store} />
      <div class="xw-body">
        <div class="xw-main">
          <Pictures store={store} />
          {hasPicture && <Readout store={store} />}
          <Legend store={store} />
        </div>
        <div class="xw-side">
          <ClassBars
            classes={store.classes.value}
            targetId={store.targetId}
            foilId={store.params.value.foil}
            offReason={store.offReason.value}
            onExplain={(id) => store.explain(id)}
            onContrast={(id) => store.contrast(id)}
          />
          <div class="xw-method" role="group" aria-label="method">
            <h3 class="xw-heading">
              <bdi>{store.method.value?.title ?? store.question.value.method_title}</bdi>
            </h3>
            <Parameters store={store} />
            <MethodNote store={store} />
          </div>
          <RegionCard store={store} />
        </div>
      </div>
      {hasPicture && (
        <>
          <MainControls store={store} />
          <MoreControls store={store} />
          <UnitTable store={store} />
          <Footer store={store} />
        </>
      )}
      <p id={`${store.uid}-caption`} class="xw-visually-hidden">
        {store.caption.value}
      </p>
      <output class="xw-visually-hidden" aria-live="polite">
        {store.announcer.text.value}
      </output>
      <HelpPanel
        store={store}
        bindings={bindings}
        note="hover reads, click locks, drag sums a region, Ctrl + wheel zooms, Alt + drag moves the zoomed picture"
      />
    </div>
  );
}

export const mount = drawing((...view) => <Heatmap store={new HeatmapStore(...view)} />);
