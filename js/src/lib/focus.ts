import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

/** Move the focus into what opens, and back when it closes, unless the reader has gone elsewhere meanwhile. */
export function useFocusWhileOpen(open: boolean, target: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    if (!open) return;
    const root = target.current?.getRootNode() as Document | ShadowRoot | undefined;
    const before = root?.activeElement;
    target.current?.focus();
    return () => {
      const nowhere = !root?.activeElement || root.activeElement === document.body;
      if (nowhere && before instanceof HTMLElement) before.focus();
    };
  }, [open, target]);
}

/**
 * Keep the keyboard in a widget when what had the focus goes away: the page would hand it to the notebook, whose own keys cut
 * and delete cells.
 */
export function keepFocus(root: HTMLElement, lifetime: AbortSignal): void {
  let last: Element | null = null;
  root.addEventListener(
    "focusin",
    (event) => {
      last = event.target as Element;
    },
    { signal: lifetime },
  );
  const observer = new MutationObserver(() => {
    if (!last || root.contains(last)) return;
    last = null;
    const { activeElement } = root.getRootNode() as Document | ShadowRoot;
    const widget = root.firstElementChild;
    if ((activeElement && activeElement !== document.body) || !(widget instanceof HTMLElement)) return;
    widget.tabIndex = -1;
    widget.focus({ preventScroll: true });
  });
  observer.observe(root, { childList: true, subtree: true });
  lifetime.addEventListener("abort", () => observer.disconnect(), { once: true });
}
