// What should be known about the run on show. Texts come from the kernel and are shown literally.

import type { PathStore } from "./store";
import { formatAlpha } from "./words";

export function PathNotices({ store }: { store: PathStore }) {
  const notices = store.run.value?.notices ?? [];
  if (notices.length === 0) return null;
  return (
    <ul class="xw-notices">
      {notices.map(({ level, code, text, window }) => (
        <li key={`${code}${text}`} class={`xw-notice xw-notice-${level}`}>
          <span class="xw-notice-mark" aria-hidden="true">
            {level === "warning" ? "!" : "i"}
          </span>
          <span>
            <bdi>{text}</bdi>{" "}
            {window && (
              <button
                type="button"
                class="xw-link"
                title={`show only what is added between α = ${formatAlpha(window[0])} and ${formatAlpha(window[1])}`}
                onClick={() => store.setWindow(...window)}
              >
                Explain only the rising part
              </button>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}
