// Which of several texts is explained.

import { Menu } from "../components/menu";
import { visible } from "../lib/visible";
import { abridged } from "./phrase";
import type { TokenStore } from "./store";

export function TextMenu({ store }: { store: TokenStore }) {
  const inputs = store.inputs.value;
  if (inputs.length < 2) return null;
  const { input } = store.params.value;
  const beside = (by: 1 | -1) => (input + by + inputs.length) % inputs.length;
  const step = (by: 1 | -1) => store.change({ input: beside(by), span: null });
  const offFor = (by: 1 | -1) => store.offFor({ input: beside(by) });
  const off = inputs.every((_, index) => store.offFor({ input: index }) !== "") ? store.offReason.value : "";
  return (
    <div class="xw-text-menu" role="group" aria-label="texts">
      <span class="xw-label xw-number">
        Text {input + 1} of {inputs.length}
      </span>
      <button
        type="button"
        class="xw-button"
        aria-label="previous text"
        title={offFor(-1)}
        disabled={!!offFor(-1)}
        onClick={() => step(-1)}
      >
        ‹
      </button>
      <Menu
        label="text to explain"
        value={String(input)}
        items={inputs.map(({ label }, index) => ({
          value: String(index),
          title: `${index + 1}. ${abridged(visible(label).replaceAll("␣", " "), 90)}`,
          disabled: store.offFor({ input: index }) !== "",
        }))}
        offReason={off}
        onChoose={(value) => store.change({ input: Number(value), span: null, foil_token: null })}
      />
      <button
        type="button"
        class="xw-button"
        aria-label="next text"
        title={offFor(1)}
        disabled={!!offFor(1)}
        onClick={() => step(1)}
      >
        ›
      </button>
    </div>
  );
}
