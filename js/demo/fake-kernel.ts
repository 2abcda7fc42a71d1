// Answers like the Python side, slowly enough to see: several refinements per run, newest wins.

import { StaticModel } from "../src/lib/static-model";
import type { ClassScore, Params, Region } from "../src/lib/traits";
import { METHODS, mapTraits } from "./state";
import { deflate, segments } from "./synthetic";

interface Message {
  type: string;
  id?: number;
  region?: Region;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class LiveModel extends StaticModel {
  override readonly isStatic = false;
  runs = 0;
  #generation = 0;

  constructor(state: Record<string, unknown>) {
    super(state);
    this.on("change:params", () => this.#run());
  }

  override send(content: unknown): void {
    const message = content as Message;
    if (message.type === "hello") setTimeout(() => this.emit("msg:custom", { type: "hello", id: message.id }), 30);
    if (message.type === "run") this.#run();
    if (message.type === "cancel") {
      this.#generation++;
      this.set("status", "cancelled");
    }
    if (message.type === "segments") this.#segment();
    if (message.type === "whatif" && message.region) this.#askAgain(message.region);
  }

  async #run(): Promise<void> {
    const mine = ++this.#generation;
    this.runs++;
    const params = this.get("params") as Params;
    const steps = Number(params.parameters.steps ?? 32);
    this.set("status", "running");
    for (const done of [Math.ceil(steps / 8), Math.ceil(steps / 2), steps]) {
      await pause(500);
      if (mine !== this.#generation) return;
      for (const [name, value] of Object.entries(await mapTraits(done, params.input))) this.set(name, value);
      this.set("progress", { done, total: steps, unit: "steps", eta_s: (steps - done) / 40, phase: "gradients" });
      this.set("seq", Number(this.get("seq")) + 1);
      this.set("status", "partial");
    }
    const nameOf = (id: number | null) =>
      (this.get("classes") as ClassScore[]).find((one) => one.id === id)?.name ?? null;
    this.set("question", {
      target_label: nameOf(params.target) ?? "",
      foil_label: nameOf(params.foil),
      baseline_title: params.baseline,
      method_title: METHODS.find((one) => one.name === params.method)?.title ?? params.method,
      score: null,
    });
    this.set("result_id", this.get("request_id"));
    this.set("progress", {});
    this.set("status", "ready");
  }

  async #segment(): Promise<void> {
    this.set("segments_shape", [224, 224]);
    this.set("segments", await deflate(segments(224)));
  }

  async #askAgain(region: Region): Promise<void> {
    await pause(300);
    const before = this.get("classes") as ClassScore[];
    const after = before.map((one, index) => ({ ...one, score: index === 0 ? one.score - 0.42 : one.score + 0.1 }));
    this.set("whatif", { region, before, after, seconds: 0.06 });
  }
}
