import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";

/** Move the focus into what opens, and back when it closes, unless the reader has gone elsewhere meanwhile. */
export function useFocusWhileOpen(open: boolean, target: RefObject<HTMLElement | null>): void {
  // at once: a moment later `keepFocus` would have taken the keyboard elsewhere
  useLayoutEffect(() => {
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
 * and delete cells. It goes to what the widget is about, if that takes keys.
 */
export function keepFocus(root: HTMLElement, signal: AbortSignal): void {
  let last: Element | null = null;
  const note = ({ target }: FocusEvent) => {
    last = target as Element;
  };
  root.addEventListener("focusin", note, { signal });
  new MutationObserver(() => {
    if (!last || root.contains(last)) return;
    last = null;
    const { activeElement } = root.getRootNode() as Document | ShadowRoot;
    if (activeElement && activeElement !== document.body) return;
    const widget = root.querySelector<HTMLElement>(".xw-widget");
    widget?.setAttribute("tabindex", "-1");
    (root.querySelector<HTMLElement>("[data-xw-map][tabindex]") ?? widget)?.focus({ preventScroll: true });
  }).observe(root, { childList: true, subtree: true });
}
