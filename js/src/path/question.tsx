// The question as a sentence; every noun is a menu.

import { ClassMenu } from "../components/class-menu";
import { Menu, type MenuItem } from "../components/menu";
import type { PathStore } from "./store";
import type { Mode } from "./traits";
import { baselineTitle, targetName } from "./words";

const STEPS = [9, 17, 33, 65, 129, 257];
const SAMPLES = [16, 32, 64, 128, 256, 512];

const BUDGETS: Record<Mode, { name: string; label: string; unit: string; choices: readonly number[]; usual: number }> =
  {
    path: { name: "steps", label: "most gradients on the path", unit: "steps", choices: STEPS, usual: 65 },
    distribution: { name: "samples", label: "number of samples", unit: "samples", choices: SAMPLES, usual: 128 },
  };

function BaselineMenu({ store }: { store: PathStore }) {
  const mode = store.mode.value;
  const chosen = store.baselineId.value;
  const runs = store.runs.value;
  const items: MenuItem[] = store.baselines.value.map((one) => ({
    value: one.id,
    title: baselineTitle(one),
    disabled: !one.modes.includes(mode) || (!store.live && one.id !== chosen && !runs.has(`${mode}/${one.id}`)),
  }));
  // Without a kernel the computed ones can still be shown.
  return <Menu inline label="baseline" value={chosen} items={items} onChoose={(id) => store.showBaseline(id)} />;
}

/** How much is computed: nested, so that a higher choice only pays for what is new. */
function BudgetMenu({ store }: { store: PathStore }) {
  const { name, label, unit, choices, usual } = BUDGETS[store.mode.value];
  const chosen = Number(store.params.value.parameters[name] ?? usual);
  const listed = choices.includes(chosen) ? choices : [...choices, chosen].sort((a, b) => a - b);
  return (
    <Menu
      inline
      label={label}
      value={String(chosen)}
      items={listed.map((count) => ({ value: String(count), title: `${count} ${unit}` }))}
      offReason={store.offReason.value}
      onChoose={(value) => store.setParameter(name, Number(value))}
    />
  );
}

export function PathQuestion({ store }: { store: PathStore }) {
  const question = store.question.value;
  const classes = store.classes.value;
  const target = store.targetId;
  const offReason = store.offReason.value;
  return (
    <p class="xw-question">
      <span class="xw-phrase">
        {store.mode.value === "path" ? "From" : "From draws of"} <BaselineMenu store={store} /> to this input,
      </span>{" "}
      <span class="xw-phrase">
        how does the model reach{" "}
        {classes.length > 0 ? (
          <ClassMenu
            label="class to explain"
            classes={classes}
            chosen={target}
            chosenName={question.target_label}
            {...(target === null && { none: targetName(question) })}
            offReason={offReason}
            onChoose={(id) => id !== null && store.explain(id)}
          />
        ) : (
          <bdi class="xw-noun">{targetName(question)}</bdi>
        )}
        {classes.length === 0 && "?"}
      </span>{" "}
      {classes.length > 0 && (
        <span class="xw-phrase">
          rather than{" "}
          <ClassMenu
            label="class to contrast with"
            classes={classes}
            chosen={store.params.value.foil}
            chosenName={question.foil_label}
            none="anything else"
            without={target}
            offReason={offReason}
            onChoose={(foil) => store.change({ foil })}
          />
          ?
        </span>
      )}{" "}
      <span class="xw-phrase xw-budget">
        <span class="xw-quiet">up to</span> <BudgetMenu store={store} />
      </span>
    </p>
  );
}
