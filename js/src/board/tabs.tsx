// Four views of what stands behind the numbers.

import { TabList } from "../components/tabs";
import type { BoardStore } from "./store";
import type { Tab } from "./traits";

export const TABS: readonly (readonly [tab: Tab, text: string])[] = [
  ["maps", "Maps"],
  ["pair", "Two maps"],
  ["curves", "Curves"],
  ["agreement", "Agreement"],
];

export function Tabs({ store }: { store: BoardStore }) {
  return (
    <TabList
      uid={store.uid}
      label="what stands behind the numbers"
      tabs={TABS}
      chosen={store.tab.value}
      onChoose={(tab) => store.setTab(tab)}
    />
  );
}
