// How the candidates are scored, how many are shown, and which. Nothing here asks the kernel.

import { useEffect, useRef, useState } from "preact/hooks";
import { Menu, type MenuItem } from "../components/menu";
import { MethodNote, Parameters } from "../components/parameters";
import { Segmented } from "../components/segmented";
import { Slider } from "../components/slider";
import { CheckpointMask } from "./checkpoints";
import { SORTS } from "./columns";
import { isFiltering } from "./ranking";
import type { GalleryStore } from "./store";
import type { ScoreMode, Sort } from "./traits";
import { MODE_TITLES } from "./words";

const MOST_CARDS = 48;
/** After the last letter. */
const TYPED_MS = 200;

export function GalleryControls({ store }: { store: GalleryStore }) {
  const modes = store.modes.value;
  if (store.tab.value !== "influence") return null;
  return (
    <div class="xw-controls xw-gallery-controls">
      {modes.length > 1 && (
        <Segmented<ScoreMode>
          label="Score"
          name={`${store.uid}-mode`}
          value={store.mode.value}
          segments={modes.map((value) => ({ value, text: value, title: MODE_TITLES[value] }))}
          onChoose={(mode) => store.setMode(mode)}
        />
      )}
      <CheckpointMask store={store} />
      <Slider
        label="Cards"
        value={Math.min(store.k.value, MOST_CARDS)}
        low={2}
        high={MOST_CARDS}
        step={1}
        integer
        help="how many of each side are shown at a time"
        format={String}
        onPreview={(k) => store.setK(k)}
      />
    </div>
  );
}

function ClassFilter({ store, which }: { store: GalleryStore; which: "given" | "predicted" }) {
  const chosen = store.filters.value[which];
  const items: MenuItem[] = [{ value: "", title: "any" }];
  store.names.value.forEach((name, id) => {
    items.push({ value: String(id), title: name });
  });
  return (
    <div class="xw-field">
      <span class="xw-label" aria-hidden="true">
        {which === "given" ? "Labelled" : "Predicted"}
      </span>
      <Menu
        label={which === "given" ? "only examples labelled" : "only examples predicted as"}
        value={String(chosen ?? "")}
        items={items}
        onChoose={(value) => store.setFilters({ [which]: value === "" ? null : Number(value) })}
      />
    </div>
  );
}

function TextFilter({ store }: { store: GalleryStore }) {
  const { text } = store.filters.value;
  const [draft, setDraft] = useState(text);
  const own = useRef(text);
  const take = (sought: string) => {
    own.current = sought;
    store.setFilters({ text: sought });
  };
  useEffect(() => {
    // cleared or set elsewhere; what was written here must not undo what has been typed since
    if (text !== own.current) setDraft(text);
    own.current = text;
  }, [text]);
  useEffect(() => {
    if (draft === own.current) return;
    const timer = setTimeout(take, TYPED_MS, draft);
    return () => clearTimeout(timer);
  }, [draft]);
  return (
    <input
      type="search"
      class="xw-text-field xw-filter-text"
      aria-label="only examples with this text, class or number"
      placeholder={store.medium.value === "text" ? "text, class or number" : "class or number"}
      spellcheck={false}
      autocomplete="off"
      value={draft}
      onInput={(event) => setDraft(event.currentTarget.value)}
      onKeyDown={(event) => event.key === "Enter" && take(draft)}
    />
  );
}

function SortMenu({ store }: { store: GalleryStore }) {
  const columns = store.columns.value;
  if (!columns) return null;
  const sorts = (Object.keys(SORTS) as Sort[]).filter((sort) => columns.has(sort));
  return (
    <div class="xw-field">
      <span class="xw-label" aria-hidden="true">
        Sort
      </span>
      <Menu
        label="order of the examples"
        value={store.sort.value}
        items={sorts.map((sort) => ({ value: sort, title: SORTS[sort].title }))}
        onChoose={(sort) => store.setSort(sort as Sort)}
      />
    </div>
  );
}

/** Which examples: the same for cards, triage and map. */
export function GalleryFilters({ store }: { store: GalleryStore }) {
  const classes = store.names.value.length > 0;
  return (
    <div class="xw-filters" role="group" aria-label="filters">
      {classes && (
        <>
          <ClassFilter store={store} which="given" />
          <ClassFilter store={store} which="predicted" />
          <label class="xw-field" title="only examples that the model does not predict as they are labelled">
            <input
              type="checkbox"
              class="xw-checkbox"
              aria-label="only wrong predictions"
              checked={store.filters.value.wrong}
              onChange={(event) => store.setFilters({ wrong: event.currentTarget.checked })}
            />
            y ≠ ŷ
          </label>
        </>
      )}
      <TextFilter store={store} />
      {store.tab.value !== "influence" && <SortMenu store={store} />}
      {isFiltering(store.filters.value) && (
        <button type="button" class="xw-link" onClick={() => store.clearFilters()}>
          Clear
        </button>
      )}
    </div>
  );
}

/** Settings of the method: these do ask the kernel. */
export function MethodSettings({ store }: { store: GalleryStore }) {
  if (!store.moreOpen.value) return null;
  return (
    <div class="xw-more xw-gallery-more">
      <MethodNote store={store} />
      <Parameters store={store} />
    </div>
  );
}
