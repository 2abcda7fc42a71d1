// Controls generated from a method's description of its parameters.

import type { BaseStore } from "../lib/base-store";
import { formatNumber } from "../lib/format";
import { choiceOf, genericParameters } from "../lib/method";
import type { Parameter } from "../lib/traits";
import { Menu } from "./menu";
import { Slider } from "./slider";

interface ControlProps {
  store: BaseStore;
  parameter: Parameter;
}

function RangeControl({ store, parameter }: ControlProps) {
  const low = parameter.low ?? 0;
  const high = parameter.high ?? 1;
  const integer = parameter.integer ?? false;
  return (
    <Slider
      wide
      label={parameter.title}
      value={Number(store.parameterValue(parameter))}
      low={low}
      high={high}
      step={parameter.step ?? (integer ? 1 : (high - low) / 200)}
      log={parameter.log ?? false}
      integer={integer}
      help={parameter.help ?? ""}
      offReason={store.offReason.value}
      format={(value) => (integer ? String(value) : formatNumber(value))}
      onPreview={(value) => store.setParameter(parameter.name, value, false)}
      onSettle={(value) => store.setParameter(parameter.name, value)}
    />
  );
}

function ChoiceControl({ store, parameter }: ControlProps) {
  const choices = (parameter.choices ?? []).map(choiceOf);
  const current = store.parameterValue(parameter);
  return (
    <div class="xw-field" title={store.offReason.value || parameter.help}>
      <span class="xw-label" aria-hidden="true">
        {parameter.title}
      </span>
      <Menu
        label={parameter.title}
        // by place, because values may be numbers
        value={String(choices.findIndex((one) => one.value === current))}
        items={choices.map((one, index) => ({ value: String(index), title: one.title }))}
        offReason={store.offReason.value}
        onChoose={(index) => store.setParameter(parameter.name, choices[Number(index)]?.value ?? null)}
      />
    </div>
  );
}

function SwitchControl({ store, parameter }: ControlProps) {
  return (
    <label class="xw-field" title={store.offReason.value || parameter.help}>
      <input
        type="checkbox"
        class="xw-checkbox"
        checked={store.parameterValue(parameter) === true}
        disabled={!store.live}
        onChange={(event) => store.setParameter(parameter.name, event.currentTarget.checked)}
      />
      <span class="xw-label">{parameter.title}</span>
    </label>
  );
}

function NumberControl({ store, parameter }: ControlProps) {
  const value = store.parameterValue(parameter);
  const choose = (next: number) => Number.isFinite(next) && store.setParameter(parameter.name, next);
  return (
    <label class="xw-field" title={store.offReason.value || parameter.help}>
      <span class="xw-label">{parameter.title}</span>
      <input
        type="number"
        class="xw-number-input"
        value={value === null ? "" : String(value)}
        min={parameter.low ?? undefined}
        max={parameter.high ?? undefined}
        step={parameter.step ?? (parameter.integer || parameter.kind === "seed" ? 1 : "any")}
        disabled={!store.live}
        onChange={(event) => choose(event.currentTarget.valueAsNumber)}
      />
      {parameter.kind === "seed" && (
        <button
          type="button"
          class="xw-button"
          title={store.offReason.value || "draw again with the next seed: does the picture depend on chance?"}
          disabled={!store.live}
          onClick={() => choose(Number(value ?? 0) + 1)}
        >
          next
        </button>
      )}
    </label>
  );
}

const CONTROLS = {
  range: RangeControl,
  choice: ChoiceControl,
  layer: ChoiceControl,
  regions: ChoiceControl,
  switch: SwitchControl,
  number: NumberControl,
  seed: NumberControl,
} as const;

/** What the method does, in its own words, and where to read about it. */
export function MethodNote({ store }: { store: BaseStore }) {
  const method = store.method.value;
  if (!method?.summary) return null;
  return (
    <p class="xw-method-note">
      <bdi>{method.summary}</bdi>
      {method.reference && (
        <>
          {" "}
          (<bdi>{method.reference}</bdi>)
        </>
      )}
    </p>
  );
}

export function Parameters({ store }: { store: BaseStore }) {
  const parameters = genericParameters(store.method.value, store.layers.value);
  if (parameters.length === 0) return null;
  return (
    <fieldset class="xw-parameters">
      <legend class="xw-visually-hidden">settings of the method</legend>
      {parameters.map((parameter) => {
        if (parameter.kind === "baseline") return null;
        const Control = CONTROLS[parameter.kind];
        return <Control key={`${store.params.value.method}.${parameter.name}`} store={store} parameter={parameter} />;
      })}
    </fieldset>
  );
}
