// The chosen phrase: what it adds up to, and what the model says without it.

import { Sums } from "../components/sums";
import { readable } from "../lib/visible";
import type { TokenStore } from "./store";

/** Long phrases keep their beginning and end. */
export function abridged(text: string, most = 160): string {
  const letters = [...text];
  if (letters.length <= most) return text;
  const half = Math.floor((most - 3) / 2);
  return `${letters.slice(0, half).join("")} … ${letters.slice(-half).join("")}`;
}

export function PhraseCard({ store }: { store: TokenStore }) {
  const sum = store.selectionSum.value;
  const [first] = store.selection.value;
  if (!sum || !first) return null;
  const offReason = store.offReason.value;
  return (
    <div class="xw-region" role="group" aria-label="chosen phrase">
      <h3 class="xw-heading">
        Phrase <span class="xw-hint">{sum.tokens === 1 ? "1 token" : `${sum.tokens} tokens`}</span>
        <button
          type="button"
          class="xw-button xw-button-bare"
          title="drop the phrase (Esc)"
          onClick={() => store.select([])}
        >
          <span aria-hidden="true">×</span>
          <span class="xw-visually-hidden">drop the phrase</span>
        </button>
      </h3>
      <p class="xw-phrase-text" dir="auto">
        <bdi>{abridged(readable(sum.text))}</bdi>
      </p>
      <Sums {...sum} signed={!store.unsigned.value} />
      {!store.noModel.value && (
        <button
          type="button"
          class="xw-button xw-button-block"
          disabled={offReason !== "" || store.askingWhatIf.value}
          title={offReason || "put the mask in its place and run the model once more (w)"}
          onClick={() => store.askWhatIf({ mask: [...first] })}
        >
          {store.askingWhatIf.value ? "asking…" : "Mask this phrase and ask again"}
        </button>
      )}
    </div>
  );
}
