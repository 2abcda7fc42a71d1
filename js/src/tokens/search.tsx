// Find a phrase in the text: which of how many, next and previous. Matches are marked in the strip.

import { useEffect, useRef } from "preact/hooks";
import { useFocusWhileOpen } from "../lib/focus";
import { formatCount } from "../lib/format";
import type { TokenStore } from "./store";

export function endSearch(store: TokenStore): void {
  const place = store.cursor.value;
  store.searchOpen.value = false;
  // the field is gone: back to where the reader was led
  if (place) store.goTo(place.token);
}

function countText({ query, hits, at }: TokenStore["search"]["value"]): string {
  if (query === "") return "";
  if (hits.length === 0) return "not found";
  return `${formatCount(at + 1)} of ${formatCount(hits.length)}`;
}

export function SearchBar({ store }: { store: TokenStore }) {
  const field = useRef<HTMLInputElement>(null);
  const open = store.searchOpen.value;
  useFocusWhileOpen(open, field);
  useEffect(() => (open ? () => store.endSearch() : undefined), [store, open]);
  if (!open) return null;
  const search = store.search.value;
  const step = (direction: 1 | -1) => () => store.stepHit(direction);
  return (
    <div class="xw-search" role="search" aria-label="in the text">
      <input
        ref={field}
        type="text"
        class="xw-text-field"
        aria-label="find in the text"
        placeholder="find in the text"
        dir="auto"
        autocomplete="off"
        value={search.query}
        onInput={(event) => store.find(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") store.stepHit(event.shiftKey ? -1 : 1);
        }}
      />
      <output class="xw-number">{countText(search)}</output>
      <button
        type="button"
        class="xw-button"
        aria-label="previous match"
        title="previous match (⇧⏎)"
        disabled={search.hits.length === 0}
        onClick={step(-1)}
      >
        ↑
      </button>
      <button
        type="button"
        class="xw-button"
        aria-label="next match"
        title="next match (⏎)"
        disabled={search.hits.length === 0}
        onClick={step(1)}
      >
        ↓
      </button>
      <button type="button" class="xw-button" title="end the search (Esc)" onClick={() => endSearch(store)}>
        Done
      </button>
    </div>
  );
}
