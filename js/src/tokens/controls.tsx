// How the text is read and drawn. Nothing here asks the kernel.

import { useEffect, useRef, useState } from "preact/hooks";
import { Menu } from "../components/menu";
import { Segmented } from "../components/segmented";
import { Slider } from "../components/slider";
import type { TokenStore } from "./store";
import type { Aggregate, GroupMode, ScaleMode, Show, StripDisplay, View } from "./traits";

const UNITS = [
  { value: "token", text: "token", title: "tokens, as the model reads them" },
  { value: "word", text: "word", title: "words: sums over their tokens" },
  { value: "sentence", text: "sentence", title: "sentences: sums over their tokens" },
  { value: "line", text: "line", title: "lines: sums over their tokens" },
  { value: "paragraph", text: "¶", title: "paragraphs: sums over their tokens" },
  { value: "regex", text: "regex", title: "matches of a regular expression: sums over their tokens" },
] as const;

const SHOWS = [
  { value: "bars", text: "bars", title: "bars: their length is compared most exactly" },
  { value: "tint", text: "tint", title: "colour behind the words: long words seem stronger than they are" },
  { value: "underline", text: "underline", title: "lines beneath the words" },
] as const;

const VIEWS = [
  { value: "strip", text: "strip", title: "one question at a time" },
  { value: "matrix", text: "matrix", title: "all output tokens against all input tokens" },
] as const;

const AGGREGATES = [
  { value: "sum", text: "sum", title: "a group is worth the sum of its tokens" },
  { value: "max", text: "strongest", title: "a group is worth its strongest token: sums of sizes grow with length" },
] as const;

const SCALES: readonly { value: ScaleMode; title: string }[] = [
  { value: "target", title: "own for each question" },
  { value: "all", title: "one for all answers" },
  { value: "fixed", title: "held as it is now" },
];

const TINTS: readonly { value: StripDisplay["tint"]; title: string }[] = [
  { value: "none", title: "not coloured" },
  { value: "probability", title: "coloured by probability" },
  { value: "entropy", title: "coloured by entropy" },
];

/** After the last letter, so that half a pattern is no error. */
const TYPED_MS = 350;

/** The last grouping that worked stays while the pattern is none. */
function PatternField({ store }: { store: TokenStore }) {
  const { regex } = store.granularity.value;
  const [draft, setDraft] = useState(regex);
  const own = useRef(regex);
  const take = (pattern: string) => {
    own.current = pattern;
    store.setGranularity({ regex: pattern });
  };
  useEffect(() => {
    // set by Python or another view; what was written here must not undo what has been typed since
    if (regex !== own.current) setDraft(regex);
    own.current = regex;
  }, [regex]);
  useEffect(() => {
    if (draft === store.granularity.value.regex) return;
    const timer = setTimeout(take, TYPED_MS, draft);
    return () => clearTimeout(timer);
  }, [draft]);
  const problem = store.regexError.value;
  const id = `${store.uid}-pattern`;
  return (
    <span class="xw-pattern">
      <input
        type="text"
        class="xw-text-field"
        aria-label="regular expression"
        placeholder="\w+ing|not \w+"
        spellcheck={false}
        autocomplete="off"
        dir="ltr"
        value={draft}
        aria-invalid={problem !== ""}
        aria-describedby={problem ? id : undefined}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && take(draft)}
      />
      {problem && (
        <span id={id} class="xw-field-problem" role="status">
          {problem} The last grouping stays.
        </span>
      )}
    </span>
  );
}

/** Everything but the strongest k is dimmed. */
function TopK({ store }: { store: TokenStore }) {
  const count = store.units.value.ranked;
  if (count < 2) return null;
  const k = store.k.value;
  return (
    <Slider
      label="Top"
      value={k === 0 ? count : Math.min(k, count)}
      low={1}
      high={count}
      step={1}
      integer
      log={count > 40}
      help="dim all but the strongest ([ and ])"
      format={(value) => (value >= count ? "all" : String(value))}
      onPreview={(value) => store.local("k", value >= count ? 0 : value)}
    />
  );
}

export function TokenControls({ store }: { store: TokenStore }) {
  const { mode } = store.granularity.value;
  const matrix = store.view.value === "matrix" && store.task.value === "generate";
  return (
    <div class="xw-controls xw-token-controls">
      <Segmented<GroupMode>
        label="Unit"
        name={`${store.uid}-unit`}
        value={mode}
        segments={[...UNITS]}
        onChoose={(chosen) => store.setGranularity({ mode: chosen })}
      />
      {!matrix && (
        <>
          <Segmented<Show>
            label="Show"
            name={`${store.uid}-show`}
            value={store.show.value}
            segments={[...SHOWS]}
            onChoose={(show) => store.local("show", show)}
          />
          <TopK store={store} />
        </>
      )}
      {store.task.value === "generate" && (
        <Segmented<View>
          label="View"
          name={`${store.uid}-view`}
          value={store.view.value}
          segments={[...VIEWS]}
          onChoose={(view) => store.local("view", view)}
        />
      )}
      {mode === "regex" && <PatternField store={store} />}
    </div>
  );
}

export function MoreTokenControls({ store }: { store: TokenStore }) {
  if (!store.moreOpen.value) return null;
  const hasSpecials = store.tokens.value.some(([, , special]) => special === 1);
  return (
    <div class="xw-more">
      <div class="xw-field">
        <span class="xw-label" aria-hidden="true">
          Scale
        </span>
        <Menu
          label="scale of the bars"
          value={store.scaleMode.value}
          items={[...SCALES]}
          onChoose={(scale) => store.setScaleMode(scale as ScaleMode)}
        />
      </div>
      {(store.unsigned.value || store.agg.value === "max") && (
        <Segmented<Aggregate>
          label="Group"
          name={`${store.uid}-agg`}
          value={store.agg.value}
          segments={[...AGGREGATES]}
          onChoose={(agg) => store.local("agg", agg)}
        />
      )}
      {hasSpecials && (
        <label class="xw-field" title="tokens that the model needs and the text does not have, such as [CLS]">
          <input
            type="checkbox"
            class="xw-checkbox"
            checked={store.specials.value}
            onChange={(event) => store.local("specials", event.currentTarget.checked)}
          />
          special tokens
        </label>
      )}
      {store.task.value === "generate" && (
        <div class="xw-field">
          <span class="xw-label" aria-hidden="true">
            Output
          </span>
          <Menu
            label="colour of the output tokens"
            value={store.display.value.tint}
            items={[...TINTS]}
            onChoose={(tint) => store.setDisplay({ tint: tint as StripDisplay["tint"] })}
          />
        </div>
      )}
    </div>
  );
}
