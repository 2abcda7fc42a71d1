// TokenStrip: why these words. The text as bars, the output as targets, and what they add up to.

import "../styles/answers.css";
import "../styles/tokens-strip.css";
import "../styles/tokens.css";
import { useMemo } from "preact/hooks";
import { ClassBars } from "../components/class-bars";
import { Frame } from "../components/frame";
import { Notices } from "../components/messages";
import { MethodNote, Parameters } from "../components/parameters";
import { costSummary } from "../components/trust";
import { drawing } from "../lib/drawing";
import { questionText } from "../lib/question-text";
import type { More } from "../lib/view";
import { Alternatives } from "../tokens/alternatives";
import { MoreTokenControls, TokenControls } from "../tokens/controls";
import { TokenFooter } from "../tokens/footer";
import { tokenBindings } from "../tokens/keys";
import { TokenLegend } from "../tokens/legend";
import { ListView } from "../tokens/list-view";
import { MatrixPanel } from "../tokens/matrix";
import { PhraseCard } from "../tokens/phrase";
import { TokenQuestion } from "../tokens/question";
import { TokenReading } from "../tokens/reading";
import { SearchBar } from "../tokens/search";
import { TokenStore } from "../tokens/store";
import { TokenList } from "../tokens/strip";
import { TokenTable } from "../tokens/table";
import { TextMenu } from "../tokens/text-menu";
import { EditPanel, WhatIfCard } from "../tokens/whatif";

const TINT_WORDS = {
  probability: "the darker, the less probable",
  entropy: "the darker, the less sure: full at 5 nats",
} as const;

function Strip({ store }: { store: TokenStore }) {
  const prompt = useMemo(() => new ListView(store, "prompt"), [store]);
  const output = useMemo(() => new ListView(store, "output"), [store]);
  const { tint } = store.display.value;
  const previewed = store.result.value?.key !== store.locked.value?.key;
  if (store.task.value === "classify") return <TokenList view={prompt} label="text" />;
  return (
    <>
      <h3 class="xw-list-title">Prompt</h3>
      <TokenList view={prompt} label="prompt" />
      <h3 class="xw-list-title">
        Output
        {previewed && <span class="xw-title-note"> · preview of {store.about.value.question.target_label}</span>}
        {tint !== "none" && <span class="xw-title-note"> · {TINT_WORDS[tint]}</span>}
      </h3>
      <TokenList view={output} label="output: choose what is explained" />
    </>
  );
}

function Side({ store }: { store: TokenStore }) {
  return (
    <div class="xw-side">
      {store.task.value === "classify" ? (
        <ClassBars
          classes={store.classes.value}
          targetId={store.targetId}
          foilId={store.params.value.foil}
          offReason={store.offReason.value}
          onExplain={(id) => store.explain(id)}
          onContrast={(id) => store.contrast(id)}
        />
      ) : (
        <Alternatives store={store} />
      )}
      <div class="xw-method" role="group" aria-label="method">
        <h3 class="xw-heading">
          <bdi>{store.method.value?.title ?? store.about.value.question.method_title}</bdi>
        </h3>
        <Parameters store={store} />
        <MethodNote store={store} />
      </div>
      <PhraseCard store={store} />
      <WhatIfCard store={store} />
    </div>
  );
}

function EmptyState({ store }: { store: TokenStore }) {
  return (
    <div class="xw-empty">
      {store.running.value ? (
        <p>The text is on its way…</p>
      ) : (
        <>
          <p>Nothing to show yet. Give the widget a model, a text and its tokenizer:</p>
          <pre class="xw-pre">xw.explain(model, "text", tokenizer=tokenizer)</pre>
        </>
      )}
    </div>
  );
}

function TokenStrip({ store, more }: { store: TokenStore; more: More }) {
  const { question, quality, caption } = store.about.value;
  // a preview must not move the page under the pointer
  const notices = store.locked.value?.notices ?? store.notices.value;
  const hasText = store.tokens.value.length > 0;
  const matrix = store.view.value === "matrix" && store.task.value === "generate";
  return (
    <Frame
      store={store}
      more={more}
      label={questionText(question)}
      question={<TokenQuestion store={store} />}
      summary={costSummary(quality)}
      caption={caption}
      bindings={tokenBindings}
      focused="the text has"
      note="drag over the text to sum a phrase; hover over an output token previews its answer, a click explains it, with Shift up to there; a click on the edge of a span shrinks it"
    >
      <Notices notices={notices} />
      <TextMenu store={store} />
      {hasText ? (
        <>
          <TokenControls store={store} />
          <MoreTokenControls store={store} />
          <SearchBar store={store} />
          <div class="xw-body">
            <div class="xw-main">
              {matrix ? (
                <MatrixPanel store={store} />
              ) : (
                <>
                  <Strip store={store} />
                  <TokenReading store={store} />
                  <TokenLegend store={store} />
                </>
              )}
              <EditPanel store={store} />
              <TokenTable store={store} />
            </div>
            <Side store={store} />
          </div>
          <TokenFooter store={store} />
        </>
      ) : (
        <EmptyState store={store} />
      )}
    </Frame>
  );
}

export const mount = drawing(TokenStore, TokenStrip);
