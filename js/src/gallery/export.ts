// What leaves the gallery: positions to copy, tables, figures, and everything with its provenance.

import type { Copy, Format } from "../components/export-menu";
import { quoted } from "../lib/csv";
import { formatCount } from "../lib/format";
import { fileFromKernel } from "../lib/kernel-file";
import { figurePng, figureSvg } from "./export-figure";
import { csvText, listText, recordsOf } from "./indices";
import { weighingOf } from "./parts";
import { galleryQuestion } from "./question-text";
import type { GalleryStore } from "./store";

export interface Chosen {
  what: "selected" | "judged" | "shown";
  ids: number[];
}

/** What is meant by "these": the selected ones, else those with a verdict, else the cards on show. */
export function chosenOf(store: GalleryStore): Chosen {
  const selected = store.selection.value;
  if (selected.length > 0) return { what: "selected", ids: [...selected] };
  const judged = Object.keys(store.verdicts.value).map(Number);
  if (judged.length > 0) return { what: "judged", ids: judged };
  const { proponents, opponents } = store.shown.value;
  return { what: "shown", ids: [...proponents, ...opponents].map(({ id }) => id) };
}

/** What a table is of: the selected or judged ones, else every stored candidate. */
export function exportedIds(store: GalleryStore): number[] {
  const { what, ids } = chosenOf(store);
  if (what !== "shown") return ids;
  const { proponents, opponents } = store.ranking.value;
  return [...proponents, ...opponents].map(({ id }) => id);
}

export function galleryCsv(store: GalleryStore): string {
  return `# ${quoted(galleryQuestion(store))}\n${csvText(recordsOf(store, exportedIds(store)))}\n`;
}

export function galleryJson(store: GalleryStore): string {
  const weighing = weighingOf(store);
  return JSON.stringify(
    {
      question: { ...store.question.value, text: galleryQuestion(store) },
      params: store.params.value,
      query: store.query.value,
      score: {
        mode: weighing.mode,
        checkpoints: store.ckpts.value.map((one, place) => ({ ...one, counts: weighing.mask[place] })),
      },
      rank: store.rank.value,
      examples: recordsOf(store, exportedIds(store)).map((record) => ({
        ...record,
        per_checkpoint: store.partsOf(record.id),
      })),
      selected: store.selection.value,
      verdicts: store.verdicts.value,
      caption: store.caption.value,
      provenance: store.provenance.value,
    },
    null,
    1,
  );
}

export function formatsOf(store: GalleryStore): Format[] {
  const blob = (text: string, type: string) => new Blob([text], { type });
  return [
    {
      name: "html",
      title: "HTML page that works offline",
      live: true,
      make: () => fileFromKernel(store.bridge, "html"),
    },
    { name: "svg", title: "SVG figure", make: async () => blob((await figureSvg(store)).markup, "image/svg+xml") },
    { name: "png", title: "PNG figure", make: () => figurePng(store) },
    { name: "csv", title: "CSV of the examples", make: () => blob(galleryCsv(store), "text/csv") },
    { name: "json", title: "JSON with provenance", make: () => blob(galleryJson(store), "application/json") },
    { name: "npy", title: "NumPy array of the scores", live: true, make: () => fileFromKernel(store.bridge, "npy") },
  ];
}

export function copiesOf(store: GalleryStore): Copy[] {
  return [
    {
      title: () => {
        const { what, ids } = chosenOf(store);
        return `Copy the ${formatCount(ids.length)} ${what} as a list`;
      },
      make: () => listText(chosenOf(store).ids),
    },
  ];
}
