// What the kernel is doing, in one chip, with the one action that fits.

import type { BaseStore } from "../lib/base-store";
import { formatSeconds } from "../lib/format";
import type { Progress } from "../lib/traits";

function progressText(progress: Partial<Progress>, short: boolean): string {
  const { done, total, unit, eta_s: left, phase } = progress;
  const parts: string[] = [];
  if (typeof done === "number" && (done > 0 || total)) {
    parts.push(total ? `${done} of ${total}${unit && !short ? ` ${unit}` : ""}` : `${done} ${unit ?? ""}`.trim());
  } else if (phase) parts.push(phase);
  if (typeof left === "number" && left > 0) parts.push(`${formatSeconds(left)} left`);
  return parts.join(" · ");
}

interface ChipState {
  tone: "quiet" | "busy" | "partial" | "warn" | "bad";
  text: string;
  action: "run" | "cancel" | "none";
}

export function chipState(store: BaseStore, summary: string): ChipState {
  const progress = store.progress.value;
  if (store.unanswered.value && store.status.value !== "stale") {
    return { tone: "busy", text: "kernel busy: queued", action: "none" };
  }
  switch (store.status.value) {
    case "queued":
      return { tone: "busy", text: "queued", action: "cancel" };
    case "running":
      return { tone: "busy", text: progressText(progress, false) || "computing…", action: "cancel" };
    case "partial":
      return { tone: "partial", text: progressText(progress, false) || "first picture", action: "cancel" };
    case "stale":
      return { tone: "warn", text: "settings changed", action: "run" };
    case "cancelled":
      return { tone: "warn", text: "cancelled", action: "run" };
    case "error":
      return { tone: "bad", text: "failed", action: "run" };
    case "empty":
      return { tone: "quiet", text: "nothing computed yet", action: "run" };
    case "ready":
      return { tone: "quiet", text: summary, action: "none" };
  }
}

export function StatusChip({ store, summary }: { store: BaseStore; summary: string }) {
  if (store.kernel.state.value === "saved") {
    return (
      <span class="xw-status">
        <button
          type="button"
          class="xw-chip xw-chip-warn xw-chip-button"
          title={`${store.offReason.value} Click to look for a kernel again.`}
          onClick={() => store.kernel.ask()}
        >
          read-only: saved result
        </button>
      </span>
    );
  }
  const chip = chipState(store, summary);
  return (
    <span class="xw-status">
      {chip.text && (
        <span class={`xw-chip xw-chip-${chip.tone}`}>
          {chip.tone === "busy" && <span class="xw-spinner" aria-hidden="true" />}
          {chip.text}
        </span>
      )}
      {chip.action === "cancel" && (
        <button
          type="button"
          class="xw-button"
          title="stop; the last picture stays (Esc)"
          onClick={() => store.cancel()}
        >
          Cancel
        </button>
      )}
      {chip.action === "run" && (
        <button
          type="button"
          class="xw-button xw-button-strong"
          title="run with these settings (⏎)"
          onClick={() => store.start()}
        >
          Run <kbd class="xw-key">⏎</kbd>
        </button>
      )}
    </span>
  );
}

/** A thin line under the header; the width is the share done. */
export function ProgressLine({ store }: { store: BaseStore }) {
  const { done = 0, total = null } = store.progress.value as Partial<Progress>;
  const running = store.running.value;
  const share = total ? Math.min(done / total, 1) : 0;
  const known = running && total !== null;
  return (
    <div
      class={running && !known ? "xw-progress xw-progress-unknown" : "xw-progress"}
      role="progressbar"
      aria-label="progress of the computation"
      aria-hidden={!running}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.round(100 * share) : undefined}
    >
      <div
        class="xw-progress-done"
        style={{ transform: known ? `scaleX(${share})` : running ? "none" : "scaleX(0)" }}
      />
    </div>
  );
}
