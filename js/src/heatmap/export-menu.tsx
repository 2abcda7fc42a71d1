// Files from the page itself, and the Python lines for what only the kernel can give.

import { useRef, useState } from "preact/hooks";
import { copyText } from "../lib/clipboard";
import { download } from "../lib/download";
import { useFocusWhileOpen } from "../lib/focus";
import { fileFromKernel } from "../lib/kernel-file";
import { csvOf, jsonOf } from "./export-data";
import { figurePng, figureSvg } from "./export-figure";
import { questionText } from "./question-text";
import type { HeatmapStore } from "./store";

const PYTHON_LINES = [
  { text: 'w.to_html("explanation.html")', means: "a page that works without a kernel" },
  { text: 'w.result.save("explanation.safetensors")', means: "values, error and cost" },
];

interface Format {
  name: string;
  title: string;
  /** Made by the kernel. */
  live?: boolean;
  make(store: HeatmapStore): Blob | Promise<Blob>;
}

const FORMATS: Format[] = [
  { name: "png", title: "PNG figure", make: (store) => figurePng(store, questionText(store)) },
  {
    name: "svg",
    title: "SVG figure",
    make: (store) => new Blob([figureSvg(store, questionText(store)).markup], { type: "image/svg+xml" }),
  },
  { name: "csv", title: "CSV of the units", make: (store) => new Blob([csvOf(store)], { type: "text/csv" }) },
  {
    name: "json",
    title: "JSON with provenance",
    make: (store) => new Blob([jsonOf(store)], { type: "application/json" }),
  },
  {
    name: "html",
    title: "HTML page that works offline",
    live: true,
    make: (store) => fileFromKernel(store.bridge, "html"),
  },
  { name: "npy", title: "NumPy array", live: true, make: (store) => fileFromKernel(store.bridge, "npy") },
];

function PythonLine({ text, means }: { text: string; means: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <button type="button" class="xw-menu-item" title={`copy: ${means}`} onClick={() => copyText(text).then(setCopied)}>
      <code class="xw-code">{text}</code>
      <span class="xw-quiet">{copied ? "copied" : means}</span>
    </button>
  );
}

export function ExportMenu({ store }: { store: HeatmapStore }) {
  const [failure, setFailure] = useState("");
  const open = store.exportOpen.value;
  const first = useRef<HTMLButtonElement>(null);
  useFocusWhileOpen(open, first);
  const save = async (format: Format) => {
    try {
      download(`explanation.${format.name}`, await format.make(store));
      store.exportOpen.value = false;
      setFailure("");
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <span
      class="xw-export"
      onFocusOut={(event) => {
        const next = event.relatedTarget;
        if (next instanceof Node && !event.currentTarget.contains(next)) store.exportOpen.value = false;
      }}
    >
      <button
        type="button"
        class="xw-button xw-disclosure"
        title="save the figure or the values (e)"
        aria-expanded={open}
        onClick={() => {
          store.exportOpen.value = !open;
        }}
      >
        Export
      </button>
      {open && (
        <div class="xw-menu" role="group" aria-label="export">
          {FORMATS.map((format, index) => (
            <button
              key={format.name}
              ref={index === 0 ? first : null}
              type="button"
              class="xw-menu-item"
              disabled={!store.map.value || (format.live === true && !store.live)}
              title={format.live ? store.offReason.value : ""}
              onClick={() => save(format)}
            >
              {format.title}
            </button>
          ))}
          <p class="xw-menu-heading">In Python, click copies</p>
          {PYTHON_LINES.map((line) => (
            <PythonLine key={line.text} {...line} />
          ))}
          {failure && <p class="xw-menu-heading">{failure}</p>}
        </div>
      )}
    </span>
  );
}
