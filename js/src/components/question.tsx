// The question as a sentence; every noun is a menu.

import type { BaseStore } from "../lib/base-store";
import { settingsFor } from "../lib/method";
import type { ClassScore } from "../lib/traits";
import { Menu, type MenuGroup, type MenuItem } from "./menu";

const ANYTHING_ELSE = "";

interface QuestionProps {
  store: BaseStore;
  classes: readonly ClassScore[];
  targetId: number | null;
  onTarget(id: number): void;
  onFoil(id: number | null): void;
}

/** The classes, plus one that was asked for by number and is not among the most probable. */
function classItems(classes: readonly ClassScore[], extraId: number | null, extraLabel: string | null): MenuItem[] {
  const items = classes.map((one) => ({ value: String(one.id), title: one.name }));
  if (extraId !== null && !classes.some((one) => one.id === extraId)) {
    items.push({ value: String(extraId), title: extraLabel || `class ${extraId}` });
  }
  return items;
}

function methodGroups(store: BaseStore): MenuGroup[] {
  const groups = new Map<string, MenuItem[]>();
  for (const method of store.methods.value) {
    const items = groups.get(method.family) ?? [];
    groups.set(method.family, [...items, { value: method.name, title: method.title }]);
  }
  return [...groups].map(([title, items]) => ({ title, items }));
}

export function QuestionLine({ store, classes, targetId, onTarget, onFoil }: QuestionProps) {
  const question = store.question.value;
  const params = store.params.value;
  const offReason = store.offReason.value;
  const baselines = store.baselines.value.map((one) => ({ value: one.name, title: one.title }));
  if (!baselines.some((one) => one.value === params.baseline)) {
    baselines.unshift({ value: params.baseline, title: question.baseline_title || params.baseline });
  }
  const foils = classItems(classes, params.foil, question.foil_label).filter((one) => one.value !== String(targetId));
  const hasMenus = classes.length > 0;
  return (
    <p class="xw-question">
      <span class="xw-phrase">
        Why{" "}
        {hasMenus ? (
          <Menu
            inline
            label="class to explain"
            value={String(targetId ?? "")}
            items={classItems(classes, targetId, question.target_label)}
            offReason={offReason}
            onChoose={(value) => onTarget(Number(value))}
          />
        ) : (
          <bdi class="xw-noun">{question.target_label || "this answer"}</bdi>
        )}
      </span>{" "}
      {hasMenus && (
        <span class="xw-phrase">
          rather than{" "}
          <Menu
            inline
            label="class to contrast with"
            value={params.foil === null ? ANYTHING_ELSE : String(params.foil)}
            items={[{ value: ANYTHING_ELSE, title: "anything else" }, ...foils]}
            offReason={offReason}
            onChoose={(value) => onFoil(value === ANYTHING_ELSE ? null : Number(value))}
          />
        </span>
      )}{" "}
      {store.hasBaseline.value && (
        <span class="xw-phrase">
          compared with{" "}
          <Menu
            inline
            label="baseline"
            value={params.baseline}
            items={baselines}
            offReason={offReason}
            onChoose={(baseline) => store.change({ baseline })}
          />
        </span>
      )}{" "}
      <span class="xw-phrase">
        {(store.methods.value.length > 0 || question.method_title) && "by "}
        {store.methods.value.length > 0 ? (
          <Menu
            inline
            label="method"
            value={params.method}
            groups={methodGroups(store)}
            offReason={offReason}
            onChoose={(method) => store.change(settingsFor(method, store.methods.value, params, store.method.value))}
          />
        ) : (
          <bdi class="xw-noun">{question.method_title}</bdi>
        )}
        <span>?</span>
      </span>
    </p>
  );
}
