// What should happen to an example, or to all that are selected.

import { Menu } from "../components/menu";
import type { GalleryStore } from "./store";
import { VERDICTS } from "./verdicts";

/** The label that all targets would get, if they would get the same. */
function commonLabel(store: GalleryStore): number | null {
  const labels = new Set(
    store.targets.value.slice(0, 200).map((id) => {
      const entry = store.verdicts.value[id];
      return entry?.verdict === "relabel" ? entry.label : store.suggestion(id);
    }),
  );
  return labels.size === 1 ? ([...labels][0] ?? null) : null;
}

/** Nothing in it changes its width with the example: what is below must not move. */
export function VerdictBar({ store }: { store: GalleryStore }) {
  const targets = store.targets.value;
  const selected = store.selection.value.length;
  const one = targets.length === 1 ? store.verdicts.value[targets[0] ?? -1] : undefined;
  const label = commonLabel(store);
  const none = targets.length === 0;
  const names = store.names.value;
  const whom = none ? "Verdict" : targets.length === 1 ? `#${targets[0]}` : `${targets.length} selected`;
  return (
    <div class="xw-verdicts" role="group" aria-label="verdict">
      <span class="xw-number xw-verdict-whom">{whom}</span>
      <span class="xw-verdict-buttons">
        {VERDICTS.map((verdict, index) => (
          <button
            key={verdict}
            type="button"
            class="xw-button"
            data-verdict={verdict}
            aria-pressed={one?.verdict === verdict}
            disabled={none}
            title={`${verdict} (${index + 1})`}
            onClick={() => store.judge(one?.verdict === verdict ? null : verdict)}
          >
            <kbd class="xw-key">{index + 1}</kbd> {verdict}
            {verdict === "relabel" && names.length > 0 && (
              <span class="xw-card-wrong">
                → <bdi>{label === null ? "…" : store.className(label)}</bdi>
              </span>
            )}
          </button>
        ))}
        {names.length > 0 && (
          <Menu
            label="relabel as"
            value={one?.verdict === "relabel" && one.label !== null ? String(one.label) : ""}
            items={[
              { value: "", title: "as…", disabled: true },
              ...names.map((title, y) => ({ value: String(y), title })),
            ]}
            offReason={none ? "select an example first" : ""}
            onChoose={(y) => store.judge("relabel", targets, Number(y))}
          />
        )}
      </span>
      <span class="xw-verdict-rest">
        <span class="xw-number">{selected} selected</span>
        <button type="button" class="xw-button" disabled={selected === 0} onClick={() => store.select([])}>
          clear
        </button>
        <button
          type="button"
          class="xw-button"
          disabled={store.undoable.value === ""}
          title={store.undoable.value ? `take back: ${store.undoable.value} (u)` : "nothing to undo"}
          onClick={() => store.undo()}
        >
          <kbd class="xw-key">u</kbd> undo
        </button>
      </span>
    </div>
  );
}
