// Whether a widget is looked at, or soon will be: not in a closed output, another tab, far off in a long notebook or in a
// page behind others. Where the browser cannot tell, it is.

import { computed, type ReadonlySignal, signal } from "@preact/signals";

export function watchOnScreen(element: Element, lifetime: AbortSignal): ReadonlySignal<boolean> {
  const near = signal(true);
  const open = signal(!document.hidden);
  document.addEventListener("visibilitychange", () => (open.value = !document.hidden), { signal: lifetime });
  if (globalThis.IntersectionObserver) {
    const look = (found: IntersectionObserverEntry[]) => (near.value = found.at(-1)?.isIntersecting ?? true);
    // a screen's height around what is seen, in the page and in what scrolls in it
    const around = { rootMargin: "100%", scrollMargin: "100%" };
    const observer = new IntersectionObserver(look, around);
    observer.observe(element);
    lifetime.addEventListener("abort", () => observer.disconnect(), { once: true });
  }
  return computed(() => near.value && open.value);
}
