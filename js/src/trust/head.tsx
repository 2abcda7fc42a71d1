// What is tested, how far it is, and what can be done about it.

import { useMemo } from "preact/hooks";
import { ExportMenu } from "../components/export-menu";
import { Menu } from "../components/menu";
import { ErrorText } from "../components/messages";
import { Toggle } from "../components/toggle";
import { formatCount, formatSeconds } from "../lib/format";
import { formatsOf } from "./export";
import type { TrustStore } from "./store";
import type { Option, Trust } from "./traits";
import { subject } from "./words";

const PYTHON_LINES = [
  { text: "w.trust_result", means: "the results, with curves and intervals" },
  { text: 'w.test(fill="blur")', means: "test with another fill" },
];

function Choice({ store, name, label }: { store: TrustStore; name: keyof Trust["settings"]; label: string }) {
  const { choices, settings } = store.trust.value;
  const options: readonly Option[] = choices[name] ?? [];
  if (options.length < 2) return null;
  return (
    <div class="xw-field">
      <span class="xw-label" aria-hidden="true">
        {label}
      </span>
      <Menu
        label={label}
        value={settings[name]}
        items={options.map(([value, title]) => ({ value, title }))}
        offReason={store.offReason.value}
        onChoose={(value) => store.test({ [name]: value })}
      />
    </div>
  );
}

function progressText({ done, total, phase, eta_s: left }: Trust["progress"]): string {
  const count = total ? `${done ?? 0} of ${total}` : "";
  return [phase || "testing", count, left ? `${formatSeconds(left)} left` : ""].filter(Boolean).join(" · ");
}

function Status({ store }: { store: TrustStore }) {
  const { status, progress } = store.trust.value;
  const again = (text: string) => (
    <button
      type="button"
      class="xw-button xw-button-strong"
      title={store.offReason.value}
      disabled={!store.live}
      onClick={() => store.test()}
    >
      {text}
    </button>
  );
  if (store.testing.value && store.live) {
    return (
      <span class="xw-status">
        <span class="xw-chip xw-chip-busy">
          <span class="xw-spinner" aria-hidden="true" />
          {progressText(progress)}
        </span>
        <button type="button" class="xw-button" title="stop; what was found stays (Esc)" onClick={() => store.stop()}>
          Cancel
        </button>
      </span>
    );
  }
  if (store.stale.value) {
    return (
      <span class="xw-status">
        <span class="xw-chip xw-chip-warn">about another map</span>
        {again("Test the one on show")}
      </span>
    );
  }
  if (status === "done") return null;
  return (
    <span class="xw-status">
      <span class={`xw-chip xw-chip-${status === "error" ? "bad" : "warn"}`}>
        {{ error: "failed", cancelled: "cancelled: not all is tested", running: "not all is tested" }[status]}
      </span>
      {again("Test again")}
    </span>
  );
}

function Progress({ store }: { store: TrustStore }) {
  if (!store.testing.value || !store.live) return null;
  const { done = 0, total } = store.trust.value.progress;
  const share = total ? Math.min(done / total, 1) : 0;
  return (
    <div
      class={total ? "xw-progress" : "xw-progress xw-progress-unknown"}
      role="progressbar"
      aria-label="progress of the tests"
      aria-hidden={false}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={total ? Math.round(100 * share) : undefined}
    >
      <div class="xw-progress-done" style={{ transform: total ? `scaleX(${share})` : "none" }} />
    </div>
  );
}

function Tools({ store }: { store: TrustStore }) {
  const formats = useMemo(() => formatsOf(store), [store]);
  return (
    <div class="xw-trust-tools">
      <Choice store={store} name="fill" label="filled with" />
      <Choice store={store} name="measure" label="curves of" />
      <span class="xw-footer-tools">
        <Toggle open={store.tableOpen} title="the tests as tables" text="Tables" />
        <ExportMenu
          open={store.exportOpen}
          formats={formats}
          pythonLines={PYTHON_LINES}
          ready={store.tested.value}
          offReason={store.offReason.value}
          name="trust"
        />
      </span>
    </div>
  );
}

export function TrustHead({ store }: { store: TrustStore }) {
  const { about, error } = store.trust.value;
  return (
    <>
      <div class="xw-header">
        <h3 class="xw-trust-title" id={`${store.uid}-title`}>
          Tests of <bdi>{subject(about) || "this map"}</bdi>
        </h3>
        <Status store={store} />
      </div>
      <Progress store={store} />
      <ErrorText failure={error} />
      {!store.empty.value && <Tools store={store} />}
    </>
  );
}

export function Cost({ cost: { forward, gradient, seconds } }: { cost: Trust["cost"] }) {
  const parts = [
    forward ? `${formatCount(forward)} forward passes` : "",
    gradient ? `${formatCount(gradient)} gradients` : "",
    seconds ? formatSeconds(seconds) : "",
  ].filter(Boolean);
  return (
    <p class="xw-method-note">
      A map can fail these tests; passing them does not make it right.
      {parts.length > 0 && ` The tests took ${parts.join(", ")}.`}
    </p>
  );
}
