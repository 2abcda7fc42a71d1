// The values as files: a table of units, and everything with its provenance.

import { quoted } from "../lib/csv";
import type { HeatmapStore } from "./store";

/** Rows of the map as it is read now: one line per unit, in the order of the picture. */
export function csvOf(store: HeatmapStore): string {
  const units = store.units.value;
  const ranking = store.ranking.value;
  if (!units || !ranking) return "";
  const question = store.question.value;
  const lines = [
    `# ${quoted(`${question.method_title}: why ${question.target_label}`)}`,
    units.kind === "superpixel" ? "superpixel,value,share,rank" : "row,column,value,share,rank",
  ];
  units.values.forEach((value, unit) => {
    const place =
      units.kind === "superpixel" ? `${unit}` : `${Math.floor(unit / units.columns)},${unit % units.columns}`;
    const share = ranking.total > 0 ? value / ranking.total : 0;
    lines.push(`${place},${value},${share},${ranking.rank(unit)}`);
  });
  return `${lines.join("\n")}\n`;
}

export function jsonOf(store: HeatmapStore): string {
  const map = store.map.value;
  const rows = map
    ? Array.from({ length: map.height }, (_, y) => [...map.values.subarray(y * map.width, (y + 1) * map.width)])
    : [];
  return JSON.stringify(
    {
      question: store.question.value,
      params: store.params.value,
      map: map && { key: map.info.key, label: map.info.label, unit: map.info.unit, signed: map.info.signed },
      values: rows,
      display: store.display.value,
      range: store.range.value,
      classes: store.classes.value,
      quality: store.quality.value,
      region: store.region.value,
      caption: store.caption.value,
      provenance: store.provenance.value,
    },
    null,
    1,
  );
}
