// Three views of the training set.

import { TabList } from "../components/tabs";
import type { GalleryStore } from "./store";
import type { Tab } from "./traits";

const TABS: readonly (readonly [tab: Tab, text: string])[] = [
  ["influence", "Influence"],
  ["triage", "Triage"],
  ["map", "Data map"],
];

export function Tabs({ store }: { store: GalleryStore }) {
  return (
    <TabList
      uid={store.uid}
      label="views of the training set"
      tabs={TABS}
      chosen={store.tab.value}
      onChoose={(tab) => store.setTab(tab)}
    />
  );
}
