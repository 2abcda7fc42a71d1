// How every kind of widget enters a page and leaves it.

import type { ReadonlySignal } from "@preact/signals";
import { type ComponentChild, h, render } from "preact";
import { OnScreen } from "./canvas";
import { keepFocus } from "./focus";
import type { Model } from "./host";
import type { Draw, More } from "./view";

type Store<S> = new (model: Model, root: HTMLElement, lifetime: AbortSignal) => S;

/** What a kind exports as `mount`: the widget, with a store of its own, until the signal aborts. */
export function drawing<S extends { onScreen: ReadonlySignal<boolean> }>(
  Store: Store<S>,
  Widget: (props: { store: S; more: More }) => ComponentChild,
): Draw {
  return (model, el, lifetime, more) => {
    const root = document.createElement("div");
    root.className = "xw-root";
    el.replaceChildren(root);
    const store = new Store(model, root, lifetime);
    render(h(OnScreen.Provider, { value: store.onScreen }, h(Widget, { store, more })), root);
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
