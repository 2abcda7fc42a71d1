// The question as a sentence; every noun is a menu.

import type { ReadonlySignal } from "@preact/signals";
import type { BaseStore } from "../lib/base-store";
import type { ClassScore, Named } from "../lib/traits";
import { ClassMenu } from "./class-menu";
import { Menu } from "./menu";
import { MethodMenu } from "./method-menu";

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

interface MenusProps {
  store: AskingStore;
}

export function BaselineMenu({ store }: MenusProps) {
  const { baseline } = store.params.value;
  const items = store.baselines.value.map((one) => ({ value: one.name, title: one.title }));
  if (!items.some((one) => one.value === baseline)) {
    items.unshift({ value: baseline, title: store.question.value.baseline_title || baseline });
  }
  return (
    <Menu
      inline
      label="baseline"
      value={baseline}
      items={items}
      offReason={store.offReason.value}
      onChoose={(chosen) => store.change({ baseline: chosen })}
    />
  );
}

/** What values that came without a model were compared with. */
export function GivenBaseline({ store }: { store: BaseStore }) {
  const title = store.question.value.baseline_title;
  if (!store.noModel.value || !title) return null;
  return (
    <span class="xw-phrase">
      compared with <bdi class="xw-noun">{title}</bdi>
    </span>
  );
}

export function QuestionLine({ store, classes, targetId, onTarget, onFoil }: QuestionProps) {
  const question = store.question.value;
  const params = store.params.value;
  const offReason = store.offReason.value;
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
          compared with <BaselineMenu store={store} />
        </span>
      )}{" "}
      <GivenBaseline store={store} />{" "}
      <span class="xw-phrase">
        {(store.methods.value.length > 0 || question.method_title) && "by "}
        <MethodMenu store={store} />
        <span>?</span>
      </span>
    </p>
  );
}
