// The runs a page holds: the one on show in fine frames, finished ones as the archive keeps them, all of one question.

import type { Model } from "../lib/host";
import { decodeRun, effortOf, type Run } from "./run";
import type { RunTraits } from "./traits";

const FIELDS = [
  "alphas",
  "F",
  "C",
  "prob",
  "scores",
  "gaps",
  "inc_meta",
  "total_meta",
  "facts",
  "notices",
  "caption",
  "increments",
  "total_map",
  "refs",
] as const satisfies readonly (keyof RunTraits)[];

interface Kept {
  run: Run;
  fine: boolean;
}

export class Archive {
  /** By the bytes they were decoded from: what arrived before is not decoded again. */
  readonly #decoded = new WeakMap<object, Run>();
  #kept: ReadonlyMap<string, Kept> = new Map();
  #asked: unknown;
  #newest = 0;

  constructor(readonly model: Model) {}

  /** The runs by key, when something new has arrived. */
  async decode(): Promise<ReadonlyMap<string, Run>> {
    const { model } = this;
    const mine = ++this.#newest;
    // All traits of a message are set before the page does anything else, but it hears of them one by one.
    await null;
    if (mine !== this.#newest) return new Map();
    const asked = model.get("asked");
    const before = asked === this.#asked ? this.#kept : [];
    const saved = Object.entries((model.get("archive") ?? {}) as Record<string, RunTraits>);
    const arrived = saved.map(([key, traits]) => this.#decode(key, traits, false));
    const shown = String(model.get("shown") ?? "");
    if (shown) arrived.push(this.#decode(shown, this.#traits(), true));

    const kept = new Map(before);
    for (const one of await Promise.all(arrived)) {
      const known = kept.get(one.run.key);
      const newer = !known || one.fine || !known.fine || effortOf(one.run) > effortOf(known.run);
      if (newer) kept.set(one.run.key, one);
    }
    if (mine === this.#newest) {
      this.#kept = kept;
      this.#asked = asked;
    }
    return new Map([...kept].map(([key, { run }]) => [key, run]));
  }

  #traits(): RunTraits {
    return Object.fromEntries(FIELDS.map((name) => [name, this.model.get(name)])) as unknown as RunTraits;
  }

  async #decode(key: string, traits: RunTraits, fine: boolean): Promise<Kept> {
    const source = traits.increments;
    const isObject = typeof source === "object" && source !== null;
    const known = isObject ? this.#decoded.get(source) : undefined;
    const run =
      known?.key === key
        ? known
        : await decodeRun(key, traits, (this.model.get("image_size") as number[] | undefined) ?? []);
    if (isObject) this.#decoded.set(source, run);
    return { run, fine };
  }
}
