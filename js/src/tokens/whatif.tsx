// Another text, or the same one with a phrase masked: what the model says then, beside what it said before.

import { useEffect, useRef, useState } from "preact/hooks";
import { Change, Changes } from "../components/changes";
import { useFocusWhileOpen } from "../lib/focus";
import { formatSeconds } from "../lib/format";
import { abridged } from "./phrase";
import type { TokenStore } from "./store";
import type { TextWhatIf } from "./traits";

/** After the last letter. */
const TYPED_MS = 350;

/** What can be edited: the text, of a generation the prompt. */
function originalOf(store: TokenStore): string {
  const text = store.text.value;
  return store.task.value === "generate" ? text.slice(0, store.promptEnd.value) : text;
}

export function EditPanel({ store }: { store: TokenStore }) {
  const original = originalOf(store);
  const [draft, setDraft] = useState(original);
  const [asked, setAsked] = useState(original);
  const asking = store.askingWhatIf.value;
  const open = store.editOpen.value;
  const field = useRef<HTMLTextAreaElement>(null);
  useFocusWhileOpen(open, field);
  useEffect(() => {
    setDraft(original);
    setAsked(original);
  }, [original]);
  useEffect(() => {
    if (!open || asking || draft === asked || draft.trim() === "") return;
    const timer = setTimeout(() => {
      setAsked(draft);
      if (draft !== original) store.askWhatIf({ text: draft });
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [store, open, asking, draft, asked, original]);
  if (!open) return null;
  const offReason = store.offReason.value;
  const changed = draft !== original && draft.trim() !== "";
  const what = store.task.value === "generate" ? "prompt" : "text";
  return (
    <div class="xw-edit" role="group" aria-label={`edit the ${what}`}>
      <textarea
        ref={field}
        class="xw-text-field xw-edit-text"
        aria-label={`the ${what}, to be edited`}
        title={offReason}
        dir="auto"
        rows={Math.min(8, 2 + Math.floor(draft.length / 90))}
        disabled={offReason !== ""}
        value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)}
      />
      <div class="xw-edit-actions">
        <button
          type="button"
          class="xw-button xw-button-strong"
          disabled={!changed || offReason !== ""}
          title={offReason || `take this ${what} and explain it`}
          onClick={() => {
            store.editOpen.value = false;
            store.editText(draft);
          }}
        >
          Explain this {what}
        </button>
        <button type="button" class="xw-button" disabled={draft === original} onClick={() => setDraft(original)}>
          Reset
        </button>
        <span class="xw-quiet">{asking ? "asking the model…" : "the answer follows as you type"}</span>
      </div>
      {store.whatIf.value && <Answer store={store} result={store.whatIf.value} />}
    </div>
  );
}

function Answer({ store, result }: { store: TokenStore; result: TextWhatIf }) {
  const { before, after, p_before: was, p_after: is } = result;
  return (
    <div class="xw-region xw-answer" role="group" aria-label="what if">
      <h3 class="xw-heading">
        What if <span class="xw-hint">{formatSeconds(result.seconds)}</span>
      </h3>
      <p class="xw-phrase-text xw-quiet" dir="auto">
        <bdi>{abridged(result.text)}</bdi>
      </p>
      {before.length > 0 && <Changes before={before} after={after} />}
      {typeof was === "number" && typeof is === "number" && (
        <ul class="xw-changes">
          <Change name={store.about.value.question.target_label} before={was} after={is} />
        </ul>
      )}
    </div>
  );
}

/** Beside the phrase; while the text is edited it stands there. */
export function WhatIfCard({ store }: { store: TokenStore }) {
  const result = store.whatIf.value;
  return result && !store.editOpen.value ? <Answer store={store} result={result} /> : null;
}
