// The methods there are, by family.

import type { BaseStore } from "../lib/base-store";
import { settingsFor } from "../lib/method";
import { Menu, type MenuGroup, type MenuItem } from "./menu";

function methodGroups(store: BaseStore): MenuGroup[] {
  const groups = new Map<string, MenuItem[]>();
  for (const method of store.methods.value) {
    const items = groups.get(method.family) ?? [];
    const disabled = store.offFor({ method: method.name }) !== "";
    groups.set(method.family, [...items, { value: method.name, title: method.title, disabled }]);
  }
  return [...groups].map(([title, items]) => ({ title, items }));
}

export function MethodMenu({ store }: { store: BaseStore }) {
  const params = store.params.value;
  const methods = store.methods.value;
  const off = methods.every((method) => store.offFor({ method: method.name }) !== "");
  const single = store.noModel.value !== "" && methods.length === 1;
  if (methods.length === 0 || single) return <bdi class="xw-noun">{store.question.value.method_title}</bdi>;
  return (
    <Menu
      inline
      label="method"
      value={params.method}
      groups={methodGroups(store)}
      offReason={off ? store.offReason.value : ""}
      onChoose={(method) => store.change(settingsFor(method, methods, params, store.method.value, store.layers.value))}
    />
  );
}
