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
