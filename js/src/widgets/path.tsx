// PathExplorer: how the answer comes about between a baseline and the input, and whether it depends on the baseline.

import "../styles/path.css";
import { useMemo } from "preact/hooks";
import { HelpPanel } from "../components/help";
import { ErrorPanel } from "../components/messages";
import { ProgressLine, StatusChip } from "../components/status";
import { drawing } from "../lib/drawing";
import { formatSeconds } from "../lib/format";
import { handleKey } from "../lib/keys";
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

function PathExplorer({ store }: { store: PathStore }) {
  const bindings = useMemo(() => pathBindings(store), [store]);
  const hasInput = store.photo.value !== null || store.tokens.value.length > 0 || store.lastRun.value !== null;
  return (
    <div
      class="xw-widget"
      data-theme={store.shade.value}
      data-status={store.status.value}
      data-polarity={store.polarity.value}
      data-lm-suppress-shortcuts="true"
      role="group"
      aria-label={questionOf(store)}
      aria-describedby={`${store.uid}-caption`}
      onKeyDown={(event) => handleKey(event, bindings)}
    >
      <div class="xw-header">
        <PathQuestion store={store} />
        <StatusChip store={store} summary={costOf(store)} />
      </div>
      <ProgressLine store={store} />
      <ErrorPanel store={store} />
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
      {store.decodeError.value && <p class="xw-readout">The result could not be decoded: {store.decodeError.value}</p>}
      <p id={`${store.uid}-caption`} class="xw-visually-hidden">
        {store.run.value?.caption ?? store.caption.value}
      </p>
      <output class="xw-visually-hidden" aria-live="polite">
        {store.announcer.text.value}
      </output>
      <HelpPanel
        store={store}
        bindings={bindings}
        note="hover over the curve previews that place, click goes there; drag the ends of the window"
      />
    </div>
  );
}

export const mount = drawing((...view) => <PathExplorer store={new PathStore(...view)} />);
