// Answers an example gallery like the Python side: a scan that shows what it has found so far, pictures and texts a
// moment after they are asked for.

import { StaticModel } from "../src/lib/static-model";
import { cellsOf, N, pairTraits, rankTraits, SIDE, strip, textOf } from "./examples-state";

interface Message {
  type: string;
  id?: number;
  ids?: number[];
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class ExamplesModel extends StaticModel {
  override readonly isStatic = false;
  /** How many pictures or texts were asked for. */
  asked = 0;
  #generation = 0;
  #params = JSON.stringify(this.get("params"));

  override save_changes(): void {
    const params = JSON.stringify(this.get("params"));
    if (params !== this.#params) this.#run();
    this.#params = params;
  }

  override send(content: unknown): void {
    const { type, id, ids = [] } = content as Message;
    if (type === "hello") setTimeout(() => this.emit("msg:custom", { type: "hello", id }), 30);
    if (type === "run") this.#run();
    if (type === "thumbs") this.#thumbs(ids);
    if (type === "texts") this.#texts(ids);
    if (type === "open") this.#open(Number(id));
    if (type === "cancel") {
      this.#generation++;
      this.set("status", "cancelled");
    }
  }

  #setAll(traits: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(traits)) this.set(name, value);
  }

  async #run(): Promise<void> {
    const mine = ++this.#generation;
    this.set("status", "running");
    const { target } = this.get("params") as { target: number | null };
    for (const share of [0.1, 0.3, 0.6, 1]) {
      const traits = await rankTraits(Math.round(share * N), target);
      await pause(700);
      if (mine !== this.#generation) return;
      this.#setAll(traits);
      this.set("progress", { done: Math.round(share * N), total: N, unit: "examples", eta_s: null, phase: "scan" });
      this.set("seq", Number(this.get("seq")) + 1);
      this.set("status", "partial");
    }
    this.set("progress", {});
    this.set("result_id", this.get("request_id"));
    this.set("status", "ready");
  }

  async #thumbs(ids: number[]): Promise<void> {
    this.asked += ids.length;
    for (let first = 0; first < ids.length; first += 24) {
      const some = ids.slice(first, first + 24);
      const picture = await strip(some);
      await pause(40);
      this.emit("msg:custom", { type: "thumbs", ids: some, side: SIDE }, [picture]);
    }
  }

  async #texts(ids: number[]): Promise<void> {
    this.asked += ids.length;
    await pause(40);
    const isText = this.get("medium") === "text";
    const texts = isText ? Object.fromEntries(ids.map((id) => [id, textOf(id)])) : {};
    const cells = isText ? {} : Object.fromEntries(ids.map((id) => [id, cellsOf(id)]));
    this.emit("msg:custom", { type: "texts", texts, cells, failed: {} });
  }

  async #open(id: number): Promise<void> {
    const traits = await pairTraits(id);
    await pause(400);
    this.#setAll(traits);
  }
}
