// Is a kernel there? A hello that stays unanswered for two seconds means: this is a saved result. Any later sign of
// life (a message, a change of status or of the picture number) makes the widget live again.

import { signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import type { Bridge } from "./bridge";
import { listen } from "./host";

export const ANSWER_WITHIN_MS = 2000;
/** A kernel that was heard before is more likely busy than gone. */
export const HEARD_BEFORE_WITHIN_MS = 10_000;

export type Liveness = "asking" | "live" | "saved";

export interface KernelProbe {
  state: ReadonlySignal<Liveness>;
  ask(): void;
}

export function probeKernel(bridge: Bridge): KernelProbe {
  const { model, lifetime } = bridge;
  const isStatic = (model as { isStatic?: boolean }).isStatic === true;
  const state = makeSignal<Liveness>(isStatic ? "saved" : "asking");
  let timer: ReturnType<typeof setTimeout> | undefined;
  let count = 0;

  const heard = () => {
    clearTimeout(timer);
    state.value = "live";
  };
  const ask = () => {
    if (isStatic) return;
    clearTimeout(timer);
    if (state.value === "saved") state.value = "asking";
    const patience = state.value === "live" ? HEARD_BEFORE_WITHIN_MS : ANSWER_WITHIN_MS;
    timer = setTimeout(() => {
      state.value = "saved";
    }, patience);
    count += 1;
    bridge.send({ type: "hello", id: count });
  };

  if (!isStatic) {
    for (const event of ["msg:custom", "change:status", "change:seq"]) listen(model, event, heard, lifetime);
    // The kernel asks who is still there after another view has gone.
    const answer = (message: { type?: string }) => message.type === "rollcall" && ask();
    listen(model, "msg:custom", answer, lifetime);
    lifetime.addEventListener("abort", () => clearTimeout(timer), { once: true });
    ask();
  }
  return { state, ask };
}
