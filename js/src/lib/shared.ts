// What is the same for every widget of a notebook is saved once, in the core: the descriptions of the methods. A widget
// then lists names only, and reads here as if it held the descriptions itself.

import type { Model } from "./host";
import type { Method } from "./traits";

export function sharing(model: Model, core: Model): Model {
  const described = (entry: unknown): unknown => {
    const known = (core.get("methods") ?? []) as Method[];
    return typeof entry === "string" ? known.find((method) => method.name === entry) : entry;
  };
  return {
    get(name) {
      const value = model.get(name);
      return name === "methods" && Array.isArray(value) ? value.map(described).filter(Boolean) : value;
    },
    set: (name, value) => model.set(name, value),
    save_changes: () => model.save_changes(),
    send: (content) => model.send(content),
    on: (event, listener) => model.on(event, listener),
    off: (event, listener) => model.off(event, listener),
  };
}
