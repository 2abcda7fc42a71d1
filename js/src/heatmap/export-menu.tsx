// What can be saved of a heatmap.

import { useMemo } from "preact/hooks";
import { ExportMenu as Menu } from "../components/export-menu";
import { fileFromKernel } from "../lib/kernel-file";
import { questionText } from "../lib/question-text";
import { csvOf, jsonOf } from "./export-data";
import { figurePng, figureSvg } from "./export-figure";
import type { HeatmapStore } from "./store";

const PYTHON_LINES = [
  { text: 'w.to_html("explanation.html")', means: "a page that works without a kernel" },
  { text: 'w.result.save("explanation.safetensors")', means: "values, error and cost" },
];

function formatsOf(store: HeatmapStore) {
  return [
    { name: "png", title: "PNG figure", make: () => figurePng(store, questionText(store.question.value)) },
    {
      name: "svg",
      title: "SVG figure",
      make: () => new Blob([figureSvg(store, questionText(store.question.value)).markup], { type: "image/svg+xml" }),
    },
    { name: "csv", title: "CSV of the units", make: () => new Blob([csvOf(store)], { type: "text/csv" }) },
    {
      name: "json",
      title: "JSON with provenance",
      make: () => new Blob([jsonOf(store)], { type: "application/json" }),
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

export function ExportMenu({ store }: { store: HeatmapStore }) {
  const formats = useMemo(() => formatsOf(store), [store]);
  return (
    <Menu
      open={store.exportOpen}
      formats={formats}
      pythonLines={PYTHON_LINES}
      ready={store.map.value !== null}
      offReason={store.offReason.value}
    />
  );
}
