// Answers a token strip like the Python side: a question that the page has no answer to takes half a second.

import { StaticModel } from "../src/lib/static-model";
import { answer, type DemoText, demoText, matrixTraits } from "./tokens-state";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class TokensModel extends StaticModel {
  override readonly isStatic = false;
  readonly #demo: DemoText = demoText();
  #generation = 0;

  override save_changes(): void {
    const asked = JSON.stringify(this.get("params"));
    if (asked !== this.#asked) this.#run();
    this.#asked = asked;
  }

  #asked = JSON.stringify(this.get("params"));

  override send(content: unknown): void {
    const { type, id } = content as { type: string; id?: number };
    if (type === "hello") setTimeout(() => this.emit("msg:custom", { type: "hello", id }), 30);
    if (type === "run") this.#run();
    if (type === "columns") this.#columns();
    if (type === "whatif") this.#whatIf();
    if (type === "cancel") {
      this.#generation++;
      this.set("status", "cancelled");
    }
  }

  async #run(): Promise<void> {
    const mine = ++this.#generation;
    this.set("status", "running");
    await pause(500);
    if (mine !== this.#generation) return;
    const found = await answer(this.#demo, this.get("params") as Record<string, unknown>);
    for (const [name, value] of Object.entries(found)) this.set(name, value);
    this.set("archive", { ...(this.get("archive") as object), [found.values_meta.key]: found });
    this.set("seq", Number(this.get("seq")) + 1);
    this.set("result_id", this.get("request_id"));
    this.set("status", "ready");
  }

  async #columns(): Promise<void> {
    const mine = ++this.#generation;
    this.set("status", "running");
    const total = this.#demo.tokens.length - this.#demo.nPrompt;
    for (let count = 1; count <= total; count++) {
      await pause(120);
      if (mine !== this.#generation) return;
      const traits = await matrixTraits(this.#demo, this.get("params") as Record<string, unknown>, count);
      for (const [name, value] of Object.entries(traits)) this.set(name, value);
      this.set("progress", { done: count, total, unit: "output tokens", eta_s: null, phase: "every output token" });
      this.set("seq", Number(this.get("seq")) + 1);
    }
    this.set("progress", {});
    this.set("status", "ready");
  }

  async #whatIf(): Promise<void> {
    await pause(300);
    const before = this.get("classes") as { score: number }[];
    const after = before.map((one, place) => ({ ...one, score: place === 0 ? one.score - 0.3 : one.score + 0.3 }));
    this.set("whatif", { text: "…", before, after, p_before: 0.8, p_after: 0.3, seconds: 0.05 });
  }
}
