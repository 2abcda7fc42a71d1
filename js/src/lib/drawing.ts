// How every kind of widget enters a page and leaves it.

import { type ComponentChild, render } from "preact";
import { keepFocus } from "./focus";
import type { Model } from "./host";
import type { Draw } from "./view";

/** What a kind exports as `mount`: `make` gives what to draw in the widget's own element, until the signal aborts. */
export function drawing(make: (model: Model, root: HTMLElement, lifetime: AbortSignal) => ComponentChild): Draw {
  return (model, el, lifetime) => {
    const root = document.createElement("div");
    root.className = "xw-root";
    el.replaceChildren(root);
    render(make(model, root, lifetime), root);
    keepFocus(root, lifetime);
    lifetime.addEventListener(
      "abort",
      () => {
        render(null, root);
        root.remove();
      },
      { once: true },
    );
  };
}
