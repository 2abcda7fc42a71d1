// A button that opens and closes something elsewhere in the widget.

import type { Signal } from "@preact/signals";

interface ToggleProps {
  open: Signal<boolean>;
  title: string;
  text: string;
  /** Its name, where the text is a sign. */
  label?: string;
}

export function Toggle({ open, title, text, label }: ToggleProps) {
  return (
    <button
      type="button"
      class="xw-button"
      title={title}
      aria-label={label}
      aria-expanded={open.value}
      onClick={() => {
        open.value = !open.value;
      }}
    >
      {text}
    </button>
  );
}
