// The keys, on demand, over the widget.

import { useRef } from "preact/hooks";
import type { BaseStore } from "../lib/base-store";
import { useFocusWhileOpen } from "../lib/focus";
import type { Binding } from "../lib/keys";

interface HelpProps {
  store: BaseStore;
  bindings: readonly Binding[];
  /** What the pointer does. */
  note: string;
  /** Whose keys are apart: "the pictures have". */
  focused?: string | undefined;
}

export function HelpPanel({ store, bindings, note, focused = "the pictures have" }: HelpProps) {
  const close = useRef<HTMLButtonElement>(null);
  const open = store.helpOpen.value;
  useFocusWhileOpen(open, close);
  if (!open) return null;
  const onMap = bindings.filter((one) => one.onMap);
  const rows = (list: readonly Binding[]) =>
    list.map((binding) => (
      <div key={binding.print} class="xw-help-row">
        <dt>
          {binding.print.split(" ").map((key) => (
            <kbd key={key} class="xw-key">
              {key}
            </kbd>
          ))}
        </dt>
        <dd>{binding.help}</dd>
      </div>
    ));
  return (
    <div class="xw-help" role="dialog" aria-label="keys">
      <div class="xw-help-head">
        <h3 class="xw-heading">Keys</h3>
        <button
          ref={close}
          type="button"
          class="xw-button"
          onClick={() => {
            store.helpOpen.value = false;
          }}
        >
          Close <kbd class="xw-key">Esc</kbd>
        </button>
      </div>
      <div class="xw-help-columns">
        <div class="xw-help-list">
          <h4 class="xw-help-scope">anywhere in the widget</h4>
          <dl class={onMap.length > 0 ? "" : "xw-help-wide"}>{rows(bindings.filter((one) => !one.onMap))}</dl>
        </div>
        {onMap.length > 0 && (
          <div class="xw-help-list">
            <h4 class="xw-help-scope">while {focused} the focus</h4>
            <dl>{rows(onMap)}</dl>
          </div>
        )}
      </div>
      <p class="xw-help-note">With the pointer: {note}.</p>
    </div>
  );
}
