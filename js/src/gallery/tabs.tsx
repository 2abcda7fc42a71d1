// Three views of the training set.

import type { GalleryStore } from "./store";
import type { Tab } from "./traits";

const TABS: readonly (readonly [tab: Tab, text: string])[] = [
  ["influence", "Influence"],
  ["triage", "Triage"],
  ["map", "Data map"],
];

export function Tabs({ store }: { store: GalleryStore }) {
  const step = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || !(event.currentTarget instanceof HTMLElement)) return;
    const at = TABS.findIndex(([tab]) => tab === store.tab.value);
    const [next] = TABS[(at + by + TABS.length) % TABS.length] ?? ["influence"];
    store.setTab(next);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab=${next}]`)?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="xw-tabs" role="tablist" aria-label="views of the training set" onKeyDown={step}>
      {TABS.map(([tab, text]) => (
        <button
          key={tab}
          type="button"
          role="tab"
          class="xw-tab"
          id={`${store.uid}-tab-${tab}`}
          data-tab={tab}
          aria-selected={store.tab.value === tab}
          aria-controls={`${store.uid}-panel`}
          tabIndex={store.tab.value === tab ? 0 : -1}
          onClick={() => store.setTab(tab)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
