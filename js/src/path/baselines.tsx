// Every baseline as a chip: its picture, what it was asked with, how well it adds up, and its total map on one scale.

import { computed, type ReadonlySignal } from "@preact/signals";
import { useMemo, useState } from "preact/hooks";
import { Slider } from "../components/slider";
import { formatCount, formatNumber, formatPercent } from "../lib/format";
import { GOOD_GAP } from "../lib/gap";
import { AddBaseline } from "./baseline-form";
import { ModeSwitch } from "./modes";
import { Multiple, type Multiples, multiplesOf } from "./small-multiples";
import type { PathStore } from "./store";
import { BaselinePicture } from "./thumbnail";
import type { BaselineInfo, KindParameter, Mode } from "./traits";
import { baselineName, baselineStatus, baselineTitle } from "./words";

/** What the chip says below its title. */
function Status({ baseline, mode }: { baseline: BaselineInfo; mode: Mode }) {
  const status = baseline.modes.includes(mode) ? (baseline.status[mode] ?? "new") : "new";
  const text = baselineStatus(baseline, mode);
  const large = status === "ready" && (baseline.gap[mode] ?? 0) > GOOD_GAP;
  return (
    <span class="xw-chip-status" data-tone={status === "failed" ? "bad" : large ? "warn" : "quiet"}>
      {status === "running" && <span class="xw-spinner" aria-hidden="true" />}
      {text}
    </span>
  );
}

function paramOf(store: PathStore, { kind }: BaselineInfo, name: KindParameter["name"]): KindParameter | undefined {
  return store.kinds.value.find((one) => one.kind === kind)?.params.find((one) => one.name === name);
}

/** A slider that asks for another baseline of the same kind when it is let go. */
function Sigma({ store, baseline, range }: { store: PathStore; baseline: BaselineInfo; range: KindParameter }) {
  const [dragged, setDragged] = useState<number | null>(null);
  return (
    <Slider
      wide
      label="σ"
      value={dragged ?? baseline.params.sigma ?? range.default}
      low={range.low}
      high={range.high}
      step={range.step}
      integer={range.integer}
      help={`${range.title}: a new baseline when released`}
      offReason={store.offReason.value}
      format={(sigma) => String(Number(sigma.toPrecision(3)))}
      onPreview={setDragged}
      onSettle={(sigma) => {
        setDragged(null);
        if (sigma !== baseline.params.sigma) store.requestBaseline(baseline.kind, { ...baseline.params, sigma });
      }}
    />
  );
}

/** What the next draw changes: of a data set in path mode, which row is taken; else the seed. */
function Reroll({ store, baseline }: { store: PathStore; baseline: BaselineInfo }) {
  const { params } = baseline;
  const byRow = params.index !== undefined && store.mode.value === "path";
  const name = byRow ? "index" : "seed";
  const value = params[name];
  if (value === undefined) return null;
  const high = paramOf(store, baseline, name)?.high ?? Number.POSITIVE_INFINITY;
  const next = value < high ? value + 1 : 0;
  const word = byRow ? "no." : "seed";
  return (
    <span class="xw-reroll">
      <span class="xw-label">
        {word} {value}
      </span>
      <button
        type="button"
        class="xw-button xw-button-icon"
        aria-label={`${baselineTitle(baseline)}: another one, ${word} ${next}`}
        title={store.offReason.value || "another one: does the answer depend on chance?"}
        disabled={!store.live}
        onClick={() => store.requestBaseline(baseline.kind, { ...params, [name]: next })}
      >
        ⟳
      </button>
    </span>
  );
}

interface ChipProps {
  store: PathStore;
  baseline: BaselineInfo;
  multiples: ReadonlySignal<Multiples>;
}

function Chip({ store, baseline, multiples }: ChipProps) {
  const mode = store.mode.value;
  const sigma = baseline.params.sigma === undefined ? undefined : paramOf(store, baseline, "sigma");
  const possible = baseline.modes.includes(mode);
  const here = store.holds(mode, baseline.id);
  const chosen = baseline.id === store.baselineId.value;
  const reason = !possible ? baselineStatus(baseline, mode) : here || chosen ? "" : store.offReason.value;
  return (
    <div class="xw-baseline" data-chosen={chosen}>
      <label class="xw-baseline-label" title={reason || baselineName(baseline, mode)}>
        <input
          type="radio"
          class="xw-hidden-input"
          name={`${store.uid}-baseline`}
          value={baseline.id}
          checked={chosen}
          disabled={reason !== ""}
          aria-label={baselineName(baseline, mode)}
          onChange={() => store.showBaseline(baseline.id)}
        />
        <span class="xw-baseline-card" aria-hidden="true">
          <span class="xw-baseline-pictures">
            <BaselinePicture store={store} baseline={baseline} />
            <Multiple store={store} id={baseline.id} multiples={multiples} />
          </span>
          <span class="xw-baseline-title">
            <bdi>{baselineTitle(baseline)}</bdi>
          </span>
          <Status baseline={baseline} mode={mode} />
        </span>
      </label>
      {sigma && <Sigma store={store} baseline={baseline} range={sigma} />}
      <Reroll store={store} baseline={baseline} />
    </div>
  );
}

