// What was found, in words. What a test cannot tell is one click away for eyes, and always there for screen readers.

import { useState } from "preact/hooks";
import type { Sentence } from "./traits";
import { TEST_TITLES } from "./words";

function Finding({ test, level, text, cannot }: Sentence) {
  const [open, setOpen] = useState(false);
  return (
    <li class="xw-finding" data-level={level}>
      <span class="xw-notice-mark" aria-hidden="true">
        {level === "watch" ? "!" : "·"}
      </span>
      <p>
        <strong>{TEST_TITLES[test] ?? test}</strong>
        {level === "watch" && <span class="xw-visually-hidden"> (look at this)</span>} <bdi>{text}</bdi>{" "}
        {cannot && (
          <button
            type="button"
            class="xw-link xw-cannot-button"
            aria-expanded={open}
            title={open ? "" : cannot}
            onClick={() => setOpen(!open)}
          >
            what this cannot tell
          </button>
        )}
        {cannot && (
          <span class={open ? "xw-cannot" : "xw-visually-hidden"}>
            {open ? "" : "It cannot tell: "}
            <bdi>{cannot}</bdi>
          </span>
        )}
      </p>
    </li>
  );
}

export function Findings({ sentences }: { sentences: readonly Sentence[] }) {
  if (sentences.length === 0) return null;
  return (
    <ul class="xw-findings">
      {sentences.map((one) => (
        <Finding key={`${one.test}${one.text}`} {...one} />
      ))}
    </ul>
  );
}
