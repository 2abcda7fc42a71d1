// Tells the kernel that a view is gone for good: its cell was deleted, cleared or run again. A closed tab or a
// reloaded page says nothing, because the notebook can be opened again and then wants its widgets back.

import type { Model } from "./host";

/** JupyterLab and Notebook; other hosts drop views for other reasons (scrolling), so there nothing is said. */
const NOTEBOOK = ".jp-NotebookPanel";
/** A notebook that is being closed is taken out of the page within this time. */
const SETTLED_AFTER_MS = 1000;

export function bidFarewell(model: Model, el: HTMLElement, lifetime: AbortSignal): void {
  // A view that goes before it was seen, in a cell that is run again at once, was in one of the notebooks that were there.
  let homes: (Element | null)[] = [...document.querySelectorAll(NOTEBOOK)];
  let seen = false;
  // Views are drawn before they are put into the page; a first size means that they are in it.
  const observer = new ResizeObserver(() => {
    if (!seen && el.isConnected) homes = [el.closest(NOTEBOOK)];
    seen ||= el.isConnected;
  });
  observer.observe(el);
  lifetime.addEventListener(
    "abort",
    () => {
      observer.disconnect();
      setTimeout(() => {
        if (homes.length && homes.every((home) => home?.isConnected)) model.send({ type: "bye" });
      }, SETTLED_AFTER_MS);
    },
    { once: true },
  );
}