/** Forward and backward passes that the baselines without a result will take. */
export function costOfOthers(baselines: readonly BaselineInfo[], mode: Mode, each: number): number {
  const open = (one: BaselineInfo) =>
    one.modes.includes(mode) && !["ready", "running"].includes(one.status[mode] ?? "new");
  return each * baselines.filter(open).length;
}

function CompareButton({ store }: { store: PathStore }) {
  const mode = store.mode.value;
  const { steps = 65, samples = 128 } = store.params.value.parameters;
  const cost = costOfOthers(store.baselines.value, mode, Number(mode === "path" ? steps : samples));
  if (cost === 0) return null;
  return (
    <button
      type="button"
      class="xw-button"
      title={store.offReason.value || "compute every baseline that has no map yet"}
      disabled={!store.live || store.running.value}
      onClick={() => store.compare()}
    >
      Compute the others (≈ {formatCount(cost)} evaluations)
    </button>
  );
}

function Toggles({ store }: { store: PathStore }) {
  const { blind, disagreement } = store.display.value;
  const baseline = store.baseline.value;
  const share = baseline?.blind;
  return (
    <>
      {store.medium.value === "image" && store.mode.value === "path" && typeof share === "number" && (
        <label
          class="xw-field"
          title="hatch what cannot get credit: there, baseline and input are the same, so the difference is zero (x)"
        >
          <input
            type="checkbox"
            class="xw-checkbox"
            checked={blind}
            onChange={(event) => store.show({ blind: event.currentTarget.checked })}
          />
          <span>
            blind spot <span class="xw-number">{formatPercent(share, 0)}</span>
          </span>
        </label>
      )}
      <label class="xw-field" title="where the answer depends on the baseline: standard deviation of their maps (d)">
        <input
          type="checkbox"
          class="xw-checkbox"
          checked={disagreement}
          onChange={(event) => store.show({ disagreement: event.currentTarget.checked })}
        />
        <span>disagreement</span>
      </label>
    </>
  );
}

function MultiplesNote({ store, multiples }: Pick<ChipProps, "store" | "multiples">) {
  const { fields, range } = multiples.value;
  if (fields.size > 1) {
    const place = store.medium.value === "text" ? "token" : "pixel";
    return (
      <p class="xw-legend-note">
        The maps of {fields.size} baselines share one scale: full strength at ±{formatNumber(range)} per {place}
      </p>
    );
  }
  if (!store.display.value.disagreement) return null;
  return <p class="xw-legend-note">Disagreement needs the maps of two baselines: compute another one.</p>;
}

const HIDDEN: Record<Mode, (count: number) => string> = {
  path: (count) => `${count} more can only be drawn as a distribution`,
  distribution: (count) => `${count} more are single inputs: nothing in them is drawn at random`,
};

export function Baselines({ store }: { store: PathStore }) {
  const multiples = useMemo(() => computed(() => multiplesOf(store)), [store]);
  const mode = store.mode.value;
  const all = store.baselines.value;
  const shown = all.filter((one) => one.modes.includes(mode) || one.id === store.baselineId.value);
  const hidden = all.length - shown.length;
  return (
    <section class="xw-baselines" aria-label="baselines">
      <div class="xw-baselines-head">
        <span class="xw-heading" aria-hidden="true">
          Baselines
        </span>
        <ModeSwitch store={store} />
        <Toggles store={store} />
        <span class="xw-footer-tools">
          <CompareButton store={store} />
          <AddBaseline store={store} />
        </span>
      </div>
      <div class="xw-baseline-list" role="radiogroup" aria-label="baseline">
        {shown.map((baseline) => (
          <Chip key={baseline.id} store={store} baseline={baseline} multiples={multiples} />
        ))}
      </div>
      <MultiplesNote store={store} multiples={multiples} />
      {hidden > 0 && <p class="xw-legend-note">{HIDDEN[mode](hidden)}</p>}
    </section>
  );
}
