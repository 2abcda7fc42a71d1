// The question as a sentence; every noun is a menu.

import type { ReadonlySignal } from "@preact/signals";
import type { BaseStore } from "../lib/base-store";
import { settingsFor } from "../lib/method";
import type { ClassScore, Named } from "../lib/traits";
import { ClassMenu } from "./class-menu";
import { Menu, type MenuGroup, type MenuItem } from "./menu";

/** A widget whose baselines are the choices of a menu. */
interface AskingStore extends BaseStore {
  readonly baselines: ReadonlySignal<readonly Named[]>;
}

interface QuestionProps {
  store: AskingStore;
  classes: readonly ClassScore[];
  targetId: number | null;
  onTarget(id: number): void;
  onFoil(id: number | null): void;
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
  const hasMenus = classes.length > 0;
  return (
    <p class="xw-question">
      <span class="xw-phrase">
        Why{" "}
        {hasMenus ? (
          <ClassMenu
            label="class to explain"
            classes={classes}
            chosen={targetId}
            chosenName={question.target_label}
            {...(targetId === null && { none: question.target_label || "this answer" })}
            offReason={offReason}
            onChoose={(id) => id !== null && onTarget(id)}
          />
        ) : (
          <bdi class="xw-noun">{question.target_label || "this answer"}</bdi>
        )}
      </span>{" "}
      {hasMenus && (
        <span class="xw-phrase">
          rather than{" "}
          <ClassMenu
            label="class to contrast with"
            classes={classes}
            chosen={params.foil}
            chosenName={question.foil_label}
            none="anything else"
            without={targetId}
            offReason={offReason}
            onChoose={onFoil}
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
            onChoose={(method) =>
              store.change(settingsFor(method, store.methods.value, params, store.method.value, store.layers.value))
            }
          />
        ) : (
          <bdi class="xw-noun">{question.method_title}</bdi>
        )}
        <span>?</span>
      </span>
    </p>
  );
}
