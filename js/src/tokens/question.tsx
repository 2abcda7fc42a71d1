// The question as a sentence; every noun is a menu.

import { Menu, type MenuItem } from "../components/menu";
import { MethodMenu } from "../components/method-menu";
import { BaselineMenu, GivenBaseline, QuestionLine } from "../components/question";
import { formatScore } from "../lib/format";
import { visible } from "../lib/visible";
import { candidatesOf } from "./alternatives";
import type { TokenStore } from "./store";
import { spanNumber } from "./words";

/** How much of a token fits into a menu. */
const MOST_LETTERS = 24;

function short(text: string): string {
  // within quotes a space in front says nothing
  const letters = [...visible(text).replace(/^␣(?=.)/u, "")];
  return letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS - 1).join("")}…` : letters.join("");
}

/** Which output token is explained. A span of several is one more choice while it is chosen. */
function TargetMenu({ store }: { store: TokenStore }) {
  const [first, last] = store.span.value;
  const outputs = store.tokens.value.slice(store.nPrompt.value);
  const answered = store.answered.value;
  const items: MenuItem[] = outputs.map(([, , , surface], place) => ({
    value: String(place),
    title: `“${short(surface)}” (token ${place + 1})`,
    disabled: !store.live && !answered.has(place) && !(place === first && place === last),
  }));
  if (last > first) {
    const surfaces = outputs.slice(first, last + 1).map(([, , , surface]) => visible(surface));
    items.unshift({
      value: "span",
      title: `“${short(surfaces.join("").replace(/(?<=.)␣/gu, " "))}” (${spanNumber([first, last])})`,
    });
  }
  return (
    <Menu
      inline
      label="output token to explain"
      value={last > first ? "span" : String(first)}
      items={items}
      onChoose={(value) => value !== "span" && store.setSpan([Number(value), Number(value)])}
    />
  );
}

/** What could have come instead of the last token of the span. */
function FoilMenu({ store }: { store: TokenStore }) {
  const [, last] = store.span.value;
  const step = store.steps.value[last];
  const surface = store.tokens.value[store.nPrompt.value + last]?.[3] ?? "";
  const candidates = step ? candidatesOf(step, surface) : [];
  // what came, asked for as its own contrast, is none
  const asked = store.foilToken.value;
  const foil = candidates.some((one) => one.chosen && one.id === asked) ? null : asked;
  const items: MenuItem[] = [{ value: "", title: "anything else" }];
  for (const one of candidates) {
    // the sentence needs no number
    const chance = one.id === foil ? "" : ` ${formatScore(one.p)}`;
    if (!one.chosen) items.push({ value: String(one.id), title: `“${short(one.text)}”${chance}` });
  }
  if (foil !== null && !items.some((one) => one.value === String(foil))) {
    items.push({ value: String(foil), title: store.about.value.question.foil_label || `token id ${foil}` });
  }
  return (
    <Menu
      inline
      label="token to contrast with"
      value={String(foil ?? "")}
      items={items}
      offReason={store.offReason.value}
      onChoose={(value) => store.change({ foil_token: value === "" ? null : Number(value) })}
    />
  );
}

export function TokenQuestion({ store }: { store: TokenStore }) {
  if (store.task.value === "classify") {
    return (
      <QuestionLine
        store={store}
        classes={store.classes.value}
        targetId={store.targetId}
        onTarget={(id) => store.explain(id)}
        onFoil={(foil) => store.change({ foil })}
      />
    );
  }
  return (
    <p class="xw-question">
      <span class="xw-phrase">
        Why <TargetMenu store={store} />
      </span>{" "}
      {!store.noModel.value && (
        <span class="xw-phrase">
          rather than <FoilMenu store={store} />
        </span>
      )}{" "}
      {store.hasBaseline.value && (
        <span class="xw-phrase">
          compared with <BaselineMenu store={store} />
        </span>
      )}{" "}
      <GivenBaseline store={store} />{" "}
      <span class="xw-phrase">
        by <MethodMenu store={store} />
        <span>?</span>
      </span>
    </p>
  );
}
