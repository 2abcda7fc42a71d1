// PathExplorer: how the answer comes about between a baseline and the input, and whether it depends on the baseline.

import "../styles/path.css";
import { Frame } from "../components/frame";
import { drawing } from "../lib/drawing";
import { formatSeconds } from "../lib/format";
import type { More } from "../lib/view";
import { Baselines } from "../path/baselines";
import { PathControls } from "../path/controls";
import { CurvePanel } from "../path/curve";
import { PathFooter } from "../path/footer";
import { GapLine } from "../path/gaps";
import { pathBindings } from "../path/keys";
import { PathNotices } from "../path/notices";
import { Panels } from "../path/panels";
import { PathQuestion } from "../path/question";
import { References } from "../path/references";
import { Scrubber } from "../path/scrubber";
import { PathStore } from "../path/store";
import { CurveTable } from "../path/table";
import { TokenPanels } from "../path/token-panels";
import { questionOf } from "../path/words";

function costOf(store: PathStore): string {
  const facts = store.run.value?.facts;
  if (!facts) return "";
  const work = facts.samples ? `${facts.samples} samples` : `${facts.evaluations.gradient ?? facts.steps} gradients`;
  return [work, facts.seconds > 0 ? formatSeconds(facts.seconds) : ""].filter(Boolean).join(" · ");
}

function EmptyState({ store }: { store: PathStore }) {
  return (
    <div class="xw-empty">
      {store.running.value ? (
        <p>The first points of the path are on their way…</p>
      ) : (
        <>
          <p>Nothing to show yet. Give the widget a model and an input:</p>
          <pre class="xw-pre">xw.explore_path(model, image)</pre>
        </>
      )}
    </div>
  );
}

function Result({ store }: { store: PathStore }) {
  if (store.medium.value === "image") return <Panels store={store} />;
  return (
    <div class="xw-text-panels">
      <TokenPanels store={store} />
      <CurvePanel store={store} />
    </div>
  );
}

function PathExplorer({ store, more }: { store: PathStore; more: More }) {
  const hasInput = store.photo.value !== null || store.tokens.value.length > 0 || store.lastRun.value !== null;
  return (
    <Frame
      store={store}
      more={more}
      label={questionOf(store)}
      question={<PathQuestion store={store} />}
      summary={costOf(store)}
      caption={store.run.value?.caption}
      bindings={pathBindings}
      note="hover over the curve previews that place, click goes there; drag the ends of the window"
    >
      <PathNotices store={store} />
      {!hasInput && <EmptyState store={store} />}
      {hasInput && (
        <>
          <Result store={store} />
          <Scrubber store={store}>
            <PathControls store={store} />
          </Scrubber>
          <References store={store} />
          <GapLine store={store} />
          <CurveTable store={store} />
          <Baselines store={store} />
          <PathFooter store={store} />
        </>
      )}
    </Frame>
  );
}

export const mount = drawing(PathStore, PathExplorer);
