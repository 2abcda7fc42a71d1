// The last line: what else can be done with what is on show.

import { useMemo } from "preact/hooks";
import { ExportMenu, type Format } from "../components/export-menu";
import { Toggle } from "../components/toggle";
import { TestButton, Trust } from "../components/trust";
import { fileFromKernel } from "../lib/kernel-file";
import type { Quality } from "../lib/traits";
import { csvOf, jsonOf } from "./export-data";
import { figurePng, figureSvg } from "./export-figure";
import type { Run } from "./run";
import type { PathStore } from "./store";
import type { Mode } from "./traits";
import { questionOf } from "./words";

const PYTHON_LINES = [
  { text: 'w.to_html("path.html")', means: "a page that works without a kernel" },
  { text: 'w.result.save("path.safetensors")', means: "the attribution on show" },
  { text: "w.alphas, w.F, w.C", means: "the curves" },
];

export function formatsOf(store: PathStore): Format[] {
  const withRun =
    (make: (run: Run) => Blob | Promise<Blob>): Format["make"] =>
    () => {
      const run = store.lastRun.value;
      if (!run) throw new Error("There is nothing to save yet.");
      return make(run);
    };
  const blob = (text: string, type: string) => new Blob([text], { type });
  return [
    { name: "png", title: "PNG figure", make: withRun((run) => figurePng(store, run)) },
    { name: "svg", title: "SVG figure", make: withRun((run) => blob(figureSvg(store, run).markup, "image/svg+xml")) },
    {
      name: "csv",
      title: "CSV of the curves",
      make: withRun((run) => blob(csvOf(run, questionOf(store)), "text/csv")),
    },
    {
      name: "json",
      title: "JSON of the run, with provenance",
      make: withRun((run) => blob(jsonOf(store, run), "application/json")),
    },
    {
      name: "html",
      title: "HTML page that works offline",
      live: true,
      make: () => fileFromKernel(store.bridge, "html"),
    },
    { name: "npy", title: "NumPy array", live: true, make: () => fileFromKernel(store.bridge, "npy") },
  ];
}

const CAVEATS: Record<Mode, string> = {
  path: "The path tells what the model does between these two inputs. Another baseline is another question: compare them.",
  distribution: "A mean over many baselines hides how far they differ: look at single ones, too.",
};

/** What the sentences of a map say, about a run. */
function qualityOf(store: PathStore): Quality {
  const run = store.run.value;
  if (!run) return {};
  const { gaps, facts } = run;
  const gap = gaps.relative && gaps.difference ? Math.abs(gaps.end / gaps.difference) : null;
  return { delta: gaps.end, difference: gaps.difference, gap, ...facts };
}

export function PathFooter({ store }: { store: PathStore }) {
  const formats = useMemo(() => formatsOf(store), [store]);
  return (
    <div class="xw-footer">
      <Trust quality={qualityOf(store)} caveat={CAVEATS[store.mode.value]} />
      <TestButton store={store} />
      <span class="xw-footer-tools">
        <Toggle open={store.tableOpen} title="the curves as a table (t)" text="Table" />
        <ExportMenu
          open={store.exportOpen}
          formats={formats}
          pythonLines={PYTHON_LINES}
          ready={store.lastRun.value !== null}
          offReason={store.offReason.value}
        />
        <Toggle open={store.helpOpen} title="keys (?)" text="?" label="keys" />
      </span>
    </div>
  );
}
