// The methods there are, by family.

import type { BaseStore } from "../lib/base-store";
import { settingsFor } from "../lib/method";
import { Menu, type MenuGroup, type MenuItem } from "./menu";

function methodGroups(store: BaseStore): MenuGroup[] {
  const groups = new Map<string, MenuItem[]>();
  for (const method of store.methods.value) {
    const items = groups.get(method.family) ?? [];
    groups.set(method.family, [...items, { value: method.name, title: method.title }]);
  }
  return [...groups].map(([title, items]) => ({ title, items }));
}

export function MethodMenu({ store }: { store: BaseStore }) {
  const params = store.params.value;
  const methods = store.methods.value;
  if (methods.length === 0) return <bdi class="xw-noun">{store.question.value.method_title}</bdi>;
  return (
    <Menu
      inline
      label="method"
      value={params.method}
      groups={methodGroups(store)}
      offReason={store.offReason.value}
      onChoose={(method) => store.change(settingsFor(method, methods, params, store.method.value, store.layers.value))}
    />
  );
}
