// The last line: how good the numbers are, and what else can be done with them.

import { useMemo } from "preact/hooks";
import { ExportMenu } from "../components/export-menu";
import { Toggle } from "../components/toggle";
import { GapBadge, TestButton, Trust } from "../components/trust";
import { formatsOf } from "./export";
import type { TokenStore } from "./store";

const PYTHON_LINES = [
  { text: 'w.to_html("why.html")', means: "a page that works without a kernel" },
  { text: 'w.result.save("why.safetensors")', means: "values, error and cost" },
  { text: "w.selection_sum", means: "the chosen phrase" },
];
const MATRIX_LINE = { text: "w.attribution_matrix()", means: "all outputs against all inputs" };

const CAVEAT =
  "Words that look right may still not be what the model used: mask them, and compare methods. Long words and their neighbours catch the eye; bars are read more exactly than colours.";

export function TokenFooter({ store }: { store: TokenStore }) {
  const formats = useMemo(() => formatsOf(store), [store]);
  const { quality } = store.about.value;
  return (
    <div class="xw-footer">
      <GapBadge quality={quality} />
      <Trust quality={quality} caveat={CAVEAT} noModel={store.noModel.value} />
      <TestButton store={store} />
      <span class="xw-footer-tools">
        <Toggle open={store.searchOpen} title="find in the text (/)" text="Find" />
        {!store.noModel.value && (
          <Toggle open={store.editOpen} title="edit the text and see the answer change (i)" text="Edit" />
        )}
        <Toggle open={store.moreOpen} title="scale, special tokens, colours (d)" text="Display" />
        <Toggle open={store.tableOpen} title="the values as a table (t)" text="Table" />
        <ExportMenu
          open={store.exportOpen}
          formats={formats}
          pythonLines={store.task.value === "generate" ? [...PYTHON_LINES, MATRIX_LINE] : PYTHON_LINES}
          ready={store.result.value !== null}
          offReason={store.offReason.value}
        />
        <Toggle open={store.helpOpen} title="keys (?)" text="?" label="keys" />
      </span>
    </div>
  );
}
