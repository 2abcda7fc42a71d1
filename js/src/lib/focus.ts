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
