// Answers a path explorer like the Python side: a run that the page lacks arrives in steps.

import { StaticModel } from "../src/lib/static-model";
import type { BaselineInfo, PathParams } from "../src/path/traits";
import { run } from "./path-state";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class PathModel extends StaticModel {
  override readonly isStatic = false;
  #generation = 0;

  constructor(state: Record<string, unknown>) {
    super(state);
    this.on("change:params", () => this.#run());
  }

  override send(content: unknown): void {
    const { type, id } = content as { type: string; id?: number };
    if (type === "hello") setTimeout(() => this.emit("msg:custom", { type: "hello", id }), 30);
    if (type === "run" || type === "refine" || type === "compare") this.#run();
    if (type === "cancel") {
      this.#generation++;
      this.set("status", "cancelled");
    }
  }

  async #run(): Promise<void> {
    const mine = ++this.#generation;
    const { baseline, mode, target } = this.get("params") as PathParams;
    const question = this.get("question") as { target: number };
    if (question.target !== target) {
      this.set("shown", "");
      this.set("asked", Number(this.get("asked")) + 1);
      this.set("archive", {});
      this.set("question", { ...question, target, target_label: `class ${target}` });
    }
    this.set("mode", mode);
    this.set("baseline_id", baseline);
    this.set("status", "running");
    for (const count of [9, 17, 33, 65]) {
      await pause(400);
      if (mine !== this.#generation) return;
      for (const [name, value] of Object.entries(await run(baseline, mode, count, Math.min(count - 1, 32)))) {
        this.set(name, value);
      }
      this.set("shown", `${mode}/${baseline}`);
      this.set("progress", { done: count, total: 65, unit: "steps", eta_s: (65 - count) / 40, phase: "gradients" });
      this.set("seq", Number(this.get("seq")) + 1);
      this.set("status", "partial");
    }
    this.set(
      "baselines",
      (this.get("baselines") as BaselineInfo[]).map((one) =>
        one.id === baseline ? { ...one, status: { ...one.status, [mode]: "ready" } } : one,
      ),
    );
    this.set("result_id", this.get("request_id"));
    this.set("progress", {});
    this.set("status", "ready");
  }
}
