// The matches that group the text. While a pattern is being tried, or is none, the last one that worked stays.

import { effect, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import { findAll } from "./pattern";
import type { CharRange, Granularity } from "./traits";

export class RegexGroups {
  readonly matches = makeSignal<CharRange[]>([]);
  readonly error = makeSignal("");

  constructor(granularity: ReadonlySignal<Granularity>, text: ReadonlySignal<string>, lifetime: AbortSignal) {
    let tried = new AbortController();
    let known = "";
    const stop = effect(() => {
      const { mode, regex } = granularity.value;
      const question = JSON.stringify([regex, text.value]);
      if (mode !== "regex" || question === known) return;
      known = question;
      tried.abort();
      tried = new AbortController();
      this.#try(regex, text.value, tried.signal);
    });
    lifetime.addEventListener(
      "abort",
      () => {
        stop();
        tried.abort();
      },
      { once: true },
    );
  }

  async #try(regex: string, text: string, gone: AbortSignal): Promise<void> {
    let error = "";
    try {
      const found = regex === "" ? [] : await findAll(regex, text, gone);
      if (!gone.aborted) this.matches.value = found;
    } catch (reason) {
      error = reason instanceof Error ? reason.message : String(reason);
    }
    if (!gone.aborted) this.error.value = error;
  }
}
