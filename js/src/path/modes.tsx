// What is asked: one straight path from one baseline, or many short ones from a distribution. And how it is summed.

import { type Segment, Segmented } from "../components/segmented";
import type { PathStore } from "./store";
import type { Cumulative, Mode } from "./traits";
import { CUMULATIVE_HELP } from "./words";

const MODES: Segment<Mode>[] = [
  { value: "path", text: "one baseline", title: "one straight path from one baseline to the input" },
  {
    value: "distribution",
    text: "a distribution",
    title: "many baselines drawn at random, a random point on the path from each: expected gradients",
  },
];

const SUMS: Segment<Cumulative>[] = [
  { value: "integral", text: "integral", title: "the sum so far: it always adds up to the change of the output" },
  {
    value: "running_mean",
    text: "running mean",
    title: "the sum so far divided by α: it exaggerates the beginning of the path",
  },
];

export function ModeSwitch({ store }: { store: PathStore }) {
  const possible = (mode: Mode) =>
    store.baselines.value.some((one) => one.modes.includes(mode) && (store.live || store.holds(mode, one.id)));
  return (
    <Segmented
      label="Mode"
      name={`${store.uid}-mode`}
      value={store.mode.value}
      segments={MODES.map((one) => ({ ...one, disabled: one.value !== store.mode.value && !possible(one.value) }))}
      onChoose={(mode) => store.setMode(mode)}
    />
  );
}

/** For paths only: of samples the running mean is the answer. */
export function CumulativeSwitch({ store }: { store: PathStore }) {
  if (store.mode.value !== "path") return null;
  const mean = store.cumulative.value === "running_mean";
  return (
    <span class="xw-cumulative">
      <Segmented
        label="Sum"
        name={`${store.uid}-cumulative`}
        value={store.cumulative.value}
        segments={SUMS}
        onChoose={(cumulative) => store.local("cumulative", cumulative)}
      />
      {mean && <p class="xw-legend-note xw-warned">{CUMULATIVE_HELP}</p>}
    </span>
  );
}
