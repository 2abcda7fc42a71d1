// What every widget knows: status, question, settings, and how they go to the kernel. Views read signals from here
// and call its actions; nothing below this file talks to the model.

import { batch, computed, effect, signal as makeSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { type Announcer, makeAnnouncer } from "./announcer";
import { Bridge } from "./bridge";
import type { Model } from "./host";
import { listen } from "./host";
import { type KernelProbe, probeKernel } from "./liveness";
import { watchOnScreen } from "./on-screen";
import { CommitScheduler } from "./scheduler";
import { type Shade, watchShade } from "./theme";
import type {
  ClassScore,
  Failure,
  Method,
  Notice,
  Parameter,
  ParameterValue,
  Params,
  Polarity,
  Progress,
  Question,
  Status,
  Theme,
} from "./traits";

const NO_PARAMS: Params = { input: 0, target: null, foil: null, method: "", baseline: "", parameters: {} };
const NO_QUESTION: Question = {
  target_label: "",
  foil_label: null,
  baseline_title: null,
  method_title: "",
  score: null,
};
const NO_PROGRESS: Progress = { done: 0, total: null, unit: "", eta_s: null, phase: "" };

/** A free kernel starts sooner than this. */
const ANSWER_EXPECTED_MS = 800;

export class BaseStore {
  readonly bridge: Bridge;
  readonly kernel: KernelProbe;
  readonly announcer: Announcer;
  readonly shade: ReadonlySignal<Shade>;
  readonly onScreen: ReadonlySignal<boolean>;

  readonly status: Signal<Status>;
  readonly progress: Signal<Progress>;
  readonly question: Signal<Question>;
  readonly methods: Signal<Method[]>;
  readonly layers: Signal<string[]>;
  readonly classes: Signal<ClassScore[]>;
  /** What an entry holds beside its title is up to the widget. */
  readonly baselines: ReadonlySignal<readonly { title: string }[]>;
  readonly failure: Signal<Failure>;
  readonly notices: Signal<Notice[]>;
  readonly caption: Signal<string>;
  readonly provenance: Signal<Record<string, unknown>>;
  readonly palette: Signal<string>;
  readonly polarity: Signal<Polarity>;
  readonly lut: Signal<unknown>;
  readonly theme: Signal<Theme>;
  readonly requestId: Signal<number>;
  readonly resultId: Signal<number>;
  readonly seq: Signal<number>;
  /** Text of a picture that could not be decoded: shown, never swallowed. */
  readonly decodeError = makeSignal("");

  /** The settings as the controls show them; the trait follows when they are committed. */
  readonly params: Signal<Params>;
  readonly helpOpen = makeSignal(false);
  /** Whether what was tested about the map is shown. */
  readonly testsOpen = makeSignal(false);
  /** Whether anything was tested, or is being tested: there is something to show. */
  readonly tested: ReadonlySignal<boolean>;
  /** Prefix of element ids: several views of one widget may share a page. */
  readonly uid = `xw-${Math.random().toString(36).slice(2, 9)}`;

  readonly running: ReadonlySignal<boolean>;
  /** Asked, but the kernel has not begun: it is busy with a cell. */
  readonly unanswered = makeSignal(false);
  readonly method: ReadonlySignal<Method | undefined>;
  readonly hasBaseline: ReadonlySignal<boolean>;
  /** Why kernel-side controls are off; empty where they work. */
  readonly offReason: ReadonlySignal<string>;
  /** Why there is nobody to ask about the model: the values came without one. Empty where there is a model. */
  readonly noModel: Signal<string>;
  /** Over the question, if anything is. */
  readonly heading: Signal<string>;
  /** Of values without a model: the traits of each input ("0") and of each answer ("0/method"), all there from the start. */
  readonly #shelf: Signal<Readonly<Record<string, Readonly<Record<string, unknown>>>>>;

  readonly #commits: CommitScheduler<Params>;

  constructor(
    readonly model: Model,
    readonly element: HTMLElement,
    readonly lifetime: AbortSignal,
  ) {
    const bridge = new Bridge(model, lifetime);
    this.bridge = bridge;
    this.announcer = makeAnnouncer(lifetime);
    this.status = bridge.trait<Status>("status", "empty");
    this.progress = bridge.trait("progress", NO_PROGRESS);
    this.question = bridge.trait("question", NO_QUESTION);
    this.methods = bridge.trait<Method[]>("methods", []);
    this.layers = bridge.trait<string[]>("layers", []);
    this.classes = bridge.trait<ClassScore[]>("classes", []);
    this.baselines = bridge.trait<{ title: string }[]>("baselines", []);
    this.failure = bridge.trait<Failure>("error", {});
    this.notices = bridge.trait<Notice[]>("notices", []);
    this.caption = bridge.trait("caption", "");
    this.provenance = bridge.trait<Record<string, unknown>>("provenance", {});
    this.palette = bridge.trait("palette", "default");
    this.polarity = bridge.trait<Polarity>("polarity", "warm");
    this.lut = bridge.trait<unknown>("lut", null);
    this.theme = bridge.trait<Theme>("theme", "auto");
    this.requestId = bridge.trait("request_id", 0);
    this.resultId = bridge.trait("result_id", 0);
    this.seq = bridge.trait("seq", 0);
    this.noModel = bridge.trait("no_model", "");
    this.heading = bridge.trait("heading", "");
    this.#shelf = bridge.trait("shelf", {});
    this.kernel = probeKernel(bridge);

    const probed = watchShade(element, lifetime);
    this.onScreen = watchOnScreen(element, lifetime);
    this.shade = computed(() => (this.theme.value === "auto" ? probed.value : this.theme.value));

    const committed = () => ({ ...NO_PARAMS, ...((model.get("params") as Partial<Params> | undefined) ?? {}) });
    this.params = makeSignal(committed());
    this.#commits = new CommitScheduler<Params>((params) => this.#commit(params), lifetime);
    listen(
      model,
      "change:params",
      () => {
        // An echo of an older setting must not pull a slider back under the reader's hand.
        if (!this.#commits.waiting) this.params.value = committed();
      },
      lifetime,
    );

    this.running = computed(() => ["queued", "running", "partial"].includes(this.status.value));
    this.method = computed(() => this.methods.value.find((one) => one.name === this.params.value.method));
    this.hasBaseline = computed(
      () =>
        this.baselines.value.length > 0 &&
        (this.method.value?.parameters.some((one) => one.kind === "baseline" || one.name === "baseline") ?? false),
    );
    this.offReason = computed(() => {
      if (this.kernel.state.value !== "saved") return "";
      return "This is a saved result: no running kernel answers, so nothing new can be computed.";
    });
    const trust = bridge.trait<object>("trust", {});
    this.tested = computed(() => Object.keys(trust.value).length > 0);
    const stop = effect(() => {
      this.testsOpen.value = this.tested.value;
    });
    lifetime.addEventListener("abort", stop, { once: true });
    this.#speakStatus();
    this.#watchForAnswers();
  }

  /** Say what a change of status means; the first status is what the reader finds, not news. */
  #speakStatus(): void {
    const words: Partial<Record<Status, () => string>> = {
      running: () => "computing",
      ready: () => `ready. ${this.caption.peek()}`,
      cancelled: () => "cancelled",
      stale: () => "settings changed: press Enter to run",
    };
    let known = this.status.peek();
    const stop = effect(() => {
      const status = this.status.value;
      if (status !== known) this.announcer.say(words[status]?.() ?? "");
      known = status;
    });
    this.lifetime.addEventListener("abort", stop, { once: true });
  }

  /** A request that nobody takes up: the kernel is busy, or it is gone. Ask which. */
  #watchForAnswers(): void {
    const waiting = computed(
      () => !this.running.value && this.status.value !== "error" && this.requestId.value > this.resultId.value,
    );
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = effect(() => {
      clearTimeout(timer);
      if (!waiting.value) {
        this.unanswered.value = false;
        return;
      }
      timer = setTimeout(() => {
        this.unanswered.value = true;
        this.kernel.ask();
      }, ANSWER_EXPECTED_MS);
    });
    this.lifetime.addEventListener("abort", stop, { once: true });
    this.lifetime.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  get live(): boolean {
    return this.offReason.value === "";
  }

  /** Which map is on show: what was tested is about one. */
  get mapKey(): string {
    return this.bridge.trait("map_key", "").value;
  }

  /** Why a change cannot be had; empty where the kernel answers, or the answer is on the shelf. */
  offFor(patch: Partial<Params>): string {
    const { input, method } = { ...this.params.value, ...patch };
    return `${input}/${method}` in this.#shelf.value ? "" : this.offReason.value;
  }

  /** Change settings; `settled` is false while a slider is being dragged. */
  change(patch: Partial<Params>, settled = true): void {
    const next = { ...this.params.value, ...patch };
    if (!this.live) {
      this.#takeFromShelf(next);
      return;
    }
    this.params.value = next;
    if (settled) this.#commits.settle(this.params.value);
    else this.#commits.preview(this.params.value);
  }

  /** Show other settings without asking the kernel: they ride along with the next request. */
  protected adopt(params: Params): void {
    this.#commits.drop();
    this.model.set("params", params);
    this.params.value = params;
  }

  /** Show an answer that is there already; nothing happens where there is none. */
  #takeFromShelf(params: Params): void {
    const shelf = this.#shelf.value;
    const answer = shelf[`${params.input}/${params.method}`];
    if (!answer) return;
    const other = params.input === this.params.value.input ? {} : shelf[params.input];
    batch(() => {
      this.adopt(params);
      for (const [name, value] of Object.entries({ ...other, ...answer })) this.model.set(name, value);
    });
    this.announcer.say(this.caption.value);
  }

  setParameter(name: string, value: ParameterValue, settled = true): void {
    this.change({ parameters: { ...this.params.value.parameters, [name]: value } }, settled);
  }

  parameterValue(parameter: Parameter): ParameterValue {
    return this.params.value.parameters[parameter.name] ?? parameter.default;
  }

  explain(id: number): void {
    const foil = this.params.value.foil === id ? null : this.params.value.foil;
    this.change({ target: id, foil });
  }

  /** Contrast with a class; the same class again drops the contrast. */
  contrast(id: number): void {
    if (id === this.targetId) return;
    this.change({ foil: this.params.value.foil === id ? null : id });
  }

  /** The class explained; where none was chosen, the model's first. */
  get targetId(): number | null {
    const asked = this.params.value.target;
    if (asked !== null) return asked;
    // Who asked for no class gets the predicted one, one for each input, or a score that is no class: Python knows.
    const { target } = this.question.value;
    return target === undefined ? (this.classes.value[0]?.id ?? null) : target;
  }

  /** Run with the current settings. */
  start(): void {
    if (this.live) this.bridge.send({ type: "run" });
  }

  cancel(): void {
    if (this.live && this.running.value) this.bridge.send({ type: "cancel" });
  }

  /** Show what was tested about the map, or hide it; test it first where nothing was. False where nothing can be. */
  toggleTests(): boolean {
    if (!this.tested.value && !this.live) return false;
    this.testsOpen.value = !this.testsOpen.value;
    if (!this.tested.value && this.testsOpen.value) this.bridge.send({ type: "trust", key: this.mapKey });
    return true;
  }

  /**
   * Decode whenever a trait changes, once somebody looks; only the newest result counts, and the last good one stays on an
   * error.
   */
  protected follow<T>(decode: () => Promise<T>, keep: (value: T) => void): void {
    let newest: Promise<T> | undefined;
    const decoded = computed(decode);
    const stop = effect(() => {
      if (!this.onScreen.value || decoded.value === newest) return;
      const mine = decoded.value;
      newest = mine;
      mine
        .then((value) => {
          if (mine !== newest || this.lifetime.aborted) return;
          keep(value);
          this.decodeError.value = "";
        })
        .catch((error: unknown) => {
          if (mine === newest) this.decodeError.value = error instanceof Error ? error.message : String(error);
        });
    });
    this.lifetime.addEventListener("abort", stop, { once: true });
  }

  /** Tell the kernel that a picture is on screen, so that it can send the next one. */
  protected acknowledge(): void {
    requestAnimationFrame(() => {
      if (!this.lifetime.aborted && this.kernel.state.value !== "saved") {
        this.bridge.send({ type: "ack", seq: this.seq.peek() });
      }
    });
  }

  #commit(params: Params): void {
    const request = Number(this.model.get("request_id") ?? 0) + 1;
    batch(() => {
      this.model.set("params", params);
      this.model.set("request_id", request);
    });
    this.bridge.saveNow();
  }
}
