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

export function VerdictBar({ store }: { store: GalleryStore }) {
  const targets = store.targets.value;
  const selected = store.selection.value.length;
  const one = targets.length === 1 ? store.verdicts.value[targets[0] ?? -1] : undefined;
  const label = commonLabel(store);
  const none = targets.length === 0;
  const whom = none
    ? "select an example first"
    : targets.length === 1
      ? `#${targets[0]}`
      : `${targets.length} selected`;
  return (
    <div class="xw-verdicts" role="group" aria-label="verdict">
      <span class="xw-label">
        Verdict for <span class="xw-number xw-verdict-whom">{none ? "…" : whom}</span>
      </span>
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
            {verdict === "relabel" && label !== null && (
              <span>
                →<bdi>{store.className(label)}</bdi>
              </span>
            )}
          </button>
        ))}
        {store.names.value.length > 0 && !none && (
          <Menu
            label="relabel as"
            value={one?.verdict === "relabel" && one.label !== null ? String(one.label) : ""}
            items={[
              { value: "", title: "relabel as…", disabled: true },
              ...store.names.value.map((title, y) => ({ value: String(y), title })),
            ]}
            onChoose={(y) => store.judge("relabel", targets, Number(y))}
          />
        )}
      </span>
      <span class="xw-verdict-rest">
        {selected > 0 && (
          <>
            <span class="xw-number">{selected} selected</span>
            <button type="button" class="xw-link" onClick={() => store.select([])}>
              clear
            </button>
          </>
        )}
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
