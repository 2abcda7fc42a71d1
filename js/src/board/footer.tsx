// The last line: what the table is worth, and what else can be done with it.

import { useMemo } from "preact/hooks";
import { ExportMenu } from "../components/export-menu";
import { Toggle } from "../components/toggle";
import { copiesOf, formatsOf } from "./export";
import type { BoardStore } from "./store";

const PYTHON_LINES = [
  { text: "w.frame()", means: "the table in pandas" },
  { text: "w.result", means: "the Evaluation, with curves and maps" },
  { text: 'w.result.save("board.safetensors")', means: "everything, to load again" },
];

export function BoardFooter({ store }: { store: BoardStore }) {
  const formats = useMemo(() => formatsOf(store), [store]);
  const copies = useMemo(() => copiesOf(store), [store]);
  return (
    <div class="xw-footer">
      <details class="xw-trust">
        <summary>Trust</summary>
        <div class="xw-trust-text">
          <p>
            Each column is one question put to the maps; none says whether an explanation is right. Two may rank the
            methods in opposite ways, and both be sound.
          </p>
          <p>
            Read a column against the controls: a map that does no better than random numbers or edges has shown nothing
            there. Intervals are over these inputs only; other inputs may rank otherwise.
          </p>
          <p class="xw-quiet">
            What is removed from an input leaves an input the model never saw: try another fill before believing a
            curve.
          </p>
        </div>
      </details>
      <span class="xw-footer-tools">
        <ExportMenu
          open={store.exportOpen}
          formats={formats}
          copies={copies}
          pythonLines={PYTHON_LINES}
          ready={store.entries.value.length > 0}
          offReason={store.offReason.value}
        />
        <Toggle open={store.helpOpen} title="keys (?)" text="?" label="keys" />
      </span>
    </div>
  );
}
