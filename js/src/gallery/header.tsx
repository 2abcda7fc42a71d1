// The question as a sentence, its label and its method menus; above it, which of several inputs is asked about.

import { ClassMenu } from "../components/class-menu";
import { Menu } from "../components/menu";
import { MethodMenu } from "../components/method-menu";
import type { ClassScore } from "../lib/traits";
import { readable } from "../lib/visible";
import type { GalleryStore } from "./store";

/** The answers of the model, and the label the query has: that one is always worth asking about. */
function labelsOf(store: GalleryStore): ClassScore[] {
  const { y } = store.query.value;
  const classes = store.classes.value;
  if (y === null || classes.length === 0) return classes;
  const given = (one: ClassScore) => (one.id === y ? { ...one, name: `${one.name} (its label)` } : one);
  const all = classes.some(({ id }) => id === y)
    ? classes
    : [...classes, { id: y, name: store.className(y), score: 0 }];
  return all.map(given);
}

export function GalleryQuestion({ store }: { store: GalleryStore }) {
  const { target } = store.params.value;
  const { yhat, usual = yhat } = store.query.value;
  const classes = labelsOf(store);
  const label = store.question.value.target_label;
  return (
    <p class="xw-question">
      <span class="xw-phrase">Which training examples pushed this prediction</span>{" "}
      {(classes.length > 0 || label) && (
        <span class="xw-phrase">
          towards{" "}
          {classes.length > 0 ? (
            <ClassMenu
              label="label whose loss is asked about"
              classes={classes}
              chosen={target}
              chosenName={label}
              none={
                usual === null
                  ? "what was predicted"
                  : `${store.className(usual)}${usual === yhat ? " (predicted)" : ""}`
              }
              without={usual === target ? null : usual}
              offReason={store.offReason.value}
              onChoose={(id) => store.change({ target: id })}
            />
          ) : (
            <bdi class="xw-noun">{label}</bdi>
          )}
        </span>
      )}{" "}
      <span class="xw-phrase">
        by <MethodMenu store={store} />
        <span>?</span>
      </span>
    </p>
  );
}

/** How much of an input's label fits into the menu. */
const MOST_LETTERS = 80;

export function GalleryInputs({ store }: { store: GalleryStore }) {
  const inputs = store.inputs.value;
  if (inputs.length < 2) return null;
  const { input } = store.params.value;
  const off = store.offReason.value;
  return (
    <div class="xw-text-menu" role="group" aria-label="queries">
      <span class="xw-label xw-number">
        Query {input + 1} of {inputs.length}
      </span>
      <Menu
        label="query to ask about"
        value={String(input)}
        items={inputs.map(({ label }, index) => ({
          value: String(index),
          title: `${index + 1}. ${[...readable(label)].slice(0, MOST_LETTERS).join("")}`,
        }))}
        offReason={off}
        onChoose={(value) => store.change({ input: Number(value) })}
      />
    </div>
  );
}
