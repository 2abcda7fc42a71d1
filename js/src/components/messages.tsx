// Notices and errors, in place. Their texts come from the kernel and are shown literally.

import { useState } from "preact/hooks";
import type { BaseStore } from "../lib/base-store";
import { copyText } from "../lib/clipboard";
import type { Failure, Notice } from "../lib/traits";

export function Notices({ notices }: { notices: readonly Notice[] }) {
  if (notices.length === 0) return null;
  return (
    <ul class="xw-notices">
      {notices.map((notice) => (
        <li key={`${notice.code}${notice.text}`} class={`xw-notice xw-notice-${notice.level}`}>
          <span class="xw-notice-mark" aria-hidden="true">
            {notice.level === "warning" ? "!" : "i"}
          </span>
          <bdi>{notice.text}</bdi>
        </li>
      ))}
    </ul>
  );
}

function CopyButton({ text }: { text: string }) {
  const [outcome, setOutcome] = useState("Copy");
  return (
    <button
      type="button"
      class="xw-button"
      onClick={() => copyText(text).then((copied) => setOutcome(copied ? "Copied" : "Select and copy by hand"))}
    >
      {outcome}
    </button>
  );
}

export function ErrorPanel({ store }: { store: BaseStore }) {
  return <ErrorText failure={store.failure.value} />;
}

export function ErrorText({ failure: { title, detail, hint, code } }: { failure: Failure }) {
  if (!title && !detail) return null;
  return (
    <div class="xw-error" role="alert">
      <strong class="xw-error-title">
        <bdi>{title || "The computation failed"}</bdi>
      </strong>
      {hint && (
        <p class="xw-error-hint">
          <bdi>{hint}</bdi>
        </p>
      )}
      {detail && (
        <details class="xw-error-detail">
          <summary>Details{code ? ` (${code})` : ""}</summary>
          <pre class="xw-pre">{detail}</pre>
          <CopyButton text={[title, hint, detail].filter(Boolean).join("\n\n")} />
        </details>
      )}
    </div>
  );
}
