// Plays the path: α moves on its own, through the window, at the pace of four seconds for the whole path.

import { computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { PathStore } from "./store";

const WHOLE_PATH_MS = 4000;

export class Player {
  readonly playing: ReadonlySignal<boolean>;
  /** Why it does not play; empty where it does. */
  readonly offReason: ReadonlySignal<string>;
  readonly #playing: Signal<boolean> = makeSignal(false);
  #frame = 0;
  /** Where the play has got to. */
  #at = 0;

  constructor(readonly store: PathStore) {
    this.playing = this.#playing;
    const still = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)");
    const motionless = makeSignal(still?.matches ?? false);
    const { lifetime } = store;
    still?.addEventListener("change", () => (motionless.value = still.matches), { signal: lifetime });
    this.offReason = computed(() => (motionless.value ? "off: your system asks for less motion" : ""));
    // a run that goes away, or a new wish of the reader, ends the play; while nobody looks, it waits
    const stop = effect(() => {
      cancelAnimationFrame(this.#frame);
      if (!this.#playing.value) return;
      if (this.offReason.value || !store.run.value) this.pause();
      else if (store.onScreen.value) this.#go();
    });
    lifetime.addEventListener("abort", stop, { once: true });
    lifetime.addEventListener("abort", () => this.pause(), { once: true });
  }

  toggle(): void {
    if (this.#playing.value) this.pause();
    else this.#play();
  }

  pause(): void {
    cancelAnimationFrame(this.#frame);
    this.#playing.value = false;
  }

  #play(): void {
    const { store } = this;
    if (this.offReason.value) {
      store.announcer.say(this.offReason.value);
      return;
    }
    const [start, end] = store.window.value;
    if (!store.run.value || end <= start) return;
    store.hoverAlpha.value = null;
    if (store.alpha.value >= end - 1e-6 || store.alpha.value < start) store.setAlpha(start);
    this.#at = store.alpha.value;
    this.#playing.value = true;
  }

  #go(): void {
    const { store } = this;
    let before = performance.now();
    const tick = (now: number) => {
      // Moved by hand: the reader has taken over.
      if (Math.abs(store.alpha.value - this.#at) > 1e-9) return this.pause();
      store.setAlpha(store.alpha.value + Math.max(now - before, 0) / WHOLE_PATH_MS);
      before = now;
      this.#at = store.alpha.value;
      if (this.#at >= store.window.value[1] - 1e-6) this.pause();
      else this.#frame = requestAnimationFrame(tick);
    };
    this.#frame = requestAnimationFrame(tick);
  }
}
