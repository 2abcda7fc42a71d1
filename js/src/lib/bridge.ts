// Traits as signals. Components read signals and never see the model; writes are gathered so that dragging a
// slider saves ten times a second, not sixty.

import { signal as makeSignal, type Signal } from "@preact/signals";
import { listen, type Model } from "./host";

const SAVE_EVERY_MS = 100;

export class Bridge {
  readonly #signals = new Map<string, Signal<unknown>>();
  /** What was written and waits to be saved. */
  readonly #unsaved = new Map<string, unknown>();
  #saveTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly model: Model,
    readonly lifetime: AbortSignal,
  ) {
    // What is still waiting is saved when the view goes; nothing waits, nothing is sent.
    lifetime.addEventListener("abort", () => this.#unsaved.size && this.saveNow(), { once: true });
  }

  /** The signal of a trait. `fallback` stands in while the trait is absent (an older kernel side). */
  trait<T>(name: string, fallback: T): Signal<T> {
    const known = this.#signals.get(name);
    if (known) return known as Signal<T>;
    const read = () => (this.model.get(name) ?? fallback) as T;
    const made = makeSignal<T>(read());
    this.#signals.set(name, made as Signal<unknown>);
    listen(
      this.model,
      `change:${name}`,
      () => {
        // The kernel's echo of an earlier save must not take back what was written since, or the next write builds on it.
        const written = this.#unsaved.get(name);
        // Taken out meanwhile: some hosts tell of every `set`, and what another view answers to this one is newer.
        if (this.#unsaved.delete(name)) {
          this.model.set(name, written);
          if (read() === written) this.#unsaved.set(name, written);
        }
        made.value = read();
      },
      this.lifetime,
    );
    return made;
  }

  /** Set a trait now for every view of this page, and save it to the kernel soon. */
  write(name: string, value: unknown): void {
    this.#unsaved.set(name, value);
    this.model.set(name, value);
    this.#saveTimer ??= setTimeout(() => this.saveNow(), SAVE_EVERY_MS);
  }

  saveNow(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    this.#unsaved.clear();
    this.model.save_changes();
  }

  send(content: Record<string, unknown>): void {
    this.model.send(content);
  }
}
