// The text of a strip and how it is read: its tokens, how they are grouped, and what the reader decided about the view.

import { computed, type ReadonlySignal, type Signal } from "@preact/signals";
import { BaseStore } from "../lib/base-store";
import type { Model } from "../lib/host";
import { cutsOf, type Group, type Grouping, groupStretches, type Unit } from "./groups";
import { RegexGroups } from "./regex";
import {
  type Aggregate,
  type Boundaries,
  DEFAULT_GRANULARITY,
  DEFAULT_STRIP_DISPLAY,
  type Granularity,
  type LocalTraits,
  type ScaleMode,
  type Show,
  type Step,
  type StretchTuple,
  type StripDisplay,
  type Task,
  type TextInput,
  type TokenTuple,
  type View,
} from "./traits";

/** A token of one of the lists. */
export interface Place {
  list: "prompt" | "output";
  token: number;
}

export class TextStore extends BaseStore {
  readonly task: Signal<Task>;
  readonly text: Signal<string>;
  readonly tokens: Signal<TokenTuple[]>;
  readonly strip: Signal<StretchTuple[]>;
  readonly nPrompt: Signal<number>;
  readonly promptEnd: Signal<number>;
  readonly steps: Signal<Step[]>;
  readonly inputs: Signal<TextInput[]>;

  readonly granularity: ReadonlySignal<Granularity>;
  /** Why a regular expression does not group; the last one that did stays. */
  readonly regexError: ReadonlySignal<string>;
  readonly grouping: ReadonlySignal<Grouping>;
  readonly agg: Signal<Aggregate>;
  readonly show: Signal<Show>;
  readonly specials: Signal<boolean>;
  readonly k: Signal<number>;
  readonly scaleMode: Signal<ScaleMode>;
  readonly view: Signal<View>;
  readonly display: ReadonlySignal<StripDisplay>;

  constructor(model: Model, element: HTMLElement, lifetime: AbortSignal) {
    super(model, element, lifetime);
    const { bridge } = this;
    this.task = bridge.trait<Task>("task", "classify");
    this.text = bridge.trait("text", "");
    this.tokens = bridge.trait<TokenTuple[]>("tokens", []);
    this.strip = bridge.trait<StretchTuple[]>("strip", []);
    this.nPrompt = bridge.trait("n_prompt", 0);
    this.promptEnd = bridge.trait("prompt_end", 0);
    this.steps = bridge.trait<Step[]>("steps", []);
    this.inputs = bridge.trait<TextInput[]>("inputs", []);

    this.agg = bridge.trait<Aggregate>("agg", "sum");
    this.show = bridge.trait<Show>("show", "bars");
    this.specials = bridge.trait("specials", false);
    this.k = bridge.trait("k", 0);
    this.scaleMode = bridge.trait<ScaleMode>("scale_mode", "target");
    this.view = bridge.trait<View>("view", "strip");
    const display = bridge.trait<Partial<StripDisplay>>("display", {});
    this.display = computed(() => ({ ...DEFAULT_STRIP_DISPLAY, ...display.value }));

    const granularity = bridge.trait<Partial<Granularity>>("granularity", {});
    this.granularity = computed(() => ({ ...DEFAULT_GRANULARITY, ...granularity.value }));
    const boundaries = bridge.trait<Boundaries>("boundaries", {});
    const regex = new RegexGroups(this.granularity, this.text, lifetime);
    this.regexError = regex.error;
    this.grouping = computed(() => {
      const { mode } = this.granularity.value;
      const cuts = cutsOf(mode, boundaries.value, mode === "regex" ? regex.matches.value : []);
      return groupStretches(this.text.value, this.tokens.value, this.strip.value, cuts);
    });
  }

  /** Set a trait that belongs to the page: every view follows, and it is saved with the next request. */
  local<Name extends keyof LocalTraits>(name: Name, value: LocalTraits[Name]): void {
    this.model.set(name, value);
  }

  setDisplay(patch: Partial<StripDisplay>): void {
    this.model.set("display", { ...this.display.value, ...patch });
  }

  setGranularity(patch: Partial<Granularity>): void {
    this.local("granularity", { ...this.granularity.value, ...patch });
  }

  /** The text of a group; a token without text has its surface. */
  textOf(group: Group): string {
    return this.text.value.slice(group.start, group.end) || (this.tokens.value[group.members[0] ?? -1]?.[3] ?? "");
  }

  listOf(token: number): Place["list"] {
    return this.task.value === "generate" && token >= this.nPrompt.value ? "output" : "prompt";
  }

  /** Units as they are shown. */
  isShown(unit: Unit): boolean {
    return this.specials.value || !unit.special;
  }
}
