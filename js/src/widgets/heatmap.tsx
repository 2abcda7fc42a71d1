// HeatmapOverlay: one question about one picture, with the numbers behind the colours.

import "../styles/answers.css";
import "../styles/heatmap.css";
import { ClassBars } from "../components/class-bars";
import { Frame } from "../components/frame";
import { Notices } from "../components/messages";
import { MethodNote, Parameters } from "../components/parameters";
import { QuestionLine } from "../components/question";
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
import { questionText } from "../lib/question-text";
import type { More } from "../lib/view";

function Heatmap({ store, more }: { store: HeatmapStore; more: More }) {
  const title = store.method.value?.title ?? store.question.value.method_title;
  const hasPicture = store.photo.value !== null || store.map.value !== null;
  return (
    <Frame
      store={store}
      more={more}
      label={questionText(store.question.value)}
      question={
        <QuestionLine
          store={store}
          classes={store.classes.value}
          targetId={store.targetId}
          onTarget={(id) => store.explain(id)}
          onFoil={(foil) => store.change({ foil })}
        />
      }
      summary={costSummary(store.quality.value)}
      bindings={heatmapBindings}
      note="hover reads, click locks, drag sums a region, Ctrl + wheel zooms, Alt + drag moves the zoomed picture"
    >
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
          {title && (
            <div class="xw-method" role="group" aria-label="method">
              <h3 class="xw-heading">
                <bdi>{title}</bdi>
              </h3>
              <Parameters store={store} />
              <MethodNote store={store} />
            </div>
          )}
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
    </Frame>
  );
}

export const mount = drawing(HeatmapStore, Heatmap);
