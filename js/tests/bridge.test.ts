import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Bridge } from "../src/lib/bridge";
import { KernelModel } from "./state";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("an echo of an earlier save takes nothing back that was written since", () => {
  const model = new KernelModel({ verdicts: {} });
  const bridge = new Bridge(model, new AbortController().signal);
  const verdicts = bridge.trait<Record<string, string>>("verdicts", {});
  const judge = (id: string, verdict: string) => bridge.write("verdicts", { ...verdicts.value, [id]: verdict });

  judge("1", "relabel");
  vi.advanceTimersByTime(100);
  expect(model.saves).toBe(1);
  judge("2", "drop");
  model.set("verdicts", { 1: "relabel" }); // the kernel's echo
  judge("3", "unsure");
  vi.advanceTimersByTime(100);
  expect(model.saves).toBe(2);
  expect(model.get("verdicts")).toEqual({ 1: "relabel", 2: "drop", 3: "unsure" });

  model.set("verdicts", { 9: "keep" }); // set from Python
  expect(verdicts.value).toEqual({ 9: "keep" });
});

it("two views of a model come to one value where a host tells of every set", () => {
  const values = new Map<string, unknown>();
  const listeners: (() => void)[] = [];
  let depth = 0;
  const model = {
    get: (name: string) => values.get(name),
    set(name: string, value: unknown) {
      values.set(name, value);
      depth += 1;
      if (depth > 20) throw new Error("without end");
      for (const tell of listeners) tell();
      depth -= 1;
    },
    on: (_event: string, listener: () => void) => void listeners.push(listener),
    off() {},
    save_changes() {},
    send() {},
  };
  const views = [0, 1].map(() => new Bridge(model, new AbortController().signal));
  const alphas = views.map((view) => view.trait("alpha", 0));
  views[0]?.write("alpha", 0.2);
  expect(alphas.map(({ value }) => value)).toEqual([0.2, 0.2]);
  views[1]?.write("alpha", 0.4);
  expect(alphas.map(({ value }) => value)).toEqual([0.4, 0.4]);
  vi.advanceTimersByTime(100);
  model.set("alpha", 0.1); // set from Python
  expect(alphas.map(({ value }) => value)).toEqual([0.1, 0.1]);
});
