// One polite live region per widget: at most one message a second, always the newest.

import { signal as makeSignal, type ReadonlySignal } from "@preact/signals";

const SPEAK_EVERY_MS = 1000;

export interface Announcer {
  text: ReadonlySignal<string>;
  say(text: string): void;
}

export function makeAnnouncer(lifetime: AbortSignal): Announcer {
  const spoken = makeSignal("");
  let waiting: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const speak = () => {
    timer = undefined;
    if (waiting === undefined) return;
    spoken.value = waiting;
    waiting = undefined;
    timer = setTimeout(speak, SPEAK_EVERY_MS);
  };
  lifetime.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return {
    text: spoken,
    say(text) {
      waiting = text;
      if (timer === undefined) speak();
    },
  };
}
